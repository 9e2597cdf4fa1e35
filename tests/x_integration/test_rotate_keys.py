"""rotate_token_keys: every stored secret under the first key, in batches, as often as one likes."""

from io import StringIO
from threading import Thread

import pytest
from cryptography.fernet import Fernet
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from tests.factories import UserFactory, WorkspaceFactory, XAccountFactory
from tests.worlds import WORKER
from tests.x_integration.conftest import opened
from tests.x_integration.renewals import renew
from workspaces.models import AuditEvent
from x_integration.client import XClient
from x_integration.crypto import Secret, hash_matches
from x_integration.management.commands.rotate_token_keys import Command
from x_integration.models import OAuthState, XAccount
from x_integration.services import begin_authorization, rotate_keys

pytestmark = pytest.mark.django_db(transaction=True)
NEW = Fernet.generate_key().decode()


@pytest.fixture
def old(settings):
    """The key that was there before."""
    (key,) = settings.TOKEN_ENCRYPTION_KEYS
    return key


@pytest.fixture
def both(settings, old):
    """A new key in front, the old one behind."""

    def use(*keys):
        settings.TOKEN_ENCRYPTION_KEYS = list(keys or (NEW, old))

    return use


def is_new(secret):
    return secret is not None and secret.is_sealed_anew()


def rotate():
    """As on the command line; what it says."""
    told = StringIO()
    call_command("rotate_token_keys", stdout=told, stderr=told)
    return told.getvalue()


def test_afterwards_the_old_key_is_not_needed(both):
    accounts = [XAccountFactory(access=f"a{n}", refresh=f"r{n}") for n in range(3)]
    both()
    assert "3 of 3 rows were encrypted anew." in rotate()
    both(NEW)
    pairs = [(f"a{n}", f"r{n}") for n in range(3)]
    rows = [XAccount.objects.get(pk=account.pk) for account in accounts]
    assert [(opened(row.access_token), opened(row.refresh_token)) for row in rows] == pairs
    assert all(hash_matches(opened(row.access_token), row.access_token_hash) for row in rows)
    assert all(hash_matches(opened(row.refresh_token), row.refresh_token_hash) for row in rows)


def test_an_attempt_to_connect_survives_too(both, owner_and_team):
    owner, team = owner_and_team
    begin_authorization(team, user=owner, now=timezone.now())
    verifier = opened(OAuthState.objects.get().code_verifier)
    both()
    rotate()
    both(NEW)
    assert opened(OAuthState.objects.get().code_verifier) == verifier


@pytest.fixture
def owner_and_team():
    """Somebody who may connect."""
    owner = UserFactory()
    return owner, WorkspaceFactory(owner=owner)


def test_a_second_run_has_nothing_to_do(both):
    XAccountFactory()
    both()
    rotate()
    before = XAccount.objects.values().get()
    assert "0 of 1 rows were encrypted anew." in rotate()
    assert str(XAccount.objects.values().get()) == str(before)


def test_a_run_that_was_stopped_goes_on_where_it_was(both, monkeypatch):
    monkeypatch.setattr("x_integration.services.keys.BATCH_SIZE", 2)
    for _ in range(5):
        XAccountFactory()
    both()

    class Stopped(Exception):
        pass

    def stop(done):
        if done.read == 4:
            raise Stopped

    with pytest.raises(Stopped):
        rotate_keys(actor=WORKER, now=timezone.now(), tell=stop)
    assert sum(is_new(row.access_token) for row in XAccount.objects.all()) == 4
    assert "1 of 5 rows were encrypted anew." in rotate()


def test_it_tells_how_far_it_is(both, monkeypatch):
    monkeypatch.setattr("x_integration.services.keys.BATCH_SIZE", 2)
    for _ in range(3):
        XAccountFactory()
    both()
    told = rotate()
    assert "pass 1: 2 of 3 rows read" in told
    assert "pass 2: 3 of 3 rows read" in told


def test_what_no_key_opens_is_named_and_left_alone(both):
    lost = Secret(Fernet(Fernet.generate_key()).encrypt(b"lost").decode())
    XAccountFactory(username="cafe", access_token=lost)
    XAccountFactory()
    both()
    told = StringIO()
    with pytest.raises(CommandError, match="1 row"):
        call_command("rotate_token_keys", stdout=told, stderr=told)
    assert "@cafe: no key opens it; connect the account again." in told.getvalue()
    kept = XAccount.objects.get(username="cafe").access_token
    assert kept is not None
    assert kept.ciphertext == lost.ciphertext
    assert AuditEvent.objects.get(type="keys.rotate").data == {"sealed_anew": 2, "unreadable": 1}


def test_a_token_that_is_renewed_meanwhile_is_not_overwritten(x, expired, both, monkeypatch):
    both()
    sealed = Secret.seal
    renewals: list[bool] = []

    def slow(plain):
        if not renewals:
            renewals.append(run_apart(lambda: renew(expired)))
        return sealed(plain)

    monkeypatch.setattr("x_integration.services.keys.Secret.seal", slow)
    rotate_keys(actor=WORKER, now=timezone.now())
    account = XAccount.objects.get()
    assert account.token_version == 2
    assert XClient().refresh_token(opened(account.refresh_token))  # the one before is spent
    assert is_new(account.access_token)


def test_a_process_that_still_writes_with_the_old_key_is_found_out(both, old, monkeypatch):
    account = XAccountFactory(access="a", refresh="r")
    both()
    written_with = Fernet(old)

    def tell(done):
        stale = Secret(written_with.encrypt(b"newer").decode())
        XAccount.objects.filter(pk=account.pk).update(access_token=stale)

    done = rotate_keys(actor=WORKER, now=timezone.now(), tell=tell)
    assert not done.is_whole
    monkeypatch.setattr(Command, "_tell", lambda self, done: tell(done))
    with pytest.raises(CommandError, match="restart everything"):
        rotate()


def test_an_attempt_to_connect_that_is_over_is_nobodys_business(both, owner_and_team):
    owner, team = owner_and_team
    begin_authorization(team, user=owner, now=timezone.now())
    OAuthState.objects.update(expires_at=timezone.now())
    both(NEW)
    assert "0 of 0 rows" in rotate()


def run_apart(act):
    """On a thread, so with a connection, of its own."""

    def run():
        try:
            act()
        finally:
            connection.close()

    thread = Thread(target=run)
    thread.start()
    thread.join(20)
    return True


def test_no_secret_is_told(both):
    XAccountFactory(access="canary-access", refresh="canary-refresh")
    both()
    told = rotate() + str(AuditEvent.objects.values())
    assert not any(secret in told for secret in ("canary", NEW))

"""Secrets at rest: opened only by name, by whichever key of the ring fits."""

import copy
import hashlib
import hmac

import pytest
from cryptography.fernet import Fernet
from django.core import serializers
from django.core.exceptions import ImproperlyConfigured
from django.db import connection

from tests.factories import XAccountFactory
from tests.x_integration.conftest import opened
from x_integration.crypto import Secret, hash_matches, keyed_hash
from x_integration.errors import Undecryptable
from x_integration.models import XAccount

CANARY = "canary-4f1d8c"
OLD, NEW, OTHER = (Fernet.generate_key().decode() for _ in range(3))


@pytest.fixture
def ring(settings):
    """Sets the key ring; begins with the old key alone."""

    def use(*keys):
        settings.TOKEN_ENCRYPTION_KEYS = list(keys)

    use(OLD)
    return use


@pytest.mark.parametrize("plain", [CANARY, "", "é 日本 😀", "a" * 10_000, "\x00"])
def test_what_was_sealed_opens_as_it_was(ring, plain):
    assert Secret.seal(plain).open() == plain


@pytest.mark.parametrize(
    "show", [repr, str, "{}".format, "{!r}".format, lambda secret: str(vars(secret))]
)
def test_a_secret_shows_nothing(ring, show):
    assert CANARY not in show(Secret.seal(CANARY))


def test_a_row_that_holds_secrets_shows_neither_them_nor_their_ciphertext(ring):
    secret = Secret.seal(CANARY)
    row = str({"access_token": secret, "nested": [secret]})
    assert (CANARY in row, secret.ciphertext in row) == (False, False)


def test_the_same_secret_is_never_sealed_alike(ring):
    assert Secret.seal(CANARY).ciphertext != Secret.seal(CANARY).ciphertext


# --- the ring -------------------------------------------------------------------------------------


def test_a_new_first_key_still_opens_what_the_old_one_sealed(ring):
    secret = Secret.seal(CANARY)
    ring(NEW, OLD)
    assert secret.open() == CANARY


def test_the_first_key_seals(ring):
    ring(NEW, OLD)
    secret = Secret.seal(CANARY)
    ring(NEW)
    assert secret.open() == CANARY
    ring(OLD)
    assert not secret.opens()


def test_without_its_key_a_secret_does_not_open(ring):
    secret = Secret.seal(CANARY)
    ring(NEW, OTHER)
    assert not secret.opens()
    with pytest.raises(Undecryptable) as raised:
        secret.open()
    assert secret.ciphertext not in f"{raised.value} {raised.value!r}"


@pytest.mark.parametrize("ciphertext", ["", "garbage", "é", "gAAAAA", "\x00", "=" * 100])
def test_garbage_does_not_open_and_does_not_crash(ring, ciphertext):
    assert not Secret(ciphertext).opens()


def test_one_changed_character_does_not_open(ring):
    sealed = Secret.seal(CANARY).ciphertext
    changed = sealed[:50] + ("A" if sealed[50] != "A" else "B") + sealed[51:]
    assert not Secret(changed).opens()


@pytest.mark.parametrize("keys", [["short"], [OLD, "not a key"], ["é" * 44]])
def test_a_key_that_is_none_is_named_and_not_shown(ring, keys):
    ring(*keys)
    with pytest.raises(ImproperlyConfigured) as raised:
        Secret.seal(CANARY)
    assert "TOKEN_ENCRYPTION_KEY" in str(raised.value)
    assert not any(key in str(raised.value) for key in keys)


# --- the hash -------------------------------------------------------------------------------------


def test_the_hash_is_keyed(ring):
    expected = hmac.new(OLD.encode(), CANARY.encode(), hashlib.sha256).hexdigest()
    assert keyed_hash(CANARY) == expected


def test_a_hash_is_known_again_under_any_key_of_the_ring(ring):
    before = keyed_hash(CANARY)
    ring(NEW, OLD)
    assert hash_matches(CANARY, before)
    assert hash_matches(CANARY, keyed_hash(CANARY))
    assert not hash_matches("another", before)
    ring(NEW)
    assert not hash_matches(CANARY, before)


def test_a_hash_that_is_none_matches_nothing(ring):
    assert not hash_matches(CANARY, "")


# --- the column -----------------------------------------------------------------------------------


@pytest.mark.django_db
def test_the_database_has_ciphertext_only():
    XAccountFactory(access=CANARY, refresh=f"{CANARY}-refresh")
    with connection.cursor() as cursor:
        cursor.execute("SELECT t::text FROM x_integration_xaccount t")
        row = cursor.fetchone()[0]
    assert CANARY not in row
    assert "gAAAAA" in row


@pytest.mark.django_db
def test_a_stored_secret_comes_back_as_a_secret():
    XAccountFactory(access=CANARY)
    assert opened(XAccount.objects.get().access_token) == CANARY
    assert opened(XAccount.objects.values_list("access_token", flat=True).get()) == CANARY


@pytest.mark.django_db
@pytest.mark.parametrize("plain", [CANARY, b"bytes", 7, ""])
def test_the_column_refuses_plain_text(plain):
    account = XAccountFactory()
    with pytest.raises(TypeError) as raised:
        XAccount.objects.filter(pk=account.pk).update(access_token=plain)
    assert CANARY not in str(raised.value)
    account.access_token = plain
    with pytest.raises(TypeError):
        account.save()


@pytest.mark.django_db
def test_a_row_is_read_even_when_no_key_opens_it(settings):
    XAccountFactory(access=CANARY)
    settings.TOKEN_ENCRYPTION_KEYS = [OTHER]
    with pytest.raises(Undecryptable):
        opened(XAccount.objects.get().access_token)


@pytest.mark.django_db
def test_a_dump_of_the_rows_has_no_token_and_no_ciphertext():
    account = XAccountFactory(access=CANARY)
    dump = serializers.serialize("json", [account])
    assert (CANARY in dump, account.access_token.ciphertext in dump) == (False, False)


def test_a_copy_opens_too(ring):
    assert copy.deepcopy(Secret.seal(CANARY)).open() == CANARY

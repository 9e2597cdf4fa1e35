"""Access tokens: handed out while they live, renewed once at a time, never overwritten by older ones."""

from datetime import UTC, datetime, timedelta

import pytest
from cryptography.fernet import Fernet
from django.utils import timezone

from tests.factories import WorkspaceFactory, XAccountFactory
from tests.x_integration.conftest import HOUR, opened
from tests.x_integration.renewals import TOKEN, account_of, pair_of, refreshes, renew, token_of
from workspaces.models import AuditEvent
from x_integration.client import XClient
from x_integration.crypto import Secret, keyed_hash
from x_integration.errors import NoAccessToken
from x_integration.models import XAccount
from x_integration.services import (
    due_for_renewal,
    get_workspace_x_access_token,
    refresh_workspace_x_tokens,
    require_workspace_x_access_token,
)

# --- handing out ----------------------------------------------------------------------------------


def test_a_token_that_lives_is_handed_out_without_asking_x(x, cafe):
    assert token_of(cafe) == pair_of(cafe)[0]
    assert x.simulator.requests() == []


def test_a_token_about_to_expire_is_renewed_first(x, settings):
    settings.X_REFRESH_SKEW_SECONDS = 300
    cafe = x.connected("cafe", expires_at=timezone.now() + timedelta(seconds=299))
    old, _ = pair_of(cafe)
    assert token_of(cafe) == pair_of(cafe)[0] != old


def test_a_token_just_outside_the_skew_is_handed_out(x, settings):
    settings.X_REFRESH_SKEW_SECONDS = 300
    cafe = x.connected("cafe", expires_at=timezone.now() + timedelta(seconds=330))
    token_of(cafe)
    assert x.calls("POST", TOKEN) == []


def test_an_expired_token_is_renewed_and_works(x, expired):
    assert XClient().me(token_of(expired))[1] == "cafe"


@pytest.mark.parametrize("kind", ["html", "drop"])
def test_a_token_that_still_lives_is_good_enough_when_renewal_fails(x, kind):
    cafe = x.connected("cafe", expires_at=timezone.now() + timedelta(seconds=60))
    x.fault(kind, path=TOKEN)
    assert token_of(cafe) == pair_of(cafe)[0]


def test_an_expired_token_that_cannot_be_renewed_is_none(x, expired):
    x.fault("html", path=TOKEN)
    assert token_of(expired) is None


def test_a_workspace_that_never_connected_has_none(x):
    assert token_of(WorkspaceFactory()) is None


def test_an_account_without_tokens_has_none(x):
    assert token_of(XAccountFactory(access="", refresh="").workspace) is None


def test_a_revoked_account_has_none(x):
    assert token_of(x.connected("cafe", revoked_at=timezone.now())) is None


def test_an_account_that_expires_at_no_known_time_is_renewed(x):
    cafe = x.connected("cafe", expires_at=None)
    assert token_of(cafe)
    assert len(x.calls("POST", TOKEN)) == 1


def test_requiring_a_token_gives_the_same_or_raises(x, cafe):
    now = timezone.now()
    assert require_workspace_x_access_token(cafe, now=now) == pair_of(cafe)[0]
    with pytest.raises(NoAccessToken):
        require_workspace_x_access_token(WorkspaceFactory(), now=now)


# --- renewing -------------------------------------------------------------------------------------


def test_a_renewal_stores_a_whole_new_pair(x, cafe):
    before, now = account_of(cafe), timezone.now()
    assert refresh_workspace_x_tokens(cafe, now=now) == "success"
    after = account_of(cafe)
    assert opened(after.access_token) != opened(before.access_token)
    assert opened(after.refresh_token) != opened(before.refresh_token)
    assert after.access_token_hash == keyed_hash(opened(after.access_token))
    assert after.refresh_token_hash == keyed_hash(opened(after.refresh_token))
    assert (after.token_version, after.last_refresh_at) == (before.token_version + 1, now)
    assert after.expires_at == now + timedelta(hours=2)
    assert (after.refresh_leased_until, after.last_refresh_error) == (None, "")


def test_a_renewal_is_audited_and_counted_without_a_token(x, cafe):
    old = pair_of(cafe)
    renew(cafe)
    event = AuditEvent.objects.get(type="token.refresh")
    assert event.data == {"outcome": "success", "stored": True, "was": 1}
    assert refreshes() == {"outcome=success": 1}
    assert not any(token in str(vars(event)) for token in (*old, *pair_of(cafe)))


def test_the_token_that_is_handed_out_is_the_one_that_was_stored(x, expired):
    seen = []

    class Watching(XClient):
        def refresh_token(self, refresh_token):
            pair = super().refresh_token(refresh_token)
            seen.append(pair.access_token)
            return pair

    given = get_workspace_x_access_token(expired, now=timezone.now(), x=Watching())
    assert [given] == seen == [pair_of(expired)[0]]


@pytest.mark.parametrize("blank", [{}, {"refresh_token": ""}, {"refresh_token": "  "}])
def test_a_missing_or_blank_refresh_token_keeps_the_stored_one(x, cafe, blank):
    _, kept = pair_of(cafe)
    body = {"access_token": "new", "expires_in": 7200, **blank}
    x.fault("status", path=TOKEN, status=200, body=body)
    assert renew(cafe) == "success"
    assert pair_of(cafe) == ("new", kept)


def test_a_missing_scope_keeps_the_stored_one(x, cafe):
    x.fault("status", path=TOKEN, status=200, body={"access_token": "new"})
    renew(cafe)
    assert account_of(cafe).has_publish_scope


@pytest.mark.parametrize("blank", [{}, {"access_token": ""}, {"access_token": None}])
def test_a_blank_access_token_never_overwrites_one(x, cafe, blank):
    kept = pair_of(cafe)
    x.fault("status", path=TOKEN, status=200, body={"refresh_token": "r", **blank})
    assert renew(cafe) == "unknown"
    assert pair_of(cafe) == kept


def test_a_refused_refresh_asks_for_a_new_connection(x, expired):
    x.simulator.control("POST", "/reset", {})
    assert renew(expired) == "refused"
    account = account_of(expired)
    assert account.connected_reason(timezone.now()) == "reauthorization_required"
    assert account.last_refresh_error == "refused"
    assert account.refresh_leased_until is None
    assert refreshes() == {"outcome=refused": 1}


def test_a_refused_refresh_leaves_a_token_that_still_lives(x, cafe):
    x.fault("status", path=TOKEN, status=400, body={"error": "invalid_grant"})
    renew(cafe)
    assert token_of(cafe) == pair_of(cafe)[0]


def test_a_refused_refresh_token_is_not_asked_again(x, expired):
    x.fault("status", path=TOKEN, status=400, body={"error": "invalid_grant"})
    renew(expired)
    assert token_of(expired) is None
    assert len(x.calls("POST", TOKEN)) == 1


@pytest.mark.parametrize("kind", ["drop", "html"])
def test_an_unknown_outcome_keeps_the_old_pair_and_says_so(x, expired, kind):
    kept = pair_of(expired)
    x.fault(kind, path=TOKEN)
    assert renew(expired) == "unknown"
    account = account_of(expired)
    assert pair_of(expired) == kept
    assert account.last_refresh_error in ("x_token_lost", "x_token_503")
    assert account.reauthorization_required_at is None
    assert refreshes() == {"outcome=unknown": 1}


def test_an_unknown_outcome_is_tried_again_later(x, expired):
    x.fault("drop", path=TOKEN)
    renew(expired)
    assert renew(expired) == "success"
    assert account_of(expired).last_refresh_error == ""


def test_a_lost_answer_burns_the_refresh_token_and_the_next_try_says_so(x, expired):
    x.fault("lost_answer", path=TOKEN)
    assert [renew(expired), renew(expired)] == ["unknown", "refused"]


@pytest.mark.parametrize(
    "changes",
    [{"refresh_token": None}, {"revoked_at": datetime(2026, 11, 1, tzinfo=UTC)}],
    ids=["no refresh token", "revoked"],
)
def test_nothing_is_renewed_without_a_refresh_token(x, cafe, changes):
    XAccount.objects.update(**changes)
    assert renew(cafe) == "skipped_no_refresh_token"
    assert x.simulator.requests() == []


def test_nothing_is_renewed_when_renewal_is_off(x, cafe, settings):
    settings.X_AUTO_REFRESH_ENABLED = False
    assert renew(cafe) == "skipped_disabled"
    assert x.simulator.requests() == []


# --- keys that are gone ---------------------------------------------------------------------------


def test_tokens_that_no_key_opens_are_none_and_never_a_crash(x, cafe, settings):
    settings.TOKEN_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    assert token_of(cafe) is None
    assert renew(cafe) not in ("success", "refused")
    assert x.simulator.requests() == []
    assert account_of(cafe).connected(timezone.now()) is False


def test_an_access_token_that_no_key_opens_is_renewed(x, cafe):
    XAccount.objects.update(access_token=Secret("garbage é"))
    assert XClient().me(token_of(cafe))[1] == "cafe"


# --- what is due ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "due"),
    [
        ({}, True),
        ({"expires_at": HOUR}, False),
        ({"revoked_at": -HOUR}, False),
        ({"reauthorization_required_at": -HOUR}, False),
        ({"refresh_token": None}, False),
        ({"refresh_leased_until": HOUR}, False),
        ({"refresh_leased_until": -HOUR}, True),
        ({"held_at": -HOUR, "held_reason": "x_account"}, True),
    ],
)
@pytest.mark.django_db
def test_what_expires_soon_and_can_be_renewed_is_due(changes, due):
    now = timezone.now()
    account = XAccountFactory(expires_at=now + timedelta(minutes=10))
    instants = {
        name: now + change if isinstance(change, timedelta) else change
        for name, change in changes.items()
    }
    XAccount.objects.filter(pk=account.pk).update(**instants)
    assert due_for_renewal(now) == [account] * due


@pytest.mark.django_db
def test_the_most_urgent_is_renewed_first():
    now = timezone.now()
    later, sooner = [
        XAccountFactory(expires_at=now + timedelta(minutes=minutes)) for minutes in (10, 5)
    ]
    assert due_for_renewal(now) == [sooner, later]

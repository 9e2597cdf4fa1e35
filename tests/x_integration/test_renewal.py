"""Renewals that go wrong: what is kept, what is tried again and when, and who is told."""

from datetime import timedelta

import pytest
from cryptography.fernet import Fernet
from django.core.cache import cache
from django.db import InterfaceError, OperationalError, connection, transaction
from django.utils import timezone

from revfirst.wait import wait_out
from tests.factories import MembershipFactory
from tests.locks import held
from tests.worlds import operator
from tests.x_integration.conftest import MINUTE
from tests.x_integration.renewals import (
    TOKEN,
    account_of,
    open_alarms,
    pair_of,
    refreshes,
    renew,
    token_of,
)
from workspaces.actors import Actor
from workspaces.errors import NotAllowed
from workspaces.models import Alarm, AuditEvent
from x_integration.client import TokenPair, XClient
from x_integration.errors import XNotSent, XUnauthorized
from x_integration.models import XAccount
from x_integration.services import (
    due_for_renewal,
    get_workspace_x_access_token,
    refresh_workspace_x_tokens,
    renew_by_hand,
    revoke_workspace_x_tokens,
)
from x_integration.services.renewal import _Renewal
from x_integration.tasks import renew_due

# --- what came is kept ----------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["7200", " 7200", 7200, "soon", None])
def test_a_life_in_any_words_is_two_hours(x, expired, value):
    x.fault("edit_answer", path=TOKEN, set={"expires_in": value})
    now = timezone.now()
    assert refresh_workspace_x_tokens(expired, now=now) == "success"
    assert account_of(expired).expires_at == now + timedelta(hours=2)


@pytest.mark.parametrize("edit", [{"without": ["refresh_token"]}, {"set": {"refresh_token": ""}}])
def test_a_rotation_without_a_new_refresh_token_keeps_the_old_one_until_x_refuses_it(
    x, expired, edit
):
    _, kept = pair_of(expired)
    x.fault("edit_answer", path=TOKEN, **edit)
    assert renew(expired) == "success"
    assert pair_of(expired)[1] == kept
    assert XClient().me(token_of(expired))[1] == "cafe"
    later = timezone.now() + timedelta(hours=3)
    assert refresh_workspace_x_tokens(expired, now=later) == "refused"
    assert account_of(expired).connected_reason(later) == "reauthorization_required"


@pytest.mark.parametrize("problem", [OperationalError, InterfaceError])
def test_a_pair_is_kept_though_the_database_fails_for_a_while(x, expired, monkeypatch, problem):
    once, failures = _Renewal._store, [problem("gone")] * 2

    def flaky(self, pair, *, audited):
        if failures:
            raise failures.pop()
        return once(self, pair, audited=audited)

    monkeypatch.setattr(_Renewal, "_store", flaky)
    assert renew(expired) == "success"
    assert XClient().me(token_of(expired))[1] == "cafe"
    assert refreshes() == {"outcome=success": 1}


def test_a_pair_whose_commit_was_not_heard_of_is_not_stored_twice(x, expired, monkeypatch):
    once, heard = _Renewal._store, [False]

    def lost():
        raise OperationalError("the answer to COMMIT was lost")

    def deaf(self, pair, *, audited):
        if not heard.pop():
            transaction.on_commit(lost)
        heard.append(True)
        return once(self, pair, audited=audited)

    monkeypatch.setattr(_Renewal, "_store", deaf)
    assert renew(expired) == "success"
    assert account_of(expired).token_version == 2
    assert refreshes() == {"outcome=success": 1}


def test_an_access_token_that_x_grants_again_is_a_new_pair_all_the_same(x, expired):
    access, refresh = pair_of(expired)
    x.fault("edit_answer", path=TOKEN, set={"access_token": access})
    assert renew(expired) == "success"
    assert pair_of(expired)[0] == access
    assert pair_of(expired)[1] != refresh
    assert refreshes() == {"outcome=success": 1}


def test_a_slow_answer_is_kept_with_its_audit_row(x, expired, monkeypatch):
    monkeypatch.setattr("x_integration.services.renewal._KEEP_SECONDS", 0)
    x.fault("slow_answer", path=TOKEN, ms=300)
    renew(expired)
    assert refreshes() == {"outcome=success": 1}


@pytest.mark.parametrize("fault", [{"kind": "lost_answer"}, {"kind": "rate_limited"}])
def test_what_x_said_is_written_down_though_the_database_fails_once(x, ending, monkeypatch, fault):
    once, failures = _Renewal._nothing_came, [OperationalError("gone")]

    def flaky(self, *args, audited):
        if failures:
            raise failures.pop()
        return once(self, *args, audited=audited)

    monkeypatch.setattr(_Renewal, "_nothing_came", flaky)
    x.fault(path=TOKEN, **fault)
    renew(ending)
    assert account_of(ending).refresh_not_before is not None


@pytest.fixture
def broken_log(transactional_db):
    """An audit log that takes no row."""
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE FUNCTION broken() RETURNS trigger AS 'BEGIN RAISE EXCEPTION ''broken''; END'"
            " LANGUAGE plpgsql;"
            "CREATE TRIGGER broken BEFORE INSERT ON workspaces_auditevent"
            " FOR EACH ROW EXECUTE FUNCTION broken()"
        )
    yield
    with connection.cursor() as cursor:
        cursor.execute("DROP FUNCTION broken CASCADE")


def test_a_pair_is_kept_though_the_audit_log_is_broken(x, expired, broken_log, monkeypatch):
    monkeypatch.setattr("x_integration.services.renewal._KEEP_SECONDS", 0)
    assert renew(expired) == "success"
    assert XClient().me(token_of(expired))[1] == "cafe"
    assert refreshes() == {}


# --- tried again, and when ------------------------------------------------------------------------


def try_again_in(workspace):
    until = account_of(workspace).refresh_not_before
    assert until is not None
    left = until - timezone.now()
    return round(left.total_seconds() / 30) * 30


def test_what_x_certainly_did_not_do_is_tried_again_soon(x, ending):
    x.fault("unauthorized", path=TOKEN)
    assert renew(ending) == "failed"
    assert try_again_in(ending) == 30
    assert due_for_renewal(timezone.now()) == []
    assert due_for_renewal(timezone.now() + MINUTE) == [account_of(ending)]


def test_pauses_grow_up_to_five_minutes(x, ending):
    x.fault("unauthorized", path=TOKEN, times=6)
    pauses = []
    for _ in range(6):
        renew(ending)
        pauses.append(try_again_in(ending))
    assert pauses == [30, 60, 120, 240, 300, 300]


def test_too_many_requests_waits_for_as_long_as_x_says_within_reason(x, ending):
    x.fault("rate_limited", path=TOKEN, reset_in=600)
    renew(ending)
    assert try_again_in(ending) == 600
    x.fault("rate_limited", path=TOKEN, reset_in=86_000)
    renew(ending)
    assert try_again_in(ending) == 900


@pytest.mark.parametrize("fault", [{"kind": "lost_answer"}, {"kind": "html", "after": True}])
def test_a_token_that_may_be_spent_does_not_end_one_that_lives(x, ending, fault):
    access, _ = pair_of(ending)
    x.fault(path=TOKEN, **fault)
    assert renew(ending) == "unknown"
    soon = timezone.now() + 2 * MINUTE
    assert due_for_renewal(soon) == []
    assert get_workspace_x_access_token(ending, now=soon) == access
    assert XClient().me(access)[1] == "cafe"
    later = timezone.now() + 3.5 * MINUTE  # the last five minutes
    assert due_for_renewal(later) == [account_of(ending)]


def test_an_operator_who_presses_twice_does_not_end_a_token_that_lives(x, ending):
    access, _ = pair_of(ending)
    x.fault("lost_answer", path=TOKEN)
    actor = operator(ending)
    outcomes = [renew_by_hand(ending, actor=actor, now=timezone.now()) for _ in range(2)]
    assert outcomes == ["unknown", "skipped_unsure"]
    assert XClient().me(access)[1] == "cafe"


def test_a_member_renews_nothing_by_hand(x, ending):
    member = MembershipFactory(workspace=ending, role="member").user
    with pytest.raises(NotAllowed):
        renew_by_hand(ending, actor=Actor.operator(member, door="admin"), now=timezone.now())
    assert x.simulator.requests() == []


def test_a_rotation_is_followed_by_another_only_after_a_minute(x, cafe):
    assert renew(cafe) == "success"
    assert renew(cafe) == "skipped_locked"
    later = timezone.now() + MINUTE
    assert refresh_workspace_x_tokens(cafe, now=later) == "success"
    assert len(x.calls("POST", TOKEN)) == 2


def test_tokens_that_live_for_seconds_are_not_renewed_at_every_turn(x, expired):
    x.fault("edit_answer", path=TOKEN, set={"expires_in": 30}, times=9)
    assert [token_of(expired) is None for _ in range(5)] == [False] * 5
    assert len(x.calls("POST", TOKEN)) == 1


def test_a_worker_does_not_wait_for_somebody_elses_renewal(x, expired):
    XAccount.objects.update(refresh_leased_until=timezone.now() + MINUTE)
    assert get_workspace_x_access_token(expired, now=timezone.now(), wait=False) is None
    assert x.simulator.requests() == []


# --- what is told ---------------------------------------------------------------------------------


def test_a_refused_token_raises_one_alarm_and_a_new_pair_ends_it(x, expired):
    x.fault("status", path=TOKEN, status=400, body={"error": "invalid_grant"})
    assert [renew(expired), renew(expired)] == ["refused", "skipped_no_refresh_token"]
    assert open_alarms() == ["token_refused"]
    XAccount.objects.update(reauthorization_required_at=None)
    assert renew(expired) == "success"
    assert open_alarms() == []


def test_our_own_wrong_credentials_are_nobodys_dead_grant(x, expired, settings):
    settings.X_CLIENT_SECRET = "wrong"
    assert renew(expired) == "failed"
    account = account_of(expired)
    assert account.last_refresh_error == "x_client_refused"
    assert account.connected_reason(timezone.now()) == "expired_but_auto_refresh_available"
    assert open_alarms() == ["x_client_refused"]
    assert Alarm.objects.get().workspace is None
    settings.X_CLIENT_SECRET = x.simulator.client_secret
    assert renew(expired) == "success"
    assert open_alarms() == []


@pytest.mark.parametrize("again", [1, 3])
def test_what_cannot_be_renewed_is_noted_once_and_not_at_every_turn(x, expired, settings, again):
    settings.X_AUTO_REFRESH_ENABLED = False
    assert [token_of(expired) for _ in range(again)] == [None] * again
    assert refreshes() == {"outcome=skipped_disabled": 1}


def test_every_outcome_is_audited_and_counted_alike(x, expired, settings):
    x.fault("rate_limited", path=TOKEN)
    x.fault("drop", path=TOKEN)
    outcomes = [renew(expired), renew(expired), renew(expired), renew(expired)]
    settings.X_AUTO_REFRESH_ENABLED = False
    outcomes.append(renew(expired))
    XAccount.objects.update(refresh_token=None)
    outcomes.append(renew(expired))
    assert outcomes == [
        "failed",
        "unknown",
        "success",
        "skipped_locked",
        "skipped_disabled",
        "skipped_no_refresh_token",
    ]
    assert refreshes() == {f"outcome={outcome}": 1 for outcome in outcomes}
    events = AuditEvent.objects.filter(type="token.refresh").order_by("seq")
    assert [event.data["outcome"] for event in events] == outcomes


# --- who is told that nothing will come -----------------------------------------------------------


def test_a_token_that_ends_and_cannot_be_renewed_raises_an_alarm(x, expired):
    XAccount.objects.update(refresh_token=None)
    token_of(expired)
    assert open_alarms() == ["token_not_renewable"]


def test_a_token_that_no_key_opens_raises_an_alarm(x, expired, settings):
    settings.TOKEN_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    renew_due()
    assert open_alarms() == ["token_not_renewable"]


def test_renewals_that_go_on_failing_raise_an_alarm_which_a_success_ends(x, expired):
    x.fault("rate_limited", path=TOKEN, times=6)
    for _ in range(5):
        renew(expired)
    assert open_alarms() == []
    renew(expired)
    assert open_alarms() == ["renewal_fails"]
    renew(expired)
    assert open_alarms() == []


def test_a_renewal_that_may_not_post_any_more_raises_an_alarm(x, expired):
    x.fault("edit_answer", path=TOKEN, set={"scope": "tweet.read users.read"})
    renew(expired)
    assert open_alarms() == ["missing_scope"]
    assert account_of(expired).publish_ready(timezone.now()) is False


# --- meetings -------------------------------------------------------------------------------------


def test_a_pair_that_came_after_a_revocation_is_given_back_to_x(x, cafe):
    class RevokedMeanwhile(XClient):
        def refresh_token(self, refresh_token):
            revoke_workspace_x_tokens(cafe, actor=operator(cafe), now=timezone.now())
            return super().refresh_token(x.simulator.connect("cafe").refresh_token)

    refresh_workspace_x_tokens(cafe, now=timezone.now(), x=RevokedMeanwhile())
    assert account_of(cafe).revoked_at is not None
    assert account_of(cafe).access_token is None
    assert x.simulator.overview()["grants_live"] == 0


def test_a_holder_that_slept_through_its_lease_keeps_its_pair_and_what_was_said_meanwhile(
    x, expired
):
    before = pair_of(expired)

    class Asleep(XClient):
        def refresh_token(self, refresh_token):
            pair = super().refresh_token(refresh_token)
            cache.clear()  # the lock ran out, and the lease too
            XAccount.objects.update(refresh_leased_until=timezone.now())
            assert renew(expired) == "refused"
            return pair

    assert refresh_workspace_x_tokens(expired, now=timezone.now(), x=Asleep()) == "success"
    assert set(pair_of(expired)).isdisjoint(before)
    assert account_of(expired).reauthorization_required_at is not None


@pytest.mark.parametrize("error", [TimeoutError, ValueError, XNotSent, XUnauthorized])
def test_whatever_breaks_on_the_way_is_an_unknown_outcome_and_lets_go(x, expired, error):
    class Broken(XClient):
        def refresh_token(self, refresh_token):
            raise error("broken")

    outcome = refresh_workspace_x_tokens(expired, now=timezone.now(), x=Broken())
    assert outcome == "unknown"
    assert account_of(expired).refresh_leased_until is None
    assert refreshes() == {"outcome=unknown": 1}


@pytest.mark.parametrize("blank", ["", "  "])
def test_a_client_that_hands_over_a_blank_token_overwrites_nothing(x, expired, blank):
    kept = pair_of(expired)

    class Blank(XClient):
        def refresh_token(self, refresh_token):
            return TokenPair(blank, blank, timedelta(hours=2), "", "bearer")

    assert refresh_workspace_x_tokens(expired, now=timezone.now(), x=Blank()) == "unknown"
    assert pair_of(expired) == kept


def test_a_pair_that_came_too_late_for_a_newer_one_ends_nothing_at_x(x, cafe):
    class ConnectedMeanwhile(XClient):
        def refresh_token(self, refresh_token):
            pair = super().refresh_token(refresh_token)
            XAccount.objects.update(token_version=7)
            return pair

    refresh_workspace_x_tokens(cafe, now=timezone.now(), x=ConnectedMeanwhile())
    assert x.calls("POST", "/2/oauth2/revoke") == []


def test_a_slow_pair_for_a_revoked_account_is_given_back_all_the_same(x, cafe, monkeypatch):
    class RevokedMeanwhile(XClient):
        def refresh_token(self, refresh_token):
            revoke_workspace_x_tokens(cafe, actor=operator(cafe), now=timezone.now())
            pair = super().refresh_token(x.simulator.connect("cafe").refresh_token)
            wait_out(0.5)
            return pair

    monkeypatch.setattr("x_integration.services.renewal.BEGIN_SECONDS", 0.4)
    refresh_workspace_x_tokens(cafe, now=timezone.now(), x=RevokedMeanwhile())
    assert x.simulator.overview()["grants_live"] == 0


def test_a_token_is_none_and_never_an_error_while_somebody_holds_the_row(x, expired, monkeypatch):
    monkeypatch.setattr("x_integration.services.renewal.LOCK_SECONDS_OF_OTHERS", 0.2)
    with held(XAccount.objects.get()):
        assert get_workspace_x_access_token(expired, now=timezone.now(), wait=False) is None


def test_a_scope_that_stays_too_small_keeps_its_alarm(x, expired):
    x.fault("edit_answer", path=TOKEN, set={"scope": "tweet.read users.read"})
    renew(expired)
    x.fault("edit_answer", path=TOKEN, without=["scope"])
    refresh_workspace_x_tokens(expired, now=timezone.now() + 2 * MINUTE)
    assert open_alarms() == ["missing_scope"]


def test_renewing_inside_a_transaction_is_a_mistake_and_takes_no_lease(x, expired):
    with transaction.atomic(), pytest.raises(RuntimeError):
        renew(expired)
    assert account_of(expired).refresh_leased_until is None

"""Renewals that go wrong: what is kept, what is tried again and when, and who is told."""

from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from threading import Event, Thread
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.core import checks
from django.core.cache import cache
from django.db import InterfaceError, OperationalError, connection, transaction
from django.utils import timezone
from django_q.models import OrmQ

from publishing.models import QueueItem
from publishing.services import compare_counters, publish_item
from revfirst.wait import wait_out
from tests.concurrency import run_together
from tests.factories import XAccountFactory
from tests.worlds import WORKER, operator
from tests.x_integration.conftest import opened
from tests.x_integration.renewals import TOKEN, account_of, pair_of, refreshes, renew, token_of
from workspaces.models import Alarm, AuditEvent, SystemHold
from workspaces.services import place_hold
from x_integration.client import TokenPair, XClient
from x_integration.crypto import Secret
from x_integration.errors import XNotSent, XUnauthorized
from x_integration.locks import alone
from x_integration.models import XAccount
from x_integration.services import (
    due_for_renewal,
    get_workspace_x_access_token,
    give_up_after_unauthorized,
    hold_account,
    refresh_workspace_x_tokens,
    renew_at,
    renew_batch,
    revoke_workspace_x_tokens,
)
from x_integration.services.bursts import _many, note_unauthorized
from x_integration.services.renewal import _Renewal
from x_integration.tasks import renew_due

MINUTE = timedelta(minutes=1)


def open_alarms():
    return sorted(Alarm.objects.filter(over_at=None).values_list("kind", flat=True))


@pytest.fixture
def ending(x):
    """A token that lives for eight more minutes: it is due, and good."""
    return x.connected("cafe", expires_at=timezone.now() + 8 * MINUTE)


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
    monkeypatch.setattr("x_integration.services.renewal._LOCK_SECONDS", 0.2)
    with row_held():
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


# --- ahead of expiry ------------------------------------------------------------------------------


@pytest.mark.django_db
def test_accounts_are_renewed_ten_to_twenty_minutes_ahead_spread_evenly():
    now = timezone.now()
    accounts = [XAccountFactory.build(pk=pk, workspace=None, expires_at=now) for pk in range(1000)]
    instants = [renew_at(account) for account in accounts]
    ahead = sorted((now - instant).total_seconds() / 60 for instant in instants if instant)
    assert 10 <= ahead[0] < 10.1
    assert 19.9 < ahead[-1] < 20
    assert 14 < ahead[500] < 16


@pytest.mark.django_db
def test_an_account_is_due_from_its_own_instant_on():
    account = XAccountFactory()
    instant = renew_at(account)
    assert instant is not None
    assert due_for_renewal(instant - timedelta(seconds=1)) == []
    assert due_for_renewal(instant) == [account]


def test_the_scheduled_task_renews_what_is_due_and_nothing_else(x):
    due = x.connected("cafe", expires_at=timezone.now() + 9 * MINUTE)
    other = x.connected("bar")
    before = pair_of(other)
    assert renew_due() == "1 begun, 0 left"
    assert account_of(due).token_version == 2
    assert pair_of(other) == before


def test_a_batch_that_stops_with_work_left_enqueues_itself_again(x, ending, monkeypatch):
    monkeypatch.setattr("x_integration.services.renewal.BATCH_SIZE", 1)
    x.connected("bar", expires_at=timezone.now())
    assert renew_due() == "1 begun, 1 left"
    assert OrmQ.objects.count() == 1


def test_nothing_is_renewed_ahead_when_renewal_is_off(x, ending, settings):
    settings.X_AUTO_REFRESH_ENABLED = False
    assert renew_batch(clock=timezone.now) == (0, 0)


def test_one_account_that_fails_keeps_no_other_waiting(x, ending):
    x.connected("bar", expires_at=timezone.now())
    x.fault("html", path=TOKEN, user="cafe")
    renew_due()
    assert refreshes() == {"outcome=success": 1, "outcome=unknown": 1}


# --- 401 ------------------------------------------------------------------------------------------


def test_one_401_leads_to_one_renewal_and_one_more_call(x, cafe):
    item = x.approved(cafe)
    x.fault("unauthorized", path="/2/tweets")
    assert x.publish(item).state == "published"
    assert (len(x.calls("POST", TOKEN)), len(x.calls("POST", "/2/tweets"))) == (1, 2)
    assert account_of(cafe).access_token_rejected_at is None


def test_a_second_401_holds_the_account_and_raises_an_alarm(x, cafe):
    item = x.approved(cafe)
    x.fault("unauthorized", path="/2/tweets", times=None)
    assert x.publish(item).state == "approved"
    assert account_of(cafe).held_reason == "x_unauthorized"
    assert open_alarms() == ["account_held"]
    assert (len(x.calls("POST", TOKEN)), len(x.calls("POST", "/2/tweets"))) == (1, 2)


def test_a_held_account_is_not_renewed_over_and_over(x, cafe):
    hold_account(account_of(cafe), reason="x_unauthorized", actor=WORKER, now=timezone.now())
    XAccount.objects.update(access_token_rejected_at=timezone.now())
    assert [token_of(cafe) for _ in range(3)] == [None] * 3
    assert x.calls("POST", TOKEN) == []


def test_a_401_for_a_token_that_was_renewed_meanwhile_needs_no_other_renewal(x, cafe):
    item = x.approved(cafe)
    renewed: list[str] = []

    class RenewedMeanwhile(XClient):
        def create_post(self, *args, **kwargs):
            if not renewed:
                renewed.append(renew(cafe))
                x.fault("unauthorized", path="/2/tweets")
            return super().create_post(*args, **kwargs)

    publish_item(item.pk, x=RenewedMeanwhile(), actor=WORKER, clock=timezone.now)
    item.refresh_from_db()
    assert (item.state, len(x.calls("POST", TOKEN))) == ("published", 1)


def test_a_rejected_token_that_cannot_be_renewed_is_not_used_again(x, cafe, settings):
    settings.X_AUTO_REFRESH_ENABLED = False
    item = x.approved(cafe)
    x.fault("unauthorized", path="/2/tweets", times=None)
    for _ in range(3):
        QueueItem.objects.update(not_before=None)
        x.publish(item)
    assert (item.state, item.blocked_reason) == ("approved", "account_not_ready")
    assert len(x.calls("POST", "/2/tweets")) == 1
    assert account_of(cafe).connected(timezone.now()) is False


def test_401s_of_many_accounts_hold_everything_and_disconnect_nobody(x):
    names = [f"team{number}" for number in range(5)]
    items = [x.approved(x.connected(name)) for name in names]
    x.fault("unauthorized", method="*", path="/2/.*", times=None)
    for item in items:
        x.publish(item)
    assert [hold.kind for hold in SystemHold.objects.filter(lifted_at=None)] == ["mass_401"]
    assert "mass_401" in open_alarms()
    x.simulator.clear_faults()
    now = timezone.now()
    assert {account.connected_reason(now) for account in XAccount.objects.all()} == {
        "access_token_valid"
    }


def test_while_everybody_gets_401_nothing_is_renewed_for_it(x):
    workspaces = [x.connected(f"team{number}") for number in range(4)]
    place_hold("mass_401", reason="X", actor=WORKER, now=timezone.now())
    x.fault("unauthorized", method="GET", path="/2/users/.*", times=None)
    for workspace in workspaces:
        with pytest.raises(XUnauthorized):
            x.ingest(workspace)
    assert x.calls("POST", TOKEN) == []
    assert not XAccount.objects.exclude(access_token_rejected_at=None, held_at=None).exists()


@pytest.mark.parametrize(
    ("accounts", "many"), [(1, 2), (2, 2), (3, 3), (39, 3), (40, 4), (100, 10), (10_000, 10)]
)
def test_how_many_make_a_burst(accounts, many):
    assert _many(accounts) == many


def test_401s_far_apart_are_no_burst(x):
    for number in range(4):
        workspace = x.connected(f"team{number}", refresh_token=None)
        now = timezone.now() + number * 11 * MINUTE
        note_unauthorized(workspace, pair_access(workspace), actor=WORKER, now=now)
    assert not SystemHold.objects.exists()


def pair_access(workspace):
    return opened(account_of(workspace).access_token)


def test_customers_who_leave_at_one_moment_are_no_burst_either(x):
    """Each is rejected while the others' renewals are still on their way."""
    workspaces = [x.connected(f"team{number}") for number in range(4)]
    for account in XAccount.objects.all():
        XAccount.objects.filter(pk=account.pk).update(
            refresh_token=Secret.seal(f"gone{account.pk}")
        )
    x.fault("unauthorized", method="GET", path="/2/users/.*", times=None)
    x.fault("delay", path=TOKEN, ms=300, times=None)
    outcomes = run_together(*[partial(x.ingest, workspace) for workspace in workspaces])
    assert outcomes == ["XUnauthorized"] * 4
    assert not SystemHold.objects.exists()
    reasons = {account.connected_reason(timezone.now()) for account in XAccount.objects.all()}
    assert reasons == {"reauthorization_required"}


def test_a_rejected_token_is_audited_once(x, cafe):
    token, now = token_of(cafe), timezone.now()
    for _ in range(2):
        note_unauthorized(cafe, token, actor=WORKER, now=now)
    assert AuditEvent.objects.filter(type="token.reject").count() == 1


def test_an_account_that_got_other_tokens_meanwhile_is_not_held(x, cafe):
    account = account_of(cafe)
    renew(cafe)
    assert hold_account(account, reason="x", actor=WORKER, now=timezone.now()) is False


def test_a_few_401s_among_many_accounts_are_no_burst(x):
    for _ in range(40):
        XAccountFactory()
    for number in range(3):
        workspace = x.connected(f"team{number}")
        note_unauthorized(workspace, token_of(workspace), actor=WORKER, now=timezone.now())
    assert not SystemHold.objects.exists()


def test_the_only_account_is_never_a_burst(x, cafe):
    note_unauthorized(cafe, token_of(cafe), actor=WORKER, now=timezone.now())
    assert not SystemHold.objects.exists()
    assert account_of(cafe).access_token_rejected_at is not None


def test_a_401_to_a_token_that_was_renewed_a_moment_ago_holds_the_account(x, cafe):
    item = x.approved(cafe)
    XAccount.objects.update(expires_at=timezone.now())
    x.fault("unauthorized", path="/2/tweets", times=None)
    for _ in range(3):
        QueueItem.objects.update(not_before=None)
        x.publish(item)
    assert account_of(cafe).held_reason == "x_unauthorized"
    assert (len(x.calls("POST", TOKEN)), len(x.calls("POST", "/2/tweets"))) == (1, 1)


def test_a_401_that_came_late_is_noted_though_nothing_more_is_begun(x, cafe, monkeypatch):
    item = x.approved(cafe)

    class Late(XClient):
        def create_post(self, *args, **kwargs):
            monkeypatch.setattr("revfirst.batch.Patience.left", lambda self: False)
            return super().create_post(*args, **kwargs)

    x.fault("unauthorized", path="/2/tweets")
    publish_item(item.pk, x=Late(), actor=WORKER, clock=timezone.now)
    assert account_of(cafe).access_token_rejected_at is not None
    assert x.calls("POST", TOKEN) == []


def test_a_401_to_an_older_token_does_not_hold_the_account(x, cafe):
    old = token_of(cafe)
    renew(cafe)
    give_up_after_unauthorized(cafe, old, actor=WORKER, now=timezone.now())
    assert account_of(cafe).held_at is None


def test_an_account_that_was_revoked_is_not_held(x, cafe):
    account = account_of(cafe)
    revoke_workspace_x_tokens(cafe, actor=operator(cafe), now=timezone.now())
    assert hold_account(account, reason="x", actor=WORKER, now=timezone.now()) is False


def test_a_revocation_leaves_the_alarm_of_a_hold_that_stays(x, cafe):
    hold_account(account_of(cafe), reason="suspended", actor=WORKER, now=timezone.now())
    revoke_workspace_x_tokens(cafe, actor=operator(cafe), now=timezone.now())
    assert (account_of(cafe).held_reason, open_alarms()) == ("suspended", ["account_held"])


def test_customers_who_leave_together_are_no_burst(x):
    """X refuses to renew what it rejects: those grants are dead, and the status says so."""
    for number in range(4):
        workspace = x.connected(f"team{number}")
        item = x.approved(workspace)
        XAccount.objects.filter(workspace=workspace).update(refresh_token=Secret.seal("gone"))
        x.fault("unauthorized", path="/2/tweets")
        x.publish(item)
    assert not SystemHold.objects.exists()
    reasons = {account.connected_reason(timezone.now()) for account in XAccount.objects.all()}
    assert reasons == {"reauthorization_required"}


def test_a_burst_lifts_the_holds_that_it_caused(x):
    items = [x.approved(x.connected(f"team{number}")) for number in range(4)]
    x.fault("unauthorized", path="/2/tweets", times=None)
    for item in items:
        x.publish(item)
    assert not XAccount.objects.exclude(held_at=None).exists()
    assert open_alarms() == ["mass_401"]
    assert AuditEvent.objects.filter(type="account.lift_hold", data__reason="mass_401").exists()
    x.simulator.clear_faults()
    SystemHold.objects.update(lifted_at=timezone.now())
    QueueItem.objects.update(not_before=None)
    assert {x.publish(item).state for item in items} == {"published"}
    assert compare_counters() == []


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


# --- batches and clocks that meet -----------------------------------------------------------------


def test_two_batches_with_one_list_do_not_try_a_spent_token_twice(x, ending, monkeypatch):
    """The second found its list before the first lost an answer."""
    x.fault("lost_answer", path=TOKEN)
    account = account_of(ending)
    renew_batch(clock=timezone.now)
    monkeypatch.setattr("x_integration.services.renewal.due_for_renewal", lambda now: [account])
    renew_batch(clock=timezone.now)
    assert len(x.calls("POST", TOKEN)) == 1


def test_a_batch_leaves_the_accounts_to_one_that_is_at_work(x, ending):
    with alone("x-renew-batch", seconds=5) as nobody_else:
        assert nobody_else
        assert renew_batch(clock=timezone.now) == (0, 0)
    assert renew_batch(clock=timezone.now) == (1, 0)


def test_accounts_that_nobody_can_renew_do_not_keep_others_waiting(x, ending, monkeypatch):
    monkeypatch.setattr("x_integration.services.renewal.BATCH_SIZE", 1)
    lost = Secret(Fernet(Fernet.generate_key()).encrypt(b"lost").decode())
    XAccountFactory(expires_at=timezone.now() - MINUTE, refresh_token=lost)
    assert renew_batch(clock=timezone.now) == (1, 1)
    assert renew_batch(clock=timezone.now) == (1, 0)
    assert account_of(ending).token_version == 2


def test_a_lease_lasts_from_this_moment_however_old_the_callers_clock_is(x, expired):
    leased: list[Any] = []

    class Looking(XClient):
        def refresh_token(self, refresh_token):
            leased.append(account_of(expired).refresh_leased_until)
            return super().refresh_token(refresh_token)

    long_ago = timezone.now() - timedelta(seconds=125)
    refresh_workspace_x_tokens(expired, now=long_ago, x=Looking())
    assert leased[0] > timezone.now() + timedelta(seconds=110)


def test_a_holder_that_slept_before_it_asked_does_not_ask_any_more(x, expired, monkeypatch):
    monkeypatch.setattr("x_integration.services.renewal.BEGIN_SECONDS", -1)
    assert renew(expired) == "failed"
    assert account_of(expired).last_refresh_error == "lease_ran_out"
    assert x.simulator.requests() == []


def test_a_row_that_somebody_holds_for_long_is_left_alone(x, expired, monkeypatch):
    monkeypatch.setattr("x_integration.services.renewal._LOCK_SECONDS", 0.2)
    with row_held():
        assert renew(expired) == "skipped_locked"
    assert x.simulator.requests() == []


@contextmanager
def row_held():
    """Somebody else holds the account's row."""
    held, let_go = Event(), Event()

    def hold():
        with transaction.atomic():
            XAccount.objects.select_for_update().get()
            held.set()
            let_go.wait(10)
        connection.close()

    holder = Thread(target=hold)
    holder.start()
    held.wait(10)
    try:
        yield
    finally:
        let_go.set()
        holder.join()


# --- the order of the time-outs -------------------------------------------------------------------


def found():
    return sorted(problem.id for problem in checks.run_checks(tags=["x_integration"]))


def test_the_time_outs_are_in_order_as_they_come():
    assert found() == []


@pytest.mark.parametrize("seconds", [1, 25, 60, 300])
def test_a_lock_that_is_shorter_than_a_call_or_longer_than_a_task_is_an_error(settings, seconds):
    settings.X_REFRESH_LOCK_TTL_SECONDS = seconds
    assert found() == ["x_integration.E001"]


@pytest.mark.parametrize("change", [{"timeout": 30}, {"timeout": 120}, {"retry": 120}])
def test_a_task_engine_out_of_order_is_an_error(settings, change):
    settings.Q_CLUSTER = {**settings.Q_CLUSTER, **change}
    assert set(found()) == {"x_integration.E001"}


def test_a_skew_as_long_as_the_schedules_lead_is_an_error(settings):
    settings.X_REFRESH_SKEW_SECONDS = 600
    assert found() == ["x_integration.E002"]

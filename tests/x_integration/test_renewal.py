"""Renewals that go wrong: what is kept, what is tried again and when, and who is told."""

from datetime import timedelta

import pytest
from django.core import checks
from django.core.cache import cache
from django.db import OperationalError, connection, transaction
from django.utils import timezone
from django_q.models import OrmQ

from publishing.models import QueueItem
from publishing.services import publish_item
from tests.factories import XAccountFactory
from tests.worlds import WORKER, operator
from tests.x_integration.renewals import TOKEN, account_of, pair_of, refreshes, renew, token_of
from workspaces.models import Alarm, AuditEvent, SystemHold
from workspaces.services import place_hold
from x_integration.client import XClient
from x_integration.errors import XUnauthorized
from x_integration.models import XAccount
from x_integration.services import (
    due_for_renewal,
    get_workspace_x_access_token,
    hold_account,
    refresh_workspace_x_tokens,
    renew_at,
    renew_batch,
    revoke_workspace_x_tokens,
)
from x_integration.services.bursts import note_unauthorized
from x_integration.services.renewal import _Renewal
from x_integration.tasks import renew_due

MINUTE = timedelta(minutes=1)


def open_alarms():
    return sorted(Alarm.objects.filter(over_at=None).values_list("kind", flat=True))


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


def test_a_pair_is_kept_though_the_database_fails_for_a_while(x, expired, monkeypatch):
    once, failures = _Renewal._store_once, [OperationalError("gone")] * 2

    def flaky(self, pair, *, audited):
        if failures:
            raise failures.pop()
        return once(self, pair, audited=audited)

    monkeypatch.setattr(_Renewal, "_store_once", flaky)
    assert renew(expired) == "success"
    assert XClient().me(token_of(expired))[1] == "cafe"
    assert refreshes() == {"outcome=success": 1}


def test_a_pair_whose_commit_was_not_heard_of_is_not_stored_twice(x, expired, monkeypatch):
    once, told = _Renewal._store_once, []

    def deaf(self, pair, *, audited):
        stored = once(self, pair, audited=audited)
        if not told:
            told.append(stored)
            raise OperationalError("the answer to COMMIT was lost")
        return stored

    monkeypatch.setattr(_Renewal, "_store_once", deaf)
    assert renew(expired) == "success"
    assert account_of(expired).token_version == 2
    assert refreshes() == {"outcome=success": 1}


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
    monkeypatch.setattr("x_integration.services.renewal._KEEP_SECONDS", 0.5)
    assert renew(expired) == "success"
    assert XClient().me(token_of(expired))[1] == "cafe"
    assert refreshes() == {}


# --- tried again, and when ------------------------------------------------------------------------


@pytest.fixture
def ending(x):
    """A token that lives for eight more minutes: it is due, and good."""
    return x.connected("cafe", expires_at=timezone.now() + 8 * MINUTE)


def try_again_in(workspace):
    left = account_of(workspace).refresh_not_before - timezone.now()
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


def test_renewing_inside_a_transaction_is_a_mistake_and_takes_no_lease(x, expired):
    with transaction.atomic(), pytest.raises(RuntimeError):
        renew(expired)
    assert account_of(expired).refresh_leased_until is None


# --- ahead of expiry ------------------------------------------------------------------------------


@pytest.mark.django_db
def test_accounts_are_renewed_ten_to_twenty_minutes_ahead_spread_evenly():
    now = timezone.now()
    accounts = [XAccountFactory.build(pk=pk, workspace=None, expires_at=now) for pk in range(1000)]
    ahead = sorted((now - renew_at(account)).total_seconds() / 60 for account in accounts)
    assert 10 <= ahead[0] < 10.1
    assert 19.9 < ahead[-1] < 20
    assert 14 < ahead[500] < 16


@pytest.mark.django_db
def test_an_account_is_due_from_its_own_instant_on():
    account = XAccountFactory()
    instant = renew_at(account)
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
    item, renewed = x.approved(cafe), []

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

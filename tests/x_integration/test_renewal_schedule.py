"""Renewals ahead of expiry: when, in batches, and batches and clocks that meet."""

from datetime import timedelta
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.utils import timezone
from django_q.models import OrmQ

from tests.factories import XAccountFactory
from tests.locks import held
from tests.x_integration.conftest import MINUTE
from tests.x_integration.renewals import (
    TOKEN,
    account_of,
    pair_of,
    refreshes,
    renew,
)
from x_integration.client import XClient
from x_integration.crypto import Secret
from x_integration.locks import alone
from x_integration.models import XAccount
from x_integration.services import (
    due_for_renewal,
    refresh_workspace_x_tokens,
    renew_at,
    renew_batch,
)
from x_integration.tasks import renew_due

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
    monkeypatch.setattr("x_integration.services.renewal_schedule.BATCH_SIZE", 1)
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


# --- batches and clocks that meet -----------------------------------------------------------------


def test_two_batches_with_one_list_do_not_try_a_spent_token_twice(x, ending, monkeypatch):
    """The second found its list before the first lost an answer."""
    x.fault("lost_answer", path=TOKEN)
    account = account_of(ending)
    renew_batch(clock=timezone.now)
    monkeypatch.setattr(
        "x_integration.services.renewal_schedule.due_for_renewal", lambda now: [account]
    )
    renew_batch(clock=timezone.now)
    assert len(x.calls("POST", TOKEN)) == 1


def test_a_batch_leaves_the_accounts_to_one_that_is_at_work(x, ending):
    with alone("x-renew-batch", seconds=5) as nobody_else:
        assert nobody_else
        assert renew_batch(clock=timezone.now) == (0, 0)
    assert renew_batch(clock=timezone.now) == (1, 0)


def test_accounts_that_nobody_can_renew_do_not_keep_others_waiting(x, ending, monkeypatch):
    monkeypatch.setattr("x_integration.services.renewal_schedule.BATCH_SIZE", 1)
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
    monkeypatch.setattr("x_integration.services.renewal.LOCK_SECONDS_OF_OTHERS", 0.2)
    with held(XAccount.objects.get()):
        assert renew(expired) == "skipped_locked"
    assert x.simulator.requests() == []

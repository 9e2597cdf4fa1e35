"""Who is told of a budget that is almost spent, when, and how often; what /metrics shows of it."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from publishing.series import money
from publishing.services import reserved_for_reading, sweep, warn_of_budgets
from tests.concurrency import run_together
from tests.factories import WorkspaceFactory
from tests.worlds import WORKER
from workspaces.models import Alarm, AuditEvent, Workspace
from x_integration.services import record_spend

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def cafe():
    """A workspace that may spend a dollar a day and ten a month."""
    return WorkspaceFactory(slug="cafe", daily_budget_usd=1, monthly_budget_usd=10)


def spend(workspace, usd, *, now=NOON):
    record_spend(workspace, "post", Decimal(usd), subject="account", now=now)


def warn(now=NOON) -> int:
    return warn_of_budgets(actor=WORKER, now=now)


def open_alarms() -> list[str]:
    return sorted(Alarm.objects.filter(over_at=None).values_list("kind", flat=True))


@pytest.mark.parametrize(("usd", "told"), [("0.7999", []), ("0.8", ["daily_budget"])])
def test_a_day_s_budget_is_told_of_at_four_fifths(cafe, usd, told):
    spend(cafe, usd)
    assert warn() == len(told)
    assert open_alarms() == told


def test_the_sweep_tells_of_it_with_an_alarm_and_an_audit_row(cafe):
    spend(cafe, "0.85")
    sweep(actor=WORKER, now=NOON)
    assert Alarm.objects.get().detail == (
        "0.85 of 1.00 USD of this day's budget are spent: reading stops at 90 %, publishing at 100 %."
    )
    row = AuditEvent.objects.get()
    assert (row.type, row.chain, row.subject) == ("budget.warn", str(cafe.pk), "workspace")
    assert row.data == {"period": "day", "budget_usd": "1.00", "spent_usd": "0.8500"}


def test_it_is_told_once_and_on_the_next_day_again(cafe):
    spend(cafe, "0.85")
    assert [warn(), warn(NOON + timedelta(hours=11))] == [1, 0]
    tomorrow = NOON + timedelta(days=1)
    assert (warn(tomorrow), open_alarms()) == (0, [])
    spend(cafe, "0.90", now=tomorrow)
    assert (warn(tomorrow), open_alarms()) == (1, ["daily_budget"])


def test_a_day_that_begins_where_the_last_one_ended_is_told_of_anew(cafe):
    """No sweep saw the hour between the two."""
    spend(cafe, "0.85")
    warn()
    tomorrow = NOON + timedelta(days=1)
    spend(cafe, "0.85", now=tomorrow)
    assert (warn(tomorrow), open_alarms()) == (1, ["daily_budget"])
    assert AuditEvent.objects.filter(type="budget.warn").count() == 2


def test_a_month_has_its_own_alarm_until_it_turns(cafe):
    spend(cafe, "8", now=NOON - timedelta(days=20))
    assert (warn(), open_alarms()) == (1, ["monthly_budget"])
    assert (warn(NOON + timedelta(days=3)), open_alarms()) == (0, [])


def test_a_raised_budget_ends_the_alarm(cafe):
    spend(cafe, "0.85")
    warn()
    Workspace.objects.update(daily_budget_usd=2)
    assert (warn(), open_alarms()) == (0, [])


def test_who_has_no_budget_or_spent_nothing_is_not_told_of(cafe):
    Workspace.objects.update(daily_budget_usd=0, monthly_budget_usd=None)
    spend(WorkspaceFactory(), "100")
    assert (warn(), open_alarms()) == (0, [])


def test_one_workspace_s_alarm_says_nothing_of_another(cafe):
    WorkspaceFactory(daily_budget_usd=1)
    spend(cafe, "0.85")
    assert warn() == 1
    assert Alarm.objects.get().workspace == cafe


def test_sweeps_side_by_side_tell_of_it_once(cafe):
    spend(cafe, "0.85")
    assert run_together(*[warn] * 4) == ["ok"] * 4
    assert AuditEvent.objects.filter(type="budget.warn").count() == 1
    assert len(open_alarms()) == 1


def test_a_sweep_asks_of_a_hundred_workspaces_what_it_asks_of_one(cafe):
    def asked() -> int:
        with CaptureQueriesContext(connection) as statements:
            warn()
        return len(statements)

    alone = asked()
    for _ in range(100):
        WorkspaceFactory(daily_budget_usd=1)
    assert asked() == alone == 2


def test_metrics_show_what_is_spent_and_of_what(cafe):
    bar = WorkspaceFactory(slug="bar")
    now = datetime.now(UTC)
    spend(cafe, "0.25", now=now)
    spend(bar, "3", now=now)
    told = {
        (metric.name.removeprefix("revfirst_"), *sample.labels.values()): sample.value
        for metric in money()
        for sample in metric.samples
    }
    assert told == {
        ("budget_usd", "cafe", "day"): 1,
        ("budget_usd", "cafe", "month"): 10,
        ("spent_usd", "cafe", "day"): 0.25,
        ("spent_usd", "cafe", "month"): 0.25,
        ("spent_usd", "bar", "day"): 3,
        ("spent_usd", "bar", "month"): 3,
    }


def test_reading_has_nine_tenths_and_what_was_spent_before_the_first_does_not_count(cafe):
    spend(cafe, "9", now=NOON.replace(month=10))
    spend(cafe, "0.4")
    with reserved_for_reading(cafe, now=NOON) as usd:
        assert usd == Decimal("0.5")

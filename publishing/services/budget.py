"""What a workspace may still spend, and who is told: reading stops at 90 %, publishing at 100 %, looks never."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING

from django.db import transaction
from django.db.models import OuterRef, Subquery, Sum
from django.db.models.functions import Coalesce

from publishing.errors import ReadElsewhere
from publishing.models import PublishAttempt, ReadingReservation
from publishing.states import Outcome
from revfirst.batch import each_alone
from workspaces import audit
from workspaces.models import Alarm, Workspace
from workspaces.policy import policy_of
from workspaces.services import holding_nobody_up, raise_alarm
from x_integration.models import Spend
from x_integration.prices import utc_day
from x_integration.services import READING_LASTS

if TYPE_CHECKING:
    from django.db.models import QuerySet

    from workspaces.actors import Actor

WARNING_SHARE, READING_SHARE = Decimal("0.8"), Decimal("0.9")
DAY, MONTH = "day", "month"
_ALARMS = {DAY: "daily_budget", MONTH: "monthly_budget"}


@dataclass(frozen=True)
class Purse:
    """What a workspace may spend within the day or the month that runs, by UTC, and what it has spent."""

    workspace: Workspace
    period: str
    begun: datetime
    budget: Decimal | None  # None is no limit
    spent: Decimal

    @property
    def share(self) -> Decimal | None:
        """How much of the budget is spent, 1 being all of it; None without a budget."""
        if self.budget is None:
            return None
        return self.spent / self.budget if self.budget else Decimal(1)

    @property
    def asks_for_a_look(self) -> bool:
        """Whether so much is spent that a person has to know."""
        return bool(self.spent and self.share is not None and self.share >= WARNING_SHARE)

    @property
    def alarm(self) -> str:
        """The alarm that tells of it."""
        return _ALARMS[self.period]


def purses_of(workspaces: QuerySet[Workspace], *, now: datetime) -> Iterator[tuple[Purse, Purse]]:
    """Of each workspace the purse of the day and that of the month; one statement for all of them."""
    today = utc_day(now)
    first = today.replace(day=1)
    rows = workspaces.annotate(day_usd=_spent(day=today), month_usd=_spent(day__gte=first))
    for row in rows:
        policy = policy_of(row)
        yield (
            Purse(row, DAY, _midnight(today), policy.daily_budget_usd, row.day_usd),
            Purse(row, MONTH, _midnight(first), policy.monthly_budget_usd, row.month_usd),
        )


def _spent(**when: date) -> Coalesce:
    """The sum of a workspace's ledger within these days."""
    rows = Spend.objects.filter(workspace=OuterRef("pk"), **when).order_by().values("workspace")
    return Coalesce(Subquery(rows.values(usd=Sum("usd"))), Decimal(0))


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time.min, UTC)


@contextmanager
def reserved_for_reading(workspace: Workspace, *, now: datetime) -> Iterator[Decimal | None]:
    """US dollars that the reading within may cost, at least 0; None where no budget limits it.

    They are kept from whoever publishes meanwhile, until the reading ends, or for as long as one may last
    where it died. Looks for a doubtful post do not ask: they are never stopped. Raises ReadElsewhere where
    another reading has them, and Busy.
    """
    if not _limited().filter(pk=workspace.pk).exists():
        yield None
        return
    until = now + READING_LASTS
    with holding_nobody_up():  # with the lock that a claim has: one of the two sees the other
        Workspace.objects.select_for_update(no_key=True).get(pk=workspace.pk)
        standing = ReadingReservation.objects.filter(workspace=workspace)
        if standing.filter(until__gt=now).exists():
            raise ReadElsewhere
        if (usd := _usd_for_reading(workspace, now=now)) is not None:
            reservation = {"usd": usd, "until": until}
            ReadingReservation.objects.update_or_create(workspace=workspace, defaults=reservation)
    try:
        yield usd
    finally:
        standing.filter(until=until).delete()


def _limited() -> QuerySet[Workspace]:
    """The workspaces that have a budget."""
    return Workspace.objects.exclude(daily_budget_usd=None, monthly_budget_usd=None)


def _usd_for_reading(workspace: Workspace, *, now: datetime) -> Decimal | None:
    """What is left for reading; what is in flight to X counts as spent.

    It is asked first: what is confirmed between the two, which locks no workspace, counts twice and not never.
    """
    flying = PublishAttempt.objects.filter(workspace=workspace, outcome=Outcome.IN_FLIGHT)
    reserved = flying.aggregate(usd=Sum("usd"))["usd"] or Decimal(0)
    (purses,) = purses_of(Workspace.objects.filter(pk=workspace.pk), now=now)
    left = [
        purse.budget * READING_SHARE - purse.spent - reserved
        for purse in purses
        if purse.budget is not None
    ]
    return max(min(left), Decimal(0)) if left else None


# --- who is told ----------------------------------------------------------------------------------


def warn_of_budgets(*, actor: Actor, now: datetime) -> int:
    """Raise an alarm for each budget of which 80 % are spent, once for the period; how many were raised.

    An alarm is over when its day or month is, or when the budget was raised.
    """
    near: dict[tuple[object, str], Purse] = {
        (purse.workspace.pk, purse.alarm): purse
        for purses in purses_of(_limited(), now=now)
        for purse in purses
        if purse.asks_for_a_look
    }
    told = set[tuple[object, str]]()
    for alarm in Alarm.objects.filter(kind__in=_ALARMS.values(), over_at=None):
        purse = near.get((alarm.workspace_id, alarm.kind))
        if purse is not None and alarm.raised_at >= purse.begun:
            told.add((alarm.workspace_id, alarm.kind))
        else:
            _end(alarm, now=now)
    untold = [purse for key, purse in near.items() if key not in told]
    return sum(each_alone(untold, partial(_warn, actor=actor, now=now)))


def _end(alarm: Alarm, *, now: datetime) -> None:
    with transaction.atomic(durable=True):
        Alarm.objects.filter(pk=alarm.pk, over_at=None).update(over_at=now)


def _warn(purse: Purse, *, actor: Actor, now: datetime) -> bool:
    """Alarm and audit row; nothing where another sweep was first. Raises Busy."""
    with holding_nobody_up():
        workspace = Workspace.objects.select_for_update(no_key=True).get(pk=purse.workspace.pk)
        if workspace.alarms.filter(kind=purse.alarm, over_at=None).exists():
            return False
        detail = (
            f"{purse.spent:.2f} of {purse.budget:.2f} USD of this {purse.period}'s budget are spent: "
            "reading stops at 90 %, publishing at 100 %."
        )
        raise_alarm(purse.alarm, detail=detail, workspace=workspace, now=now)
        audit.record(
            "budget.warn",
            workspace=workspace,
            subject="workspace",
            actor=actor,
            now=now,
            data={
                "period": purse.period,
                "budget_usd": str(purse.budget),
                "spent_usd": str(purse.spent),
            },
        )
    return True

"""What the gates ask about, read in one statement after the rows are locked.

A statement sees what was committed before it began: read after the locks, it sees every reservation
of whoever held them before.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db.models import DateTimeField, DecimalField, Exists, Max, Subquery, Sum, Value
from django.db.models.functions import Coalesce

from publishing.models import CircuitBreaker, Kind, OptOut, PublishAttempt, QueueItem
from publishing.states import OPEN_OUTCOMES, Outcome
from workspaces.models import Membership, SystemHold, SystemSwitch, User, Workspace
from workspaces.policy import Policy
from workspaces.services import KILL_SWITCH
from x_integration.client import CREATE_POST
from x_integration.models import RateWindow, Spend, XAccount

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
_USD: Any = DecimalField(max_digits=14, decimal_places=4)


@dataclass(frozen=True)
class Facts:
    """Answers of rows; instants are UTC, money is US dollars."""

    kill_switch: bool
    system_hold: bool
    approver_may: bool
    opted_out: bool
    item_is_open: bool  # something of this item was sent, or may have been
    last_of_target: datetime | None  # when something was sent in answer to the same post
    last_of_text: datetime | None  # when the same text was sent to the same target, or as a post
    last_in_thread: datetime | None
    last_to_author: datetime | None
    hourly_nth: datetime | None  # when the reply was sent that fills the hourly quota
    daily_nth: datetime | None
    last_number: int  # of the item's attempts
    spent_today: Decimal
    spent_this_month: Decimal
    reserved: Decimal  # the price of what is in flight
    rate_resets_at: datetime | None  # nothing is left of X's rate limit until then
    breaker_shut_until: datetime | None  # None while it is closed

    @property
    def breaker_is_open(self) -> bool:
        """Whether whoever is let through now is the one try."""
        return self.breaker_shut_until is not None


def facts_about(
    item: QueueItem,
    *,
    workspace: Workspace,
    account: XAccount | None,
    approver: User | None,
    text_hash: str,
    policy: Policy,
    now: datetime,
) -> Facts:
    """Everything at once; `item` may be one that is not saved yet."""
    about = {
        **_switches(),
        **_people(item, workspace, approver),
        **_sent(item, workspace, text_hash, policy),
        **_money(workspace, now),
        **_of_x(account, now),
    }
    row: Any = Workspace.objects.filter(pk=workspace.pk).values(**about).get()
    return Facts(**{field.name: row[field.name] for field in fields(Facts)})


def _switches() -> dict[str, Any]:
    return {
        "kill_switch": Exists(SystemSwitch.objects.filter(name=KILL_SWITCH, on=True)),
        "system_hold": Exists(SystemHold.objects.filter(lifted_at=None)),
    }


def _people(item: QueueItem, workspace: Workspace, approver: User | None) -> dict[str, Any]:
    author = item.source_post.author_id if item.source_post else ""
    operators = Membership.objects.filter(
        workspace=workspace, role__in=Membership.OPERATORS, user__is_active=True
    )
    return {
        "approver_may": Exists(operators.filter(user=approver)),
        "opted_out": Exists(OptOut.objects.filter(workspace=workspace, author_id=author)),
    }


def _sent(item: QueueItem, workspace: Workspace, text_hash: str, policy: Policy) -> dict[str, Any]:
    """What was sent, or may have been: each open attempt is a reservation."""
    sent = PublishAttempt.objects.filter(workspace=workspace, outcome__in=OPEN_OUTCOMES)
    target = item.source_post.x_post_id if item.source_post else ""
    thread = item.source_post.thread if item.source_post else ""
    author = item.source_post.author_id if item.source_post else ""
    replies = sent.filter(kind=Kind.REPLY)
    return {
        "item_is_open": Exists(sent.filter(item=item.pk)),
        "last_of_target": _newest(sent.filter(target=target) if target else sent.none()),
        "last_of_text": _newest(sent.filter(target=target, text_hash=text_hash)),
        "last_in_thread": _newest(sent.filter(thread=thread) if thread else sent.none()),
        "last_to_author": _newest(sent.filter(author_id=author) if author else sent.none()),
        "hourly_nth": _newest(replies, nth=policy.replies_per_hour),
        "daily_nth": _newest(replies, nth=policy.replies_per_day),
        "last_number": Coalesce(
            Subquery(
                PublishAttempt.objects.filter(item=item.pk)
                .values("item")
                .annotate(last=Max("number"))
                .values("last")
            ),
            Value(0),
        ),
    }


def _newest(attempts: Any, *, nth: int = 1) -> Any:
    """When the newest of them began, or the `nth` newest; None when there are fewer."""
    if nth < 1:
        return Value(None, output_field=DateTimeField())
    return Subquery(attempts.order_by("-started_at").values("started_at")[nth - 1 : nth])


def _money(workspace: Workspace, now: datetime) -> dict[str, Any]:
    today = now.astimezone(UTC).date()
    spends = Spend.objects.filter(workspace=workspace)
    in_flight = PublishAttempt.objects.filter(workspace=workspace, outcome=Outcome.IN_FLIGHT)
    return {
        "spent_today": _sum(spends.filter(day=today)),
        "spent_this_month": _sum(spends.filter(day__gte=today.replace(day=1))),
        "reserved": _sum(in_flight),
    }


def _sum(rows: Any) -> Any:
    total = rows.order_by().values("workspace").annotate(total=Sum("usd")).values("total")
    return Coalesce(Subquery(total), Value(Decimal(0)), output_field=_USD)


def _of_x(account: XAccount | None, now: datetime) -> dict[str, Any]:
    spent = RateWindow.objects.filter(
        account=account, endpoint=CREATE_POST, remaining=0, reset_at__gt=now
    )
    breaker = CircuitBreaker.objects.filter(pk=CircuitBreaker.X)
    return {
        "rate_resets_at": Subquery(spent.values("reset_at")[:1]),
        "breaker_shut_until": Subquery(breaker.values("shut_until")[:1]),
    }

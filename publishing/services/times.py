"""For when a post of our own is planned: may it be then, and until when does it make sense?

Asked under the lock of the workspace's row, so that two people do not take one slot.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db.models import QuerySet

from publishing.errors import NoSlot, NotATime, SlotTaken
from publishing.models import Kind, QueueItem
from publishing.plan import APART, DAY, Plan
from publishing.services.plans import plan_of
from revfirst.db import wait_for_locks_at_most
from workspaces.models import Workspace
from workspaces.services import LOCK_SECONDS_WITH_A_WORKSPACE

FURTHEST_AHEAD = timedelta(days=3653)


def check_time(
    workspace: Workspace, at: datetime, *, now: datetime, besides: int = 0
) -> dict[str, datetime]:
    """The columns of a post that is planned for `at`, when it may be; `besides` is the post itself.

    Raises NotATime or SlotTaken, with what would do instead.
    """
    plan = plan_of(workspace)
    _check_alone(plan, workspace, at, now=now)
    _check_apart(plan, workspace, at, besides=besides)
    return {"scheduled_for": at, "relevant_until": plan.until(at)}


def _check_apart(plan: Plan, workspace: Workspace, at: datetime, *, besides: int) -> None:
    """From what else takes a slot."""
    taken = _taken(workspace, at - APART, at + APART, besides)
    if near := next((post for post in taken if abs(post.takes_place_at - at) < APART), None):
        raise SlotTaken(
            f"{near} has its place at {plan.in_words(near.takes_place_at)}: two posts of our own lie at "
            f"least {int(APART.total_seconds()) // 60} minutes apart."
        )


def _check_alone(plan: Plan, workspace: Workspace, at: datetime, *, now: datetime) -> None:
    """Whatever else is planned."""
    if at <= now:
        raise NotATime("That time is over: choose one in the future.")
    if at > now + FURTHEST_AHEAD:
        raise NotATime("That is more than ten years ahead.")
    if plan.windows and plan.span_of(at) is None:
        raise NotATime(
            f"{plan.in_words(at)} is in none of the publish windows of {workspace}, or in the last five "
            f"minutes of one. The next ones: {plan.next_windows(at)}."
        )


def new_time(item: QueueItem, at: datetime | None, *, now: datetime) -> dict[str, Any]:
    """The columns that give the item another time; none for None. Locks the workspace's row.

    Raises NotATime or SlotTaken.
    """
    if at is None:
        return {}
    if item.kind != Kind.POST:
        raise NotATime("Only a post of our own is planned for a time.")
    _lock(item.workspace)
    return check_time(item.workspace, at, now=now, besides=item.pk)


def check_slot_is_free(item: QueueItem) -> None:
    """For what comes back with the time that it had. Locks the workspace's row. Raises SlotTaken."""
    if item.kind == Kind.POST and item.scheduled_for is not None:
        _lock(item.workspace)
        plan = plan_of(item.workspace)
        _check_apart(plan, item.workspace, item.scheduled_for, besides=item.pk)


def _lock(workspace: Workspace) -> None:
    Workspace.objects.select_for_update(no_key=True).get(pk=workspace.pk)
    wait_for_locks_at_most(LOCK_SECONDS_WITH_A_WORKSPACE)


def next_slot(workspace: Workspace, *, now: datetime, besides: int = 0) -> datetime:
    """The next free slot within the windows. Raises NoSlot."""
    plan = plan_of(workspace)
    if not plan.windows:
        raise NoSlot(f"{workspace} has no publish windows: choose a day and a time.")
    slot = plan.next_slot(taken=taken_times(workspace, now=now, besides=besides), now=now)
    if slot is None:
        raise NoSlot
    return slot


def taken_times(workspace: Workspace, *, now: datetime, besides: int = 0) -> list[datetime]:
    """The instants around now and later for which posts are planned, or at which they went out."""
    taken = _taken(workspace, now - 2 * DAY, now + FURTHEST_AHEAD, besides)
    return [post.takes_place_at for post in taken]


def _taken(
    workspace: Workspace, start: datetime, end: datetime, besides: int
) -> QuerySet[QueueItem]:
    rows = QueueItem.objects.on_the_calendar(workspace, start, end).that_take_a_slot()
    return rows.exclude(pk=besides).only("number", "scheduled_for", "moved_at")

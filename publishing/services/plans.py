"""A workspace's posting plan: how it is read, how far each part may go, and how it is changed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from publishing.errors import NotAPlan
from publishing.models import PostingPlan, PublishWindow
from publishing.plan import MINUTES_A_DAY, ROOM, Plan, Window, zones
from workspaces import audit
from workspaces.actors import Actor
from workspaces.models import Workspace
from workspaces.services import check_operator, holding_nobody_up

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
LIMITS: Mapping[str, tuple[str, int, int]] = {
    "posts_per_day": ("Posts of our own a day", 0, 48),
    "late_minutes": ("Minutes after which a post is too late", 5, MINUTES_A_DAY),
}
Hours = tuple[tuple[int, int], ...]
"""The windows of one weekday: when each opens and closes, in minutes after local midnight."""


def plan_of(workspace: Workspace) -> Plan:
    """The plan as it stands; without a row, UTC, no windows and no target."""
    row = PostingPlan.objects.filter(pk=workspace.pk).first() or PostingPlan()
    windows = workspace.publish_windows.order_by("weekday", "opens")
    return Plan(
        zone_name=row.time_zone,
        posts_per_day=row.posts_per_day,
        late=timedelta(minutes=row.late_minutes),
        windows=tuple(Window(w.weekday, w.opens, w.closes) for w in windows),
    )


def columns_of(plan: Plan) -> dict[str, Any]:
    """The plan as `change_plan` takes it: its numbers, its zone, and the hours of each weekday."""
    hours = {
        name: tuple((w.opens, w.closes) for w in plan.windows if w.weekday == weekday)
        for weekday, name in enumerate(WEEKDAYS)
    }
    late_minutes = int(plan.late.total_seconds()) // 60
    return {
        "time_zone": plan.zone_name,
        "posts_per_day": plan.posts_per_day,
        "late_minutes": late_minutes,
        **hours,
    }


def change_plan(
    workspace: Workspace, *, changes: Mapping[str, Any], actor: Actor, now: datetime
) -> bool:
    """Set what `changes` names: the time zone, a number, or a weekday's hours; whether it changed.

    What is planned already stays where it is. Raises NotAllowed, NotAPlan or Busy.
    """
    for name, value in changes.items():
        _check(name, value)
    if actor.user:
        check_operator(actor.user, workspace)
    with holding_nobody_up():
        Workspace.objects.select_for_update(no_key=True).get(pk=workspace.pk)
        before = columns_of(plan_of(workspace))
        moved = {name: new for name, new in changes.items() if before[name] != new}
        if not moved:
            return False
        _write(workspace, moved)
        audit.record(
            "workspace.posting_plan",
            workspace=workspace,
            subject="workspace",
            actor=actor,
            now=now,
            data={name: [_plain(before[name]), _plain(new)] for name, new in moved.items()},
        )
    return True


def _write(workspace: Workspace, moved: Mapping[str, Any]) -> None:
    columns = {name: new for name, new in moved.items() if name not in WEEKDAYS}
    PostingPlan.objects.get_or_create(workspace=workspace)
    if columns:
        PostingPlan.objects.filter(pk=workspace.pk).update(**columns)
    for name in moved.keys() & set(WEEKDAYS):
        weekday = WEEKDAYS.index(name)
        workspace.publish_windows.filter(weekday=weekday).delete()
        PublishWindow.objects.bulk_create(
            PublishWindow(workspace=workspace, weekday=weekday, opens=opens, closes=closes)
            for opens, closes in moved[name]
        )


def _check(name: str, value: Any) -> None:
    """Raise NotAPlan, in a sentence, for what it cannot be."""
    if name in WEEKDAYS:
        check_hours(value, name.capitalize())
    elif name == "time_zone":
        if value not in zones():
            raise NotAPlan(f"There is no time zone {value}: take one such as Europe/Lisbon.")
    elif name in LIMITS:
        words, least, most = LIMITS[name]
        is_number = isinstance(value, int) and not isinstance(value, bool)
        if not is_number or not least <= value <= most:
            raise NotAPlan(f"{words}: a whole number from {least} to {most}.")
    else:
        raise NotAPlan("There is no such part of a plan.")


def check_hours(hours: Hours, day: str) -> None:
    """Raise NotAPlan where a window is none, or two of them overlap; they come in order."""
    room = int(ROOM.total_seconds()) // 60
    for opens, closes in hours:
        shown = Window(0, opens, closes)
        if not 0 <= opens < closes <= MINUTES_A_DAY:
            raise NotAPlan(f"{day}: {shown} does not close after it opens, on the same day.")
        if closes - opens < room:
            raise NotAPlan(f"{day}: {shown} is too short, a window lasts at least {room} minutes.")
    for first, second in pairwise(hours):
        if second[0] < first[1]:
            raise NotAPlan(f"{day}: {Window(0, *first)} and {Window(0, *second)} overlap.")


def in_words(hours: Hours) -> str:
    """The windows of a weekday as a person writes them; "" when it has none."""
    return ", ".join(str(Window(0, opens, closes)) for opens, closes in hours)


def _plain(value: Any) -> Any:
    """As an audit row holds it."""
    return (in_words(value) or "closed") if isinstance(value, tuple) else value

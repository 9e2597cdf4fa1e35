"""A workspace's own limits: how far each may go, and how they are changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from workspaces import audit
from workspaces.actors import Actor
from workspaces.errors import NotAllowed, NotAPolicy
from workspaces.models import Membership, Workspace
from workspaces.services.roles import check_operator, role_of
from workspaces.services.switches import holding_nobody_up


@dataclass(frozen=True)
class Limit:
    """What a limit is called, its unit ("" for a plain count), and how far it may go.

    `setting` names the system's, if it has one.
    """

    words: str
    unit: str
    at_least: int
    at_most: int
    setting: str | None = None

    @property
    def is_money(self) -> bool:
        """Whether it is an amount in US dollars; the others are whole numbers."""
        return self.unit == "USD"


LIMITS: Mapping[str, Limit] = {
    "approval_ttl_hours": Limit("An approval lives", "hours", 1, 8760, "APPROVAL_TTL_HOURS"),
    "thread_cooldown_minutes": Limit(
        "Between two replies in one conversation",
        "minutes",
        0,
        43_200,
        "PUBLISH_THREAD_COOLDOWN_MINUTES",
    ),
    "author_cooldown_minutes": Limit(
        "Between two replies to one person",
        "minutes",
        0,
        43_200,
        "PUBLISH_AUTHOR_COOLDOWN_MINUTES",
    ),
    "max_replies_per_hour": Limit("Replies per hour", "", 0, 1000, "MAX_REPLIES_PER_HOUR"),
    "max_replies_per_day": Limit("Replies per day", "", 0, 10_000, "MAX_REPLIES_PER_DAY"),
    "max_consecutive_failures": Limit(
        "Failures in a row that contain the workspace",
        "",
        1,
        100,
        "MAX_CONSECUTIVE_PUBLISH_FAILURES",
    ),
    "daily_budget_usd": Limit("Budget per day", "USD", 0, 1_000_000),
    "monthly_budget_usd": Limit("Budget per month", "USD", 0, 1_000_000),
}


def change_policy(
    workspace: Workspace, *, changes: Mapping[str, Any], actor: Actor, now: datetime
) -> bool:
    """Set what `changes` names: `four_eyes` or a limit, None for the system's; whether it changed.

    Only an owner switches four eyes off. Raises NotAllowed, NotAPolicy or Busy.
    """
    for name, value in changes.items():
        _check(name, value)
    if actor.user:
        check_operator(actor.user, workspace)
    with holding_nobody_up():
        row = Workspace.objects.select_for_update(no_key=True).get(pk=workspace.pk)
        moved = {
            name: (getattr(row, name), value)
            for name, value in changes.items()
            if getattr(row, name) != value
        }
        if moved.get("four_eyes") == (True, False):
            _check_owner(actor, row)
        if not moved:
            return False
        Workspace.objects.filter(pk=row.pk).update(
            **{name: new for name, (_, new) in moved.items()}
        )
        audit.record(
            "workspace.policy",
            workspace=row,
            subject="workspace",
            actor=actor,
            now=now,
            data={name: [_plain(old), _plain(new)] for name, (old, new) in moved.items()},
        )
    return True


def _check(name: str, value: Any) -> None:
    """Raise NotAPolicy, with the limit's own words, for what it cannot be."""
    if name == "four_eyes":
        if not isinstance(value, bool):
            raise NotAPolicy("Four eyes is either on or off.")
        return
    limit = LIMITS.get(name)
    if limit is None:
        raise NotAPolicy("There is no such limit.")
    if value is None:
        return
    if not _fits(value, limit):
        what = "an amount in whole cents" if limit.is_money else "a whole number"
        raise NotAPolicy(
            f"{limit.words}: {what} of at least {limit.at_least} and at most {limit.at_most:,}."
        )


def _fits(value: Any, limit: Limit) -> bool:
    """Whether it is a number of the limit's kind, within it, and of money no parts of a cent."""
    if limit.is_money:
        if not (isinstance(value, Decimal) and value.is_finite()):
            return False
    elif not isinstance(value, int) or isinstance(value, bool):
        return False
    return bool(limit.at_least <= value <= limit.at_most and value == round(value, 2))


def _check_owner(actor: Actor, workspace: Workspace) -> None:
    if actor.user and role_of(actor.user, workspace) != Membership.Role.OWNER:
        raise NotAllowed("Only an owner may switch four eyes off.")


def _plain(value: Any) -> Any:
    """As an audit row holds it."""
    return f"{value:.2f}" if isinstance(value, Decimal) else value

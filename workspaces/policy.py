"""By which limits a workspace publishes: the settings', and its own where they are stricter."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from django.conf import settings

from workspaces.models import Workspace


@dataclass(frozen=True)
class Policy:
    """The limits that hold. A budget of None is no limit; a cooldown of zero keeps nobody waiting."""

    four_eyes: bool
    approval_ttl: timedelta
    thread_cooldown: timedelta
    author_cooldown: timedelta
    replies_per_hour: int
    replies_per_day: int
    consecutive_failures: int  # at least 1: so many in a row contain the workspace
    daily_budget_usd: Decimal | None
    monthly_budget_usd: Decimal | None


def policy_of(workspace: Workspace) -> Policy:
    """The limits of the workspace as it was read: of a setting and a column, the stricter."""
    w = workspace
    return Policy(
        four_eyes=w.four_eyes,
        approval_ttl=timedelta(hours=_fewer(settings.APPROVAL_TTL_HOURS, w.approval_ttl_hours)),
        thread_cooldown=_longer(
            settings.PUBLISH_THREAD_COOLDOWN_MINUTES, w.thread_cooldown_minutes
        ),
        author_cooldown=_longer(
            settings.PUBLISH_AUTHOR_COOLDOWN_MINUTES, w.author_cooldown_minutes
        ),
        replies_per_hour=_fewer(settings.MAX_REPLIES_PER_HOUR, w.max_replies_per_hour),
        replies_per_day=_fewer(settings.MAX_REPLIES_PER_DAY, w.max_replies_per_day),
        consecutive_failures=max(
            1, _fewer(settings.MAX_CONSECUTIVE_PUBLISH_FAILURES, w.max_consecutive_failures)
        ),
        daily_budget_usd=w.daily_budget_usd,
        monthly_budget_usd=w.monthly_budget_usd,
    )


def _fewer(setting: int, own: int | None) -> int:
    return setting if own is None else min(setting, own)


def _longer(setting: int, own: int | None) -> timedelta:
    return timedelta(minutes=setting if own is None else max(setting, own))

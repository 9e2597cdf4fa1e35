"""Signs of life, schedules, and one turn of the whole cycle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from django.db import transaction
from django_q.models import Schedule as ScheduleRow
from django_q.models import Success

from control.models import Heartbeat
from publishing.services import propose_replies
from workspaces.actors import Actor
from workspaces.models import Workspace
from x_integration.models import XAccount
from x_integration.services import ingest_mentions

if TYPE_CHECKING:
    from revfirst.tasks import Schedule
    from x_integration.client import XClient

SUCCESSES_KEPT = timedelta(days=7)


def beat(name: str, *, now: datetime) -> None:
    """Show that `name` works."""
    Heartbeat.objects.update_or_create(name=name, defaults={"at": now})


def sync_schedules(schedules: Mapping[str, Schedule], *, now: datetime) -> tuple[int, int]:
    """Make the schedules in the database those of the code: (written, removed).

    Schedules come from code only: one bad row would stop them all.
    """
    with transaction.atomic(durable=True):
        for name, schedule in schedules.items():
            fields = {
                "func": schedule.func,
                "schedule_type": ScheduleRow.MINUTES,
                "minutes": schedule.minutes,
                "repeats": -1,
            }
            ScheduleRow.objects.update_or_create(
                name=name, defaults=fields, create_defaults={**fields, "next_run": now}
            )
        removed, _ = ScheduleRow.objects.exclude(name__in=schedules).delete()
    return len(schedules), removed


def purge_task_results(*, now: datetime) -> int:
    """Delete the task engine's successes of last week; failures stay for people to see."""
    removed, _ = Success.objects.filter(stopped__lt=now - SUCCESSES_KEPT).delete()
    return int(removed)


@dataclass(frozen=True)
class Cycle:
    """What one turn did for one workspace."""

    ingested: int
    proposed: int


def run_cycle(workspace: Workspace, *, x: XClient, actor: Actor, now: datetime) -> Cycle:
    """Read what people said, and propose replies. Raises NoAccessToken or XReadFailed."""
    account = XAccount.objects.select_related("workspace").get(workspace=workspace)
    ingested = ingest_mentions(account, x=x, actor=actor, now=now)
    return Cycle(ingested, len(propose_replies(workspace, actor=actor, now=now)))


def workspaces_to_cycle() -> list[Workspace]:
    """Every workspace with a live account that may work now."""
    return list(
        Workspace.objects.filter(x_account__revoked_at=None, paused_at=None)
        .exclude(x_account=None)
        .order_by("slug")
    )

"""Signs of life, schedules, and one turn of the whole cycle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from django.db import transaction
from django.db.models import Exists, F, Min, OuterRef, Q
from django_q.models import Schedule as ScheduleRow
from django_q.models import Success

from control.models import Heartbeat
from publishing.errors import ReadElsewhere
from publishing.models import Candidate
from publishing.services import propose_replies, reserved_for_reading
from revfirst.batch import Patience
from revfirst.clock import ticking
from revfirst.errors import RevFirstError
from workspaces.actors import Actor
from workspaces.models import Workspace
from x_integration.models import Feed, XAccount
from x_integration.services import READING_SECONDS, ingest_feed, mentions_feed

if TYPE_CHECKING:
    from revfirst.tasks import Schedule
    from x_integration.client import XClient

SUCCESSES_KEPT = timedelta(days=7)
WORKSPACES_A_CYCLE = 200


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


def run_cycle(
    workspace: Workspace,
    *,
    x: XClient,
    actor: Actor,
    now: datetime,
    patience: Patience | None = None,
) -> Cycle:
    """Read what people said, each feed within the budget, and propose replies.

    With `patience`, as in a batch, feeds whose time has not come are left alone. A feed that cannot be
    read keeps neither the others nor the proposals waiting; those that time cuts off are the first of the
    next cycle, and so are all where somebody else reads for their money. Raises NoAccessToken, XReadFailed,
    OutOfTime or Busy afterwards, and NoBrandVoice or NoRanking where a file of the operators cannot be used.
    """
    account = XAccount.objects.select_related("workspace").get(workspace=workspace)
    mentions_feed(workspace, now=now)
    feeds = workspace.feeds.filter(is_on=True).select_related("workspace")
    for_reading = patience and patience.at_most(READING_SECONDS)
    ingested, errors, clock = 0, list[RevFirstError](), ticking(now)
    for feed in feeds.due(now) if patience else feeds.order_by("pk"):
        if for_reading and not for_reading.left():
            break
        begun = clock()
        try:
            with reserved_for_reading(workspace, now=begun) as usd:
                ingested += ingest_feed(
                    feed, account, x=x, actor=actor, now=begun, usd=usd, patience=for_reading
                )
        except ReadElsewhere:
            break
        except RevFirstError as error:
            errors.append(error)
    proposed = len(propose_replies(workspace, actor=actor, now=now, patience=patience))
    if errors:
        raise errors[0]
    return Cycle(ingested, proposed)


def workspaces_to_cycle(due_at: datetime | None = None) -> list[Workspace]:
    """Workspaces with a live account that may work, whoever has waited longest for a read first.

    With `due_at`, only those that have something to read then, or candidates that wait for a turn, and no more
    than one cycle takes.
    """
    workspaces = (
        Workspace.objects.filter(x_account__revoked_at=None, paused_at=None)
        .exclude(x_account=None)
        .annotate(next_read_at=Min("feeds__next_read_at", filter=Q(feeds__is_on=True)))
        .order_by(F("next_read_at").asc(nulls_first=True), "slug")
    )
    if due_at is None:
        return list(workspaces)
    is_new = ~Exists(Feed.objects.filter(workspace=OuterRef("pk")))
    waits = Exists(Candidate.objects.waiting().filter(workspace=OuterRef("pk")))
    due = workspaces.filter(is_new | Q(next_read_at__lte=due_at) | waits)
    return list(due[:WORKSPACES_A_CYCLE])

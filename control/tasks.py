"""What the worker does for the operation as a whole."""

from django.utils import timezone
from django_q.tasks import async_task

from control import services
from revfirst.batch import Patience, run_batch
from revfirst.tasks import Schedule, task
from workspaces.actors import Actor
from x_integration.client import XClient
from x_integration.services import forget_billed_reads, forget_old_states

TURNS_SECONDS = 30  # + one call of 25 s, and 5 s to store its page, end before the 60 s time-out
_CYCLE = Schedule("control.tasks.cycle", minutes=2)
SCHEDULES = {
    "control.beat": Schedule("control.tasks.beat", minutes=1),
    "control.cycle": _CYCLE,
    "control.purge": Schedule("control.tasks.purge", minutes=24 * 60),
}


@task
def beat() -> str:
    """The scheduler enqueued this and a worker ran it: both work."""
    now = timezone.now()
    services.beat("scheduler", now=now)
    services.beat("worker", now=now)
    return "ok"


@task
def cycle(until: float | None = None) -> str:
    """Ingest and propose for the workspaces that have waited longest; what time cuts off goes on at once.

    Not after `until`, in seconds since 1970: the next cycle has begun by then.
    """
    now = timezone.now()
    until = until or now.timestamp() + 60 * _CYCLE.minutes
    workspaces = services.workspaces_to_cycle(due_at=now)
    patience = Patience(TURNS_SECONDS)
    left = run_batch(
        workspaces,
        lambda workspace, x: services.run_cycle(
            workspace, x=x, actor=Actor.worker(), now=timezone.now(), patience=patience
        ),
        tool=XClient,
        concurrency=8,
    )
    if left and timezone.now().timestamp() < until:
        async_task("control.tasks.cycle", until)
    return f"{len(workspaces) - left} workspaces, {left} left"


@task
def purge() -> str:
    """Forget the task engine's old successes, attempts to connect that ended, and what is billed."""
    now = timezone.now()
    results, states = services.purge_task_results(now=now), forget_old_states(now=now)
    reads = forget_billed_reads(now=now)
    return f"{results} results, {states} attempts to connect and {reads} billed reads removed"

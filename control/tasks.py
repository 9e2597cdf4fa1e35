"""What the worker does for the operation as a whole."""

from django.utils import timezone

from control import services
from revfirst.batch import run_batch
from revfirst.tasks import Schedule, task
from workspaces.actors import Actor
from x_integration.client import XClient
from x_integration.services import forget_old_states

SCHEDULES = {
    "control.beat": Schedule("control.tasks.beat", minutes=1),
    "control.cycle": Schedule("control.tasks.cycle", minutes=2),
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
def cycle() -> str:
    """Ingest and propose for every workspace that may work."""
    workspaces = services.workspaces_to_cycle()
    left = run_batch(
        workspaces,
        lambda workspace, x: services.run_cycle(
            workspace, x=x, actor=Actor.worker(), now=timezone.now()
        ),
        tool=XClient,
        concurrency=8,
        seconds=10,  # + 20 s of reading + one call of 25 s end before the 60 s time-out
    )
    return f"{len(workspaces) - left} workspaces, {left} left"


@task
def purge() -> str:
    """Forget the task engine's old successes, and attempts to connect that ended long ago."""
    now = timezone.now()
    results, states = services.purge_task_results(now=now), forget_old_states(now=now)
    return f"{results} results and {states} attempts to connect removed"

"""What the worker does for publishing."""

from django.conf import settings
from django.utils import timezone
from django_q.tasks import async_task

from publishing import services
from revfirst.tasks import Schedule, task
from workspaces.actors import Actor
from x_integration.client import XClient

_SWEEP = Schedule("publishing.tasks.sweep", minutes=1)
SCHEDULES = {
    "publishing.sweep": _SWEEP,
    "publishing.look_again": Schedule("publishing.tasks.look_again", minutes=60),
}


@task
def publish_one(item_id: int) -> str:
    """Send one approved item now: the nudge of an approval."""
    services.publish_item(item_id, x=XClient(), actor=Actor.worker(), clock=timezone.now)
    return f"item {item_id}"


@task
def publish_due(share: int = 0, shares: int = 1, until: float | None = None) -> str:
    """Send a share of what is due; a batch that leaves something enqueues another.

    Not after `until`, in seconds since 1970: the next sweep has begun batches of its own by then, and
    ever more of them would keep every process from the next tap.
    """
    left = services.publish_batch(
        actor=Actor.worker(), clock=timezone.now, share=share, shares=shares
    )
    if left and (until is None or timezone.now().timestamp() < until):
        async_task("publishing.tasks.publish_due", share, shares, until)
    return f"{left} left"


@task
def sweep() -> str:
    """Settle what was left behind, and send what is due."""
    now = timezone.now()
    swept = services.sweep(actor=Actor.worker(), now=now)
    until = now.timestamp() + 60 * _SWEEP.minutes
    shares = max(1, settings.WORKER_PROCESSES - 1)  # one process is left for the next tap
    for share in range(shares if swept.due else 0):
        async_task("publishing.tasks.publish_due", share, shares, until)
    return str(swept)


@task
def look_again() -> str:
    """Ask X, once a day and workspace, for the posts that matter; the sweep forgets those that are gone."""
    calls = services.look_for_what_is_gone(actor=Actor.worker(), clock=timezone.now)
    return f"{calls} workspaces"

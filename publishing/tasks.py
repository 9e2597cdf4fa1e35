"""What the worker does for publishing."""

from django.conf import settings
from django.utils import timezone
from django_q.tasks import async_task

from publishing import services
from revfirst.tasks import Schedule, task
from workspaces.actors import Actor
from x_integration.client import XClient

SCHEDULES = {"publishing.sweep": Schedule("publishing.tasks.sweep", minutes=1)}


@task
def publish_one(item_id: int) -> str:
    """Send one approved item now: the nudge of an approval."""
    services.publish_item(item_id, x=XClient(), actor=Actor.worker(), clock=timezone.now)
    return f"item {item_id}"


@task
def publish_due(share: int = 0, shares: int = 1) -> str:
    """Send a share of what is due; a batch that runs out of time enqueues another."""
    left = services.publish_batch(
        actor=Actor.worker(), clock=timezone.now, share=share, shares=shares
    )
    if left:
        async_task("publishing.tasks.publish_due", share, shares)
    return f"{left} left"


@task
def sweep() -> str:
    """Settle what was left behind, and send what is due."""
    swept = services.sweep(actor=Actor.worker(), now=timezone.now())
    shares = max(1, settings.WORKER_PROCESSES - 1)  # one process is left for the next tap
    for share in range(shares if swept.due else 0):
        async_task("publishing.tasks.publish_due", share, shares)
    return str(swept)

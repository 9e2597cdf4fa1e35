"""What the worker does for the accounts."""

from django.utils import timezone
from django_q.tasks import async_task

from revfirst.tasks import Schedule, task
from x_integration import services

SCHEDULES = {"x.renew_due": Schedule("x_integration.tasks.renew_due", minutes=1)}


@task
def renew_due() -> str:
    """Renew the tokens that expire soon; a batch that runs out of time enqueues another."""
    begun, left = services.renew_batch(clock=timezone.now)
    if left:
        async_task("x_integration.tasks.renew_due")
    return f"{begun} begun, {left} left"

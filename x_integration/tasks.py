"""What the worker does for the accounts."""

from django.conf import settings
from django.utils import timezone

from revfirst.batch import run_batch
from revfirst.tasks import Schedule, task
from x_integration import services
from x_integration.client import XClient

SCHEDULES = {"x.renew_due": Schedule("x_integration.tasks.renew_due", minutes=5)}


@task
def renew_due() -> str:
    """Renew the tokens that expire soon."""
    due = services.due_for_renewal(timezone.now())
    left = run_batch(
        due,
        lambda account, x: services.refresh_workspace_x_tokens(
            account.workspace, now=timezone.now(), x=x
        ),
        tool=XClient,
        concurrency=settings.RENEW_CONCURRENCY,
    )
    return f"{len(due) - left} renewed, {left} left"

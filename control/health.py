"""Whether the worker and the scheduler showed themselves lately."""

from datetime import timedelta

from django.utils import timezone

from control.models import Heartbeat
from revfirst.health import Check

STALE_AFTER = timedelta(minutes=3)


def check_worker() -> Check:
    """A worker ran a task within three minutes."""
    return _check("worker")


def check_scheduler() -> Check:
    """The scheduler enqueued a task within three minutes."""
    return _check("scheduler")


def _check(name: str) -> Check:
    row = Heartbeat.objects.filter(name=name).first()
    if row is None:
        return Check(False, "never seen")
    age = timezone.now() - row.at
    return Check(age < STALE_AFTER, f"last seen {age.total_seconds():.0f} s ago")

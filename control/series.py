"""What /metrics shows of the worker."""

from collections.abc import Iterable

from django.utils import timezone
from django_q.models import Failure, OrmQ
from prometheus_client.core import GaugeMetricFamily, Metric

from control.models import Heartbeat


def worker() -> Iterable[Metric]:
    """Queue depth, failed tasks, and how long ago the worker showed itself."""
    yield GaugeMetricFamily(
        "revfirst_task_queue_depth", "Tasks that wait.", value=OrmQ.objects.count()
    )
    yield GaugeMetricFamily(
        "revfirst_task_failures_total", "Failed tasks on record.", value=Failure.objects.count()
    )
    beat = Heartbeat.objects.filter(name="worker").first()
    if beat is not None:
        yield GaugeMetricFamily(
            "revfirst_worker_heartbeat_age_seconds",
            "Seconds since a worker ran a task.",
            value=(timezone.now() - beat.at).total_seconds(),
        )

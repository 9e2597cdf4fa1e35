"""Runs what stands in the task queue, by the task engine's own worker and monitor, in this process."""

from __future__ import annotations

from multiprocessing import Value
from queue import SimpleQueue
from typing import Any

from django.core.management import CommandError, call_command
from django_q.models import OrmQ
from django_q.monitor import monitor
from django_q.signing import SignedPackage
from django_q.tasks import async_task
from django_q.worker import worker

from publishing.models import QueueItem
from revfirst.errors import RevFirstError


def drain() -> int:
    """Run task after task until none is left; how many ran."""
    ran = 0
    while row := OrmQ.objects.order_by("pk").first():
        ran += 1
        assert ran < 1000, "the queue feeds itself"
        run_package(row.payload)
        OrmQ.objects.filter(pk=row.pk).delete()
    return ran


def run_package(payload: str) -> None:
    """One task as a worker of the cluster runs it; what it raises is stored, as always."""
    todo: SimpleQueue[Any] = SimpleQueue()
    done: SimpleQueue[Any] = SimpleQueue()
    todo.put(SignedPackage.loads(payload))
    todo.put("STOP")
    worker(todo, done, Value("f", -1))
    done.put("STOP")
    monitor(done)


def a_minute_passes() -> None:
    """The worker does what it was told and what its timetable says; whoever was put off is due."""
    drain()
    QueueItem.objects.update(not_before=None)
    async_task("publishing.tasks.sweep")
    drain()


def run_command(name: str, *args: Any) -> str:
    """A management command in this process; blank, or what it said when it refused."""
    try:
        call_command(name, *args)
    except (CommandError, RevFirstError) as error:
        return str(error) or type(error).__name__
    return ""

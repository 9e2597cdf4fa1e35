"""How many publications a worker host makes in a second; imported when the stage stands."""

from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.db import connection
from django.db.models import QuerySet
from django.utils import timezone
from django_q.models import OrmQ, Success
from django_q.tasks import async_task

from publishing.models import PublishAttempt, QueueItem
from publishing.states import Outcome, State
from revfirst.wait import wait_out, wait_until
from tests.benchmarks.figures import Figures
from tests.benchmarks.queues import Site
from tests.benchmarks.stage import Stage
from workspaces.models import AuditEvent, Counter

MOST_CONNECTIONS = 80
_EACH = 2  # items of a workspace
_LONGEST, _SLOWEST = 30, 8  # seconds, publications per second
_FEWEST, _STRANGERS = 600, 10  # items of a rate that counts; per cent of all cores
_NUDGE = "publishing.tasks.sweep"  # as the schedule does each minute


@dataclass(frozen=True)
class Size:
    """How large the worker host is; None is the setting's own default."""

    processes: int | None = None
    concurrency: int | None = None

    def environment(self) -> dict[str, str]:
        wanted = {"WORKER_PROCESSES": self.processes, "PUBLISH_CONCURRENCY": self.concurrency}
        return {name: str(value) for name, value in wanted.items() if value}

    def __str__(self) -> str:
        processes = self.processes or settings.Q_CLUSTER["workers"]
        return f"{processes} processes, {self.concurrency or settings.PUBLISH_CONCURRENCY} at once"


def measure(
    stage: Stage, figures: Figures, *, count: int, latency_ms: int, at_least: float, size: Size
) -> None:
    """Approved items of many workspaces, and one sweep.

    The rate is that of the requests at X from the first fifth on, when connections are open and
    statements known, to the last twentieth, when threads run out of items.
    """
    figures.title(f"Throughput: {count:,} items, X answers in {latency_ms} ms; {size}")
    site = Site.of(stage.simulator, -(-count // _EACH))
    ids = [item.pk for item in site.items(count, state=State.APPROVED)]
    stage.simulator.settings(latency_ms=latency_ms)
    asked_before = stage.simulator.overview()["requests"]
    ours = QueueItem.objects.filter(pk__in=ids)
    with stage.worker(**size.environment()):
        wait_for_the_worker()
        before = stage.effort()
        async_task(_NUDGE)
        most = _Most()
        wait_until(
            lambda: most.look() and not ours.exclude(state=State.PUBLISHED).exists(),
            seconds=max(_LONGEST, count / _SLOWEST),
            every=0.25,
        )
        effort = stage.effort()
        _publish_the_rest(ours)
    stage.simulator.settings(latency_ms=0)
    begun = [
        datetime.fromisoformat(call["at"])
        for call in stage.simulator.requests(since=asked_before)
        if call["path"] == "/2/tweets"
    ]
    steady = sorted(begun)[len(begun) // 5 : len(begun) * 95 // 100]
    seconds = (steady[-1] - steady[0]).total_seconds()
    shares = effort.shares_since(before)
    rate, excuse = (len(steady) - 1) / seconds, _excuse(count, shares["strangers"])
    figures.hold("publications per second", rate, at_least=at_least, excuse=excuse)
    figures.show("first to last request", f"{(max(begun) - min(begun)).total_seconds():.1f} s")
    released = PublishAttempt.objects.filter(item__in=ids, outcome=Outcome.NOT_EXECUTED)
    figures.show("claims that came too late for their call", f"{released.count():,}")
    figures.hold("database connections, the most seen", most.connections, at_most=MOST_CONNECTIONS)
    figures.hold("items not published exactly once", _not_once(site, ids, len(begun)), at_most=0)
    worker = effort.seconds["worker"] - before.seconds["worker"]
    figures.show("worker's CPU time per publication", f"{worker / count * 1000:.1f} ms")
    database = effort.seconds["PostgreSQL"] - before.seconds["PostgreSQL"]
    figures.show("PostgreSQL's CPU time per publication", f"{database / count * 1000:.1f} ms")
    for name, share in sorted(shares.items(), key=lambda found: -found[1]):
        figures.show(f"CPU of all cores: {name}", f"{share:.0f} %")


def _excuse(count: int, strangers: float) -> str:
    """Why a rate below its bound is no fault of ours, if so."""
    if count < _FEWEST:
        return f"of {count:,} items, half of a connection's statements are its first"
    return f"strangers took {strangers:.0f} %" if strangers > _STRANGERS else ""


def _publish_the_rest(items: QuerySet[QueueItem]) -> None:
    """What was released goes when its pause is over; until then a sweep each few seconds asks."""
    rest = items.exclude(state=State.PUBLISHED)
    for _ in range(30):
        if not rest.exists():
            return
        async_task(_NUDGE)
        wait_out(3)


class _Most:
    """The largest number of connections that was seen; the one that looks is not counted."""

    connections = 0

    def look(self) -> bool:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity"
                " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
            )
            self.connections = max(self.connections, int(cursor.fetchone()[0]))
        return True


def _not_once(site: Site, ids: list[int], asked: int) -> int:
    """Differences between what was to be said, what stands on X, the counters and the audit."""
    chains = [str(account.workspace_id) for account in site.accounts]
    names = {account.username for account in site.accounts}
    standing = [post for post in site.simulator.posts(source="api") if post["username"] in names]
    succeeded = PublishAttempt.objects.filter(item__in=ids, outcome=Outcome.SUCCEEDED)
    audited = AuditEvent.objects.filter(chain__in=chains, type="item.confirm")
    counted = Counter.objects.filter(chain__in=chains, name="replies_published_total")
    numbers = [
        asked,
        len({post["in_reply_to"] for post in standing}),
        len(standing),
        succeeded.count(),
        audited.count(),
        int(sum(counter.value for counter in counted)),
    ]
    return sum(abs(number - len(ids)) for number in numbers)


def wait_for_the_worker() -> None:
    """Until it has done a task, and no other waits."""
    begun = timezone.now()
    async_task("control.tasks.beat")
    beats = Success.objects.filter(func="control.tasks.beat", started__gte=begun)
    if not wait_until(beats.exists, seconds=30):
        raise RuntimeError("The worker does not work.")
    wait_until(lambda: not OrmQ.objects.exists(), seconds=30)

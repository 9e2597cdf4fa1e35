"""From the tap on "approve" to the request at X; imported when the stage stands."""

import random
from dataclasses import dataclass
from datetime import datetime
from statistics import median

from django.conf import settings
from django.utils import timezone

from publishing.models import PublishAttempt, QueueItem
from publishing.services import approve_item
from publishing.states import State
from revfirst.wait import wait_out, wait_until
from tests.benchmarks.figures import Figures
from tests.benchmarks.publications import wait_for_the_worker
from tests.benchmarks.queues import Site
from tests.benchmarks.stage import Stage
from workspaces.actors import Actor

LONGEST_P95 = 300  # milliseconds
_STRANGERS = 10  # per cent of all cores: more of them, and the figure is theirs
_IDLE_SECONDS, _WARMING = 5, 6  # seconds; taps before, so that every process has done it once


@dataclass(frozen=True)
class _Waits:
    """Milliseconds from the tap: until it was answered, until the claim began, until X was asked."""

    answered: float
    claimed: float
    asked: float


def measure(stage: Stage, figures: Figures, *, taps: int, poll: float | None) -> None:
    """Tap after tap, at instants that know nothing of the broker's."""
    poll = poll or float(str(settings.Q_CLUSTER["poll"]))
    figures.title(f"Tap to request: {taps} taps, the broker asks every {poll:g} s")
    site = Site.of(stage.simulator, taps + _WARMING)
    items = site.items(taps + _WARMING)
    person = Actor.operator(site.person, door="admin")
    with stage.worker(BENCHMARK_POLL=str(poll)):
        wait_for_the_worker()
        before = stage.effort()
        wait_out(_IDLE_SECONDS)
        idle = stage.effort().shares_since(before)
        waits = [_tap(stage, item, person) for item in items][_WARMING:]
    asked = sorted(wait.asked for wait in waits)
    figures.show("median until approve answers", f"{median(w.answered for w in waits):.0f} ms")
    figures.show("median until the claim begins", f"{median(w.claimed for w in waits):.0f} ms")
    figures.show("median until X is asked", f"{median(asked):.0f} ms")
    p95, strangers = asked[len(asked) * 95 // 100 - 1], idle["strangers"]
    excuse = f"strangers took {strangers:.0f} %" if strangers > _STRANGERS else ""
    figures.hold("95 of 100 within", p95, at_most=LONGEST_P95, unit="ms", excuse=excuse)
    figures.show("longest", f"{asked[-1]:.0f} ms")
    for name in ("worker", "PostgreSQL", "strangers"):
        figures.show(f"CPU of all cores while idle: {name}", f"{idle[name]:.1f} %")


def _tap(stage: Stage, item: QueueItem, person: Actor) -> _Waits:
    wait_out(random.uniform(0.1, 0.5))
    seen = stage.simulator.overview()["requests"]
    tapped = timezone.now()
    approve_item(item.pk, version=1, actor=person, now=tapped)
    answered = timezone.now()
    mine = QueueItem.objects.filter(pk=item.pk, state=State.PUBLISHED)
    if not wait_until(mine.exists, seconds=20, every=0.05):
        raise RuntimeError(f"{item} was not published.")
    calls = stage.simulator.requests(since=seen)
    arrived = [call["at"] for call in calls if call["path"] == "/2/tweets"]
    if len(arrived) != 1:
        raise RuntimeError(f"X was asked {len(arrived)} times.")
    claimed = PublishAttempt.objects.get(item=item).started_at
    instants = (answered, claimed, datetime.fromisoformat(arrived[0]))
    return _Waits(*((at - tapped).total_seconds() * 1000 for at in instants))

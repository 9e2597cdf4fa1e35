"""The pieces of work that a worker does: what a task does, with a clock that may be ahead."""

from __future__ import annotations

import gc
import json
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from http.client import HTTPConnection
from itertools import count
from time import time
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.cache import cache
from django.db import connections
from django.db.models import Q
from django.utils import timezone

from publishing import services
from publishing.errors import WrongState
from publishing.models import QueueItem
from publishing.states import State
from revfirst.db import one_row
from revfirst.wait import wait_out
from tests import acts
from tests.mortals.hooks import rewire
from workspaces.actors import Actor
from workspaces.models import Workspace
from workspaces.services import pause_workspace, resume_workspace, set_kill_switch
from x_integration.client import XClient

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from revfirst.clock import Clock

SOON = (0, 130, 140, 180, 660, 3600)
"""Seconds after now at which the world goes on, until everything rests; an approval lives longer."""
LATE = 25 * 3600
_MOVING = (State.APPROVED, State.PUBLISHING, State.UNCONFIRMED)
_LOCKS_OF_THE_DEAD_END = 30  # seconds: the lock on a renewal


def warm_up() -> None:
    """Do once what every worker would do anew: build the statements that it always sends.

    It finds nothing to do, and leaves no connection open: each worker makes its own.
    """
    nobody = -1
    publish_one(nobody)
    services.claim_item(nobody, actor=Actor.worker(), now=timezone.now())
    with suppress(WrongState):  # there is no such try
        services.settle_attempt(nobody, "doubt", actor=Actor.worker(), now=timezone.now())
    long_ago = -100 * 365 * 24 * 3600
    sweep(long_ago)
    publish_due(long_ago)
    cache.get("nothing")
    connections.close_all()
    gc.freeze()


def publish_one(item_id: int, after: float = 0) -> None:
    """Send one item, as its nudge does."""
    services.publish_item(item_id, x=XClient(), actor=Actor.worker(), clock=_ahead(after))


def publish_due(after: float = 0) -> int:
    """Send what is due, as the sweep's nudge does; how many are left."""
    return services.publish_batch(actor=Actor.worker(), clock=_ahead(after))


def publish_all(begin_at: float = 0) -> dict[str, int]:
    """Send what is due until nothing waits any more; how often it claimed, and how many posts X made.

    `begin_at`, in seconds since the epoch, is when several begin together, however long one took to start.

    What was put off, because a claim ran out on a busy machine, is due a minute ahead.
    """
    wait_out(max(0.0, begin_at - time()))
    claimed, made = count(), count()
    rewire("publishing.services.claim:claim_item", partial(_counting, claimed))
    rewire("x_integration.client:XClient.create_post", partial(_counting, made))
    for minutes in range(60):
        while QueueItem.objects.due(_ahead(60 * minutes)()).exists():
            publish_due(60 * minutes)
        if not QueueItem.objects.filter(state=State.APPROVED).exists():
            break
    return {"claimed": next(claimed), "made": next(made)}


def _counting(counter: Iterator[int], function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, that counts how often it came to its end."""

    def counted(*args: Any, **kwargs: Any) -> Any:
        returned = function(*args, **kwargs)
        next(counter)
        return returned

    return counted


def sweep(after: float = 0) -> str:
    """Settle what was left behind."""
    now = timezone.now() + timedelta(seconds=after)
    return str(services.sweep(actor=Actor.worker(), now=now))


def kill_switch() -> None:
    """Stop every workspace, as the command does."""
    set_kill_switch(True, reason="A crisis.", actor=Actor.command(), now=timezone.now())


def pause() -> None:
    """Stop each workspace, as its operator does."""
    for workspace in Workspace.objects.all():
        told = {"reason": "A crisis.", "actor": Actor.command(), "now": timezone.now()}
        pause_workspace(workspace, **told)  # type: ignore[arg-type]


def lift_stops() -> None:
    """Let go again of what `kill_switch` and `pause` stopped."""
    actor, now = Actor.command(), timezone.now()
    set_kill_switch(False, reason="It is over.", actor=actor, now=now)
    for workspace in Workspace.objects.all():
        resume_workspace(workspace, actor=actor, now=now)


def durability() -> str:
    """Whether what is committed here would outlive the database's own crash."""
    return str(one_row("SHOW synchronous_commit", [])[0])


def decide(move: str, item_id: int, version: int, after: float = 0) -> None:
    """What a person decides about an item, seen in `version`."""
    item = QueueItem.objects.select_related("workspace").get(pk=item_id)
    acts.decide(move, item, version=version, clock=_ahead(after))


def go_on(item_ids: list[int], until: float = LATE) -> None:
    """Everything that a worker does later: the tasks once more, sweeps, batches, until all rests.

    What rests is nudged and swept once more: it has to go on resting.
    """
    for item_id in item_ids:
        publish_one(item_id)
    after: float = 0
    for after in (seconds for seconds in SOON if seconds <= until):
        _once_more(after)
        if _all_rest(item_ids):
            break
    waiting = QueueItem.objects.filter(pk__in=item_ids, state=State.APPROVED)
    if not waiting.exists():
        after = until
    _once_more(after)
    for item_id in item_ids:
        publish_one(item_id, after)


def live_on(item_ids: list[int], begin: float, steps: list[float]) -> float:
    """Sweeps and batches at later and later times, X's clock with ours, until nothing is to come.

    Returns how far ahead the last one was.
    """
    after = begin
    for step in steps:
        after += step
        _set_clock_of_x(after)
        _once_more(after)
        if _nothing_is_to_come(item_ids):
            break
    return after


def _set_clock_of_x(ahead: float) -> None:
    x = HTTPConnection(settings.X_API_BASE_URL.removeprefix("http://"), timeout=10)
    body = json.dumps({"ahead_seconds": ahead})
    x.request("PATCH", "/control/settings", body, {"Content-Type": "application/json"})
    if x.getresponse().read() and x.sock:
        x.close()


def _nothing_is_to_come(item_ids: list[int]) -> bool:
    """Whether all items rest, and nobody will look for anything any more."""
    at_work = Q(state__in=_MOVING, needs_person=False) | Q(attempts__next_look_at__isnull=False)
    return not QueueItem.objects.filter(at_work, pk__in=item_ids).exists()


def _once_more(after: float) -> None:
    if after >= _LOCKS_OF_THE_DEAD_END:
        cache.clear()
    sweep(after)
    publish_due(after)


def _all_rest(item_ids: list[int]) -> bool:
    """Whether each item is done with, or waits for a person."""
    items = QueueItem.objects.filter(pk__in=item_ids, state__in=_MOVING)
    return not items.exclude(needs_person=True).exists()


def _ahead(seconds: float) -> Clock:
    def clock() -> datetime:
        return timezone.now() + timedelta(seconds=seconds)

    return clock


WORKS: dict[str, Callable[..., Any]] = {
    work.__name__: work
    for work in (
        publish_one,
        publish_due,
        publish_all,
        sweep,
        decide,
        kill_switch,
        pause,
        lift_stops,
        durability,
        go_on,
        live_on,
    )
}

"""Work that waits on HTTP, done by a bounded number of threads for a bounded time."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from queue import Empty, SimpleQueue
from time import monotonic
from typing import TypeVar

from django.db import connection

from revfirst.errors import RevFirstError, Unavailable

STEP_SECONDS = 8  # 25 s of beginning + 8 s + one call of at most 25 s end before the 60 s time-out
Thing = TypeVar("Thing")
Tool = TypeVar("Tool")
Result = TypeVar("Result")
logger = logging.getLogger(__name__)


class OutOfTime(Unavailable):
    """The work took so long that another call might be cut off; the next round tries again."""

    code = "out_of_time"


class Patience:
    """How long one thing of a batch may go on beginning calls, so that no time-out cuts one."""

    def __init__(self, seconds: float = STEP_SECONDS) -> None:
        self._until = monotonic() + seconds

    def left(self) -> bool:
        """Whether another call may begin."""
        return monotonic() < self._until

    def at_most(self, seconds: float) -> Patience:
        """One that begins now, lasts so long, and no longer than this."""
        return Patience(min(seconds, self._until - monotonic()))

    def each(self, calls: Iterable[Thing]) -> Iterator[Thing]:
        """What a chain of calls brings, one by one. Raises OutOfTime when it must not go on."""
        waiting = iter(calls)
        while True:
            if not self.left():
                raise OutOfTime
            try:
                yield next(waiting)
            except StopIteration:
                return


def run_batch(
    things: Iterable[Thing],
    work: Callable[[Thing, Tool], object],
    *,
    tool: Callable[[], Tool],
    concurrency: int,
    seconds: float = 25,
) -> int:
    """Do `work(thing, tool)` for each thing; returns how many were left undone when time ran out.

    Each thread makes one tool (a client keeps its connections) and closes its database connection.
    Nothing new is begun after `seconds`. One failure is logged and stops only its own thing.
    """
    waiting: SimpleQueue[Thing] = SimpleQueue()
    for thing in things:
        waiting.put(thing)
    threads = min(concurrency, waiting.qsize())
    deadline = monotonic() + seconds

    def run() -> None:
        own = tool()
        try:
            while monotonic() < deadline:
                _attempt(work, waiting.get_nowait(), own)
        except Empty:
            pass
        finally:
            connection.close()

    if threads:
        with ThreadPoolExecutor(threads) as pool:
            for done in [pool.submit(run) for _ in range(threads)]:
                done.result()
    return waiting.qsize()


def each_alone(things: Iterable[Thing], work: Callable[[Thing], Result]) -> list[Result]:
    """What `work` returned for each thing; one that fails is logged and keeps no other waiting."""
    results: list[Result] = []
    for thing in things:
        _attempt(lambda thing, _: results.append(work(thing)), thing, None)
    return results


def _attempt(work: Callable[[Thing, Tool], object], thing: Thing, tool: Tool) -> None:
    try:
        work(thing, tool)
    except RevFirstError as error:
        logger.warning("batch_item_refused", extra={"thing": str(thing), "reason": error.code})
    except Exception:
        logger.exception("batch_item_failed", extra={"thing": str(thing)})

"""How django-q2 calls us: a task reads the clock, calls a service and logs one line.

Tasks are nudges; the rows are the truth. A task that fails is recorded and reported, never retried
by the engine: the next sweep finds what it left.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from time import monotonic
from typing import ParamSpec

import sentry_sdk

logger = logging.getLogger(__name__)
P = ParamSpec("P")


class TaskFailed(Exception):
    """A task did not do its work; the reason was reported where it happened."""


@dataclass(frozen=True)
class Schedule:
    """Call `func` (a dotted name) every `minutes`."""

    func: str
    minutes: int


def task(work: Callable[P, object]) -> Callable[P, str]:
    """Wrap what a task does: one log line, its result as text, failures reported and recorded."""

    @wraps(work)
    def run(*args: P.args, **kwargs: P.kwargs) -> str:
        begun = monotonic()
        extra: dict[str, object] = {"task": work.__qualname__, "args_given": list(args)}
        try:
            result = work(*args, **kwargs)
        except Exception as error:
            sentry_sdk.capture_exception(error)
            logger.exception("task_failed", extra=extra)
            # The engine stores the text of what it catches: ours names the class only.
            raise TaskFailed(f"{work.__qualname__}: {type(error).__name__}") from None
        extra |= {"result": result, "seconds": round(monotonic() - begun, 3)}
        logger.info("task_done", extra=extra)
        return str(result)

    return run

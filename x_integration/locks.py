"""A lock in Redis that keeps a stampede away. What must be alone is decided by rows."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from django.core.cache import cache
from redis.exceptions import LockError, RedisError
from redis.lock import Lock


@contextmanager
def alone(name: str, *, seconds: float) -> Iterator[bool]:
    """Hold the lock `name`, at most for `seconds`; false when somebody else has it.

    True as well when Redis cannot say: it may be down, and the row decides then. Only the owner
    lets go, so that a holder that took too long does not end the lock of the next one.
    """
    lock = _lock(name, seconds)
    try:
        taken = bool(lock.acquire()) if lock else True
    except (RedisError, OSError):
        lock, taken = None, True
    try:
        yield taken
    finally:
        if lock and taken:
            with suppress(LockError, RedisError, OSError):
                lock.release()


def _lock(name: str, seconds: float) -> Lock | None:
    """None where the cache knows no locks, or cannot be had."""
    make: Callable[..., Lock | None] | None = getattr(cache, "lock", None)
    return make(name, timeout=seconds, blocking=False) if make else None

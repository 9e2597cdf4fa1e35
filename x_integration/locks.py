"""A lock in Redis that keeps a stampede away. What must be alone is decided by rows."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from django.core.cache import cache
from redis.exceptions import LockError, RedisError


@contextmanager
def alone(name: str, *, seconds: float) -> Iterator[bool]:
    """Hold the lock `name`, at most for `seconds`; false when somebody else has it.

    True as well when Redis cannot say: it may be down, and the row decides then. Only the owner
    lets go, so that a holder that took too long does not end the lock of the next one.
    """
    lock = cache.lock(name, timeout=seconds, blocking=False)  # type: ignore[attr-defined]
    try:
        taken: bool = lock.acquire()
    except (RedisError, OSError):
        yield True
        return
    try:
        yield taken
    finally:
        if taken:
            with suppress(LockError, RedisError, OSError):
                lock.release()

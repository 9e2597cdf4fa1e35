"""Time that was passed as an argument, and goes on."""

from collections.abc import Callable
from datetime import datetime, timedelta
from time import monotonic

Clock = Callable[[], datetime]


def ticking(now: datetime) -> Clock:
    """A clock that reads `now` at this moment: for work that takes long and is told the time once."""
    begun = monotonic()
    return lambda: now + timedelta(seconds=monotonic() - begun)

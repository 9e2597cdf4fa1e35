"""Time and ids as X has them: UTC milliseconds, RFC 3339 and snowflakes."""

import time
from datetime import UTC, date, datetime

X_EPOCH_MS = 1_288_834_974_657  # X's snowflakes count milliseconds from 4 November 2010
_SEQUENCE_BITS = 22


class _Ahead:
    """How far this X's clock is ahead of the machine's."""

    ms = 0


def now_ms() -> int:
    """UTC milliseconds since 1970, by this X's clock."""
    return time.time_ns() // 1_000_000 + _Ahead.ms


def be_ahead(seconds: float) -> None:
    """Set this X's clock ahead of the machine's: nobody has to wait for tomorrow."""
    _Ahead.ms = int(seconds * 1000)


def first_id_at(instant_ms: int) -> int:
    """The smallest snowflake of that millisecond; 0 before X's epoch."""
    return max(0, instant_ms - X_EPOCH_MS) << _SEQUENCE_BITS


def instant_of(snowflake: int) -> int:
    """The UTC millisecond in which an id was given out."""
    return (snowflake >> _SEQUENCE_BITS) + X_EPOCH_MS


def day_of(instant_ms: int) -> date:
    """The UTC day, which is what X's prices go by."""
    return datetime.fromtimestamp(instant_ms // 1000, UTC).date()


def rfc3339(instant_ms: int) -> str:
    """As X writes instants: 2026-11-23T14:02:07.000Z."""
    moment = datetime.fromtimestamp(instant_ms // 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{instant_ms % 1000:03d}Z"


def parse_instant(text: str) -> int:
    """UTC milliseconds of an RFC 3339 text. Raises ValueError, also where the zone is missing."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("the zone is missing")
    return int(moment.timestamp() * 1000)

"""X's ids tell when they were given out: milliseconds since November 2010, times two to the 22nd."""

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(2010, 11, 4, 1, 42, 54, 657000, tzinfo=UTC)
_SEQUENCE_BITS = 22
_MILLISECOND = timedelta(milliseconds=1)


def first_id_at(instant: datetime) -> int:
    """The smallest id of that millisecond."""
    return max((instant - _EPOCH) // _MILLISECOND, 0) << _SEQUENCE_BITS


def given_out_at(post_id: int) -> datetime:
    """When the id was given out (UTC)."""
    return _EPOCH + (post_id >> _SEQUENCE_BITS) * _MILLISECOND


def earlier(post_id: int, by: timedelta) -> int:
    """The id that was due `by` before this one; 0 where there was none yet."""
    return max(post_id - (by // _MILLISECOND << _SEQUENCE_BITS), 0)

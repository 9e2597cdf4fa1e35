"""What X's rate headers said, kept per account and endpoint: the publisher asks before it sends."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from x_integration.answers import Rate
from x_integration.models import RateWindow

LONGEST_WINDOW = timedelta(days=1)
"""X counts by quarters of an hour, and some calls by the day (docs/X-API.md, Limits and prices)."""
_SEEN = ["limit", "remaining", "reset_at", "seen_at"]


def is_window_end(instant: datetime, *, now: datetime) -> bool:
    """Whether a window that is spent may end then: it lies ahead, by no more than a window is long."""
    return now < instant <= now + LONGEST_WINDOW


def remember_rates(account_id: int, rates: Mapping[str, Rate], *, now: datetime) -> None:
    """Keep what the headers said last, in one statement; in the caller's transaction, if any.

    What would last longer than any window is not believed: nobody would ask X again until then.
    """
    windows = [
        RateWindow(
            account_id=account_id,
            endpoint=endpoint,
            limit=rate.limit,
            remaining=rate.remaining,
            reset_at=rate.reset_at,
            seen_at=now,
        )
        for endpoint, rate in sorted(rates.items())
        if rate.reset_at <= now + LONGEST_WINDOW
    ]
    if windows:
        RateWindow.objects.bulk_create(
            windows,
            update_conflicts=True,
            unique_fields=["account", "endpoint"],
            update_fields=_SEEN,
        )

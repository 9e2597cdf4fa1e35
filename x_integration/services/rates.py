"""What X's rate headers said, kept per account and endpoint: the publisher asks before it sends."""

from collections.abc import Mapping
from datetime import datetime

from x_integration.answers import Rate
from x_integration.models import RateWindow

_SEEN = ["limit", "remaining", "reset_at", "seen_at"]


def remember_rates(account_id: int, rates: Mapping[str, Rate], *, now: datetime) -> None:
    """Keep what the headers said last, in one statement; in the caller's transaction, if any."""
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
    ]
    if windows:
        RateWindow.objects.bulk_create(
            windows,
            update_conflicts=True,
            unique_fields=["account", "endpoint"],
            update_fields=_SEEN,
        )

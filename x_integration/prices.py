"""What X charges, as data with dates (docs/X-API.md, Limits and prices); nobody else knows a price.

A change of X's is one more row here: what was charged before stays as it was, and on the row's day, by
UTC, the new price holds everywhere.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal

POST_READ, USER_READ = "post_read", "user_read"
POST, POST_WITH_URL, SUMMONED_REPLY = "post", "post_with_url", "summoned_reply"
_PRICING = "docs.x.com, X API pricing, as read on 22 August 2026"


@dataclass(frozen=True)
class Tariff:
    """US dollars for one thing that is shown or done, from a UTC day on, and who says so."""

    since: date
    kind: str
    usd: Decimal
    source: str


TARIFFS = (
    Tariff(date(2026, 4, 16), POST_READ, Decimal("0.005"), _PRICING),
    Tariff(date(2026, 4, 16), USER_READ, Decimal("0.010"), _PRICING),
    Tariff(date(2026, 4, 16), POST, Decimal("0.015"), _PRICING),
    Tariff(date(2026, 4, 16), POST_WITH_URL, Decimal("0.200"), _PRICING),
    Tariff(date(2026, 4, 16), SUMMONED_REPLY, Decimal("0.010"), _PRICING),
)


def price(kind: str, *, on: date) -> Decimal:
    """The price that holds on a UTC day; for the time before the first one, the first one."""
    known = sorted((t for t in TARIFFS if t.kind == kind), key=lambda tariff: tariff.since)
    begun = [tariff for tariff in known if tariff.since <= on]
    return begun[-1].usd if begun else known[0].usd


def utc_day(instant: datetime) -> date:
    """The day by which X bills."""
    return instant.astimezone(UTC).date()

"""What X charges, as data with dates (docs.x.com, "Pricing" and the changelog)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from x_integration.simulator import text as texts

POST_READ, USER_READ = "post_read", "user_read"
POST, POST_WITH_URL, SUMMONED_REPLY = "post", "post_with_url", "summoned_reply"
POST_DELETE = "post_delete"


@dataclass(frozen=True, slots=True)
class PriceList:
    """US dollars for one resource that is returned, or one act, from a UTC day on."""

    since: date
    usd: Mapping[str, Decimal]


# Newest last. A change of X's is one more list; what was charged before stays as it was.
PRICE_LISTS = (
    PriceList(
        date(2026, 4, 16),  # read on 22 August 2026
        {
            POST_READ: Decimal("0.005"),
            USER_READ: Decimal("0.010"),
            POST: Decimal("0.015"),
            POST_WITH_URL: Decimal("0.200"),
            SUMMONED_REPLY: Decimal("0.010"),
            POST_DELETE: Decimal("0.010"),
        },
    ),
)


def price_of(kind: str, day: date) -> Decimal:
    """The price on a day; the first list's for the time before it."""
    valid = [prices for prices in PRICE_LISTS if prices.since <= day]
    return (valid or PRICE_LISTS[:1])[-1].usd[kind]


def kind_of_post(text: str, *, summoned: bool) -> str:
    """As what a post is charged; a summoned reply has its own price, also with a link."""
    if summoned:
        return SUMMONED_REPLY
    return POST_WITH_URL if texts.urls_in(text) else POST

"""What X charges for a post, as data with a date (docs/X-API.md, Limits and prices)."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from publishing.models import Kind
from publishing.text import links_in

PRICES_AS_OF = date(2026, 8, 22)
PRICES_USD = {
    "post": Decimal("0.015"),
    "post_with_url": Decimal("0.200"),
    "summoned_reply": Decimal("0.010"),
}


@dataclass(frozen=True)
class Price:
    """What one call costs in US dollars, and as what."""

    usd: Decimal
    priced_as: str


def price_of(kind: str, text: str, *, summoned: bool) -> Price:
    """The price of publishing `text`; a summoned reply has its own, also with a link.

    What only looks like a link costs less than it is taken for.
    """
    if kind == Kind.REPLY and summoned:
        name = "summoned_reply"
    else:
        name = "post_with_url" if any(links_in(text)) else "post"
    return Price(PRICES_USD[name], name)

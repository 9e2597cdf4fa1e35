"""As what X charges for a post, and how much on a day (x_integration/prices.py)."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from publishing.models import Kind
from publishing.text import links_in
from x_integration.prices import POST, POST_WITH_URL, SUMMONED_REPLY, price


@dataclass(frozen=True)
class Price:
    """What one call costs in US dollars, and as what."""

    usd: Decimal
    priced_as: str

    @property
    def in_words(self) -> str:
        """`$0.010 (summoned reply)`."""
        return f"${self.usd:.3f} ({self.priced_as.replace('_', ' ')})"


def price_of(kind: str, text: str, *, summoned: bool, on: date) -> Price:
    """The price of publishing `text` on a UTC day; a summoned reply has its own, also with a link.

    What only looks like a link costs less than it is taken for.
    """
    if kind == Kind.REPLY and summoned:
        name = SUMMONED_REPLY
    else:
        name = POST_WITH_URL if any(links_in(text)) else POST
    return Price(price(name, on=on), name)

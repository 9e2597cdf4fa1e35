"""What X charges for a post, in US dollars, before it is made: data with a date."""

import re
from datetime import date
from decimal import Decimal

from publishing.models import Kind, QueueItem
from x_integration.models import SourcePost

# docs.x.com/x-api/getting-started/pricing; a summoned reply keeps its price with a URL in it.
PRICES_AS_OF = date(2026, 8, 22)
POST, POST_WITH_URL, SUMMONED_REPLY = Decimal("0.015"), Decimal("0.200"), Decimal("0.010")
_URL = re.compile(r"https?://|\b[\w-]+\.[a-z]{2,}\b", re.IGNORECASE)  # X counts a bare name, too


def price_of(kind: str, text: str, summoned: bool) -> Decimal:
    """What publishing this text costs."""
    if kind == Kind.REPLY and summoned:
        return SUMMONED_REPLY
    return POST_WITH_URL if _URL.search(text) else POST


def price_of_item(item: QueueItem) -> Decimal:
    """What publishing the item as it reads now costs."""
    post = item.source_post
    summoned = post is not None and post.eligibility == SourcePost.Eligibility.SUMMONED
    return price_of(item.kind, item.text, summoned)

"""The row of one try to publish: what it sends, and what it reserves while it is open."""

import hashlib
from datetime import datetime
from typing import Any

from publishing.models import PublishAttempt, QueueItem
from publishing.pricing import Price, price_of
from publishing.services.approvals import content_hash
from x_integration.models import SourcePost
from x_integration.payloads import Post, normalised
from x_integration.prices import utc_day


def write_attempt(
    item: QueueItem, snapshot: dict[str, Any], *, number: int, now: datetime, **columns: Any
) -> PublishAttempt:
    """Add the item's next attempt, in the caller's transaction."""
    post = item.source_post
    return PublishAttempt.objects.create(
        workspace=item.workspace,
        item=item,
        number=number,
        snapshot=snapshot,
        content_hash=content_hash(snapshot),
        kind=item.kind,
        target=post.x_post_id if post else "",
        thread=post.thread if post else "",
        author_id=post.author_id if post else "",
        text_hash=text_hash(item.text, reply=post is not None),
        started_at=now,
        **columns,
    )


def text_hash(text: str, *, reply: bool) -> str:
    """SHA-256, in hex, of the text in the form in which it is compared with the timeline."""
    return hashlib.sha256(normalised(text, reply=reply).encode()).hexdigest()


def as_sent(attempt: PublishAttempt) -> tuple[str, str]:
    """Target and hash of what the attempt sent, as both are compared; of forgotten words the hash is left."""
    text, target = attempt.snapshot["text"], attempt.snapshot["target"]
    return target or "", text_hash(text, reply=bool(target)) if text else attempt.text_hash


def as_seen(post: Post) -> tuple[str, str]:
    """The same of a post on the timeline."""
    return post.replied_to, text_hash(post.text, reply=bool(post.replied_to))


def price_of_item(item: QueueItem, *, now: datetime) -> Price:
    """What X charges for publishing it now."""
    post = item.source_post
    summoned = post is not None and post.eligibility == SourcePost.Eligibility.SUMMONED
    return price_of(item.kind, item.text, summoned=summoned, on=utc_day(now))

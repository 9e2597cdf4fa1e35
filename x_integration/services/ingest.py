"""Reading what people say to the account. A run is stored whole, or not at all."""

from datetime import datetime, timedelta

from django.db import transaction

from revfirst.batch import Patience
from revfirst.clock import ticking
from workspaces import audit
from workspaces.actors import Actor
from x_integration.client import XClient
from x_integration.eligibility import eligibility_of
from x_integration.models import SourcePost, XAccount
from x_integration.payloads import Post
from x_integration.services.tokens import with_access_token
from x_integration.snowflakes import earlier, first_id_at

READING_SECONDS = 20
OVERLAP = timedelta(minutes=15)  # X may show a mention late (docs/X-API.md, Reading)
CLOCK_SKEW = timedelta(minutes=5)


def ingest_mentions(account: XAccount, *, x: XClient, actor: Actor, now: datetime) -> int:
    """Store the mentions that are new; returns how many.

    Raises NoAccessToken, XUnauthorized, XReadFailed or OutOfTime. Every page is read before anything is
    stored: a broken page leaves nothing half, and the mark of the last complete run never passes
    an incomplete one. Each run reads the last quarter of an hour before the mark again.
    """
    patience = Patience(READING_SECONDS)
    since = earlier(int(account.mentions_seen_until or 0), OVERLAP)

    def read(token: str) -> dict[str, Post]:
        pages = x.mentions(
            account.x_user_id, access_token=token, since_id=str(since) if since else ""
        )
        return {post.id: post for page in patience.each(pages) for post in page.posts}

    posts = with_access_token(
        account.workspace, read, x=x, actor=actor, clock=ticking(now), patience=patience
    )
    if not posts:
        return 0
    with transaction.atomic(durable=True):
        _move_mark(account, max(map(int, posts)), now=now)
        known = SourcePost.objects.filter(workspace=account.workspace, x_post_id__in=posts)
        for post_id in known.values_list("x_post_id", flat=True):
            del posts[post_id]
        SourcePost.objects.bulk_create(
            [source_post_of(account, post, now) for post in posts.values()]
        )
        if posts:
            audit.record(
                "posts.ingest",
                workspace=account.workspace,
                subject="account",
                actor=actor,
                now=now,
                data={"new": len(posts)},
            )
    return len(posts)


def _move_mark(account: XAccount, newest: int, *, now: datetime) -> None:
    """Move the mark on, never back and never past the present; the row stays locked."""
    row = XAccount.objects.select_for_update(no_key=True).get(pk=account.pk)
    mark = min(newest, first_id_at(now + CLOCK_SKEW))
    if mark > int(row.mentions_seen_until or 0):
        XAccount.objects.filter(pk=row.pk).update(mentions_seen_until=str(mark))


def source_post_of(account: XAccount, post: Post, now: datetime) -> SourcePost:
    """The row for a post, not saved yet, with the verdict on whether we may answer it."""
    eligibility, reason = eligibility_of(post, us=account.x_user_id, our_name=account.username)
    return SourcePost(
        workspace=account.workspace,
        x_post_id=post.id,
        author_id=post.author_id,
        author_username=post.author_username,
        text=post.text,
        lang=post.lang,
        conversation_id=post.conversation_id,
        posted_at=post.created_at,
        eligibility=eligibility,
        eligibility_reason=reason,
        payload=post.raw,
        ingested_at=now,
    )

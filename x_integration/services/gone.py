"""What X shows no longer: marked when X lets us know, wherever it is stored; looked for once a day.

Whoever has the rows that answer it blanks its words and theirs (publishing), within a minute, and
writes the audit row.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal

from django.db import transaction
from django.db.models import QuerySet

from revfirst.clock import ticking
from workspaces import audit
from workspaces.actors import Actor
from workspaces.models import Workspace
from x_integration.client import LARGEST_PAGE, LOOK_UP, XClient
from x_integration.models import RateWindow, SourcePost, XAccount
from x_integration.payloads import NOT_AUTHORIZED, NOT_FOUND, Page
from x_integration.prices import POST_READ, price, utc_day
from x_integration.services.spending import record_post_reads
from x_integration.services.tokens import with_access_token

Gone = SourcePost.Gone
_CHUNK = 1000
_POSTS = {NOT_FOUND: Gone.NOT_FOUND, NOT_AUTHORIZED: Gone.NOT_AUTHORIZED}


def note_what_is_gone(pages: Iterable[Page], *, now: datetime) -> int:
    """Mark, in every workspace, what these pages say is gone; returns how many posts.

    A post that X names as an error, and every post of an author whom X names so or who is protected. Our
    own accounts are not others: of theirs only single posts are believed to be gone.
    """
    posts, authors = defaultdict[Gone, set[str]](set), defaultdict[Gone, set[str]](set)
    for page in pages:
        for post_id, why in page.unseen.items():
            posts[_POSTS[why]].add(post_id)
        authors[Gone.AUTHOR_GONE].update(page.unseen_users)
        authors[Gone.AUTHOR_PROTECTED].update(page.protected)
    marked = sum(_mark(_stored(ids), why, now=now) for why, ids in posts.items())
    return marked + sum(_mark(_said_by(ids), why, now=now) for why, ids in authors.items() if ids)


def mark_refused(post_id: int, *, now: datetime) -> None:
    """X refused a reply to the post because it is gone; in the transaction that writes that down."""
    row = SourcePost.objects.standing().filter(pk=post_id)
    row.update(gone_at=now, gone_reason=Gone.REFUSED)


def _stored(post_ids: Iterable[str]) -> QuerySet[SourcePost]:
    """Of all workspaces, named so that the index by workspace and post serves."""
    workspaces = Workspace.objects.values("pk")
    return SourcePost.objects.filter(workspace__in=workspaces, x_post_id__in=post_ids)


def _said_by(author_ids: Iterable[str]) -> QuerySet[SourcePost]:
    ours = XAccount.objects.live().filter(x_user_id__in=author_ids)
    others = set(author_ids) - set(ours.values_list("x_user_id", flat=True))
    return SourcePost.objects.filter(author_id__in=others)


def _mark(rows: QuerySet[SourcePost], why: Gone, *, now: datetime) -> int:
    """Mark them in chunks, locked in the order in which a page is stored."""
    marked, standing = 0, rows.filter(gone_at=None).order_by("x_post_id", "workspace_id")
    while True:
        with transaction.atomic(durable=True):
            chunk = standing.select_for_update(no_key=True, of=("self",)).values_list(
                "pk", flat=True
            )
            ids = list(chunk[:_CHUNK])
            if ids:
                SourcePost.objects.filter(pk__in=ids).update(gone_at=now, gone_reason=why)
        marked += len(ids)
        if len(ids) < _CHUNK:
            return marked


def look_again(
    account: XAccount,
    posts: Sequence[SourcePost],
    *,
    x: XClient,
    actor: Actor,
    now: datetime,
    usd: Decimal | None = None,
) -> int:
    """Ask X by id whether it still shows these posts of one workspace; returns how many are gone.

    One call, of as many as X takes and `usd` pays for, and none while X's rate limit is spent. Raises
    NoAccessToken, XUnauthorized, XReadFailed or OutOfTime.
    """
    asked = {post.x_post_id: post.pk for post in posts[: _affordable(usd, now)]}
    if not asked or _window_is_spent(account, now):
        return 0
    page = with_access_token(
        account.workspace,
        lambda token: x.posts(asked, access_token=token),
        x=x,
        actor=actor,
        clock=ticking(now),
    )
    with transaction.atomic(durable=True):
        rows = SourcePost.objects.filter(pk__in=asked.values()).order_by("x_post_id")
        ids = list(rows.select_for_update(no_key=True).values_list("pk", flat=True))
        SourcePost.objects.filter(pk__in=ids).update(looked_at=now)
        shown = [post.id for post in page.posts]
        charge = record_post_reads(account.workspace, shown, subject="account", now=now)
        if charge.usd:
            audit.record(
                "posts.look_again",
                workspace=account.workspace,
                subject="account",
                actor=actor,
                now=now,
                data={"shown": len(shown), **charge.data},
                counts=charge.counts,
            )
    return note_what_is_gone([page], now=now)


def _affordable(usd: Decimal | None, now: datetime) -> int:
    each = price(POST_READ, on=utc_day(now))
    return LARGEST_PAGE if usd is None else min(int(usd / each), LARGEST_PAGE)


def _window_is_spent(account: XAccount, now: datetime) -> bool:
    window = RateWindow.objects.filter(account=account, endpoint=LOOK_UP, remaining=0)
    return window.filter(reset_at__gt=now).exists()

"""What X shows no longer is forgotten here: its words, and ours that answer it and may quote them.

What was approved and sent stays provable by its hash (docs/adr/0017-what-x-shows-no-longer-is-forgotten.md).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.db.models import Exists, F, Func, JSONField, OuterRef, Q, QuerySet
from django.db.models.functions import Coalesce

from publishing.models import Approval, Edit, OptOut, PublishAttempt, QueueItem
from publishing.services.attempts import text_hash
from publishing.services.budget import reserved_for_reading
from publishing.services.propose import RELEVANT_FOR
from publishing.states import LIVE, State
from revfirst.batch import each_alone, run_batch
from revfirst.clock import Clock
from workspaces import audit
from workspaces.actors import Actor
from workspaces.models import Workspace
from workspaces.services import holding_nobody_up
from x_integration.client import XClient
from x_integration.models import SourcePost, XAccount
from x_integration.services import look_again

LOOKED_AT_A_DAY = 25
"""Posts of one workspace: 12.5 cents a day at the most."""
LOOK_EVERY = timedelta(hours=20)  # an hour that was missed, or failed, makes no day of it
CANDIDATES_OF = timedelta(days=2)
_AT_ONCE = 200
_MAY_STILL_GO_OUT = (State.PENDING, State.APPROVED, State.PUBLISHING)
_ABOUT_THE_AUTHOR = {SourcePost.Gone.AUTHOR_PROTECTED, SourcePost.Gone.AUTHOR_GONE}


def forget_what_is_gone(*, actor: Actor, now: datetime) -> int:
    """Blank the posts that X shows no longer and what answers them; returns how many posts.

    A post is left to the next time while an item that answers it is pending, approved or under way: the
    sweep expires it first. A doubt and a hand-off are looked for by the hash of their words.
    """
    found = _owed(now).order_by().values("workspace").distinct()
    workspaces = Workspace.objects.filter(pk__in=found)
    return sum(each_alone(workspaces, partial(_forget_of, actor=actor, now=now)))


def _owed(now: datetime) -> QuerySet[SourcePost]:
    """Gone posts whose words, or words that answer them, are still here.

    Those that were forgotten, too, as long as anybody might have written an answer in that moment.
    """
    answers = QueueItem.objects.filter(source_post=OuterRef("pk"))
    spoken = Q(gone_at__gt=now - RELEVANT_FOR) & Exists(answers.exclude(text=""))
    gone = SourcePost.objects.filter(gone_at__isnull=False)
    owed = gone.filter(Q(forgotten_at=None) | spoken)
    return owed.exclude(Exists(answers.filter(state__in=_MAY_STILL_GO_OUT)))


def _forget_of(workspace: Workspace, *, actor: Actor, now: datetime) -> int:
    """A batch of one workspace: items are locked first, and asked again."""
    with holding_nobody_up():
        posts = list(_owed(now).filter(workspace=workspace).order_by("x_post_id")[:_AT_ONCE])
        rows = QueueItem.objects.filter(source_post__in=posts).order_by("pk")
        items = list(rows.select_for_update(no_key=True, of=("self",)))
        waiting = {item.source_post_id for item in items if item.state in _MAY_STILL_GO_OUT}
        posts = [post for post in posts if post.pk not in waiting]
        _blank([item.pk for item in items if item.source_post_id not in waiting])
        _blank_posts(posts, now=now)
        for reason, ids in _by_reason(posts).items():
            audit.record(
                "post.forget",
                workspace=workspace,
                subject="source_posts",
                actor=actor,
                now=now,
                data={"reason": reason, "posts": ids},
            )
    return len(posts)


def _blank(items: Collection[int]) -> None:
    """Our own words and the snapshots of them; hashes, targets and accounts stay."""
    for attempt in PublishAttempt.objects.filter(item__in=items, text_hash=""):
        kept = text_hash(attempt.snapshot.get("text", ""), reply=bool(attempt.target))
        PublishAttempt.objects.filter(pk=attempt.pk).update(
            text_hash=kept
        )  # it is looked for by it
    QueueItem.objects.filter(pk__in=items).update(text="")
    Edit.objects.filter(item__in=items).update(diff=[])
    for rows in (Approval.objects, PublishAttempt.objects):
        rows.filter(item__in=items).update(snapshot=_WITHOUT_TEXT)


_WITHOUT_TEXT: Any = Func(
    F("snapshot"),
    template="jsonb_set(%(expressions)s, '{text}', '\"\"', false)",
    output_field=JSONField(),
)


def _blank_posts(posts: Collection[SourcePost], *, now: datetime) -> None:
    rows = SourcePost.objects.filter(pk__in=[post.pk for post in posts])
    rows.update(text="", author_username="", payload={}, forgotten_at=now)
    authors = {post.author_id for post in posts if post.gone_reason in _ABOUT_THE_AUTHOR}
    workspaces = {post.workspace_id for post in posts}
    named = OptOut.objects.filter(workspace__in=workspaces, author_id__in=authors)
    named.update(author_username="")  # left alone by number


def _by_reason(posts: Collection[SourcePost]) -> dict[str, list[int]]:
    found = defaultdict[str, list[int]](list)
    for post in posts:
        found[post.gone_reason].append(post.pk)
    return found


# --- the daily look ---------------------------------------------------------------------------------


def look_for_what_is_gone(
    *, client: Callable[[], XClient] = XClient, actor: Actor, clock: Clock
) -> int:
    """Ask X once a day for the posts that matter, a call for each workspace; returns how many calls.

    The posts behind what may go out or is in doubt come first, then those of the last two days that
    nobody answers yet. What is forgotten of them follows with the next sweep.
    """
    now = clock()
    accounts = XAccount.objects.live().filter(workspace__paused_at=None)
    lately = SourcePost.objects.filter(
        workspace=OuterRef("workspace"), looked_at__gt=now - LOOK_EVERY
    )
    due = list(accounts.exclude(Exists(lately)).select_related("workspace").order_by("pk"))
    left = run_batch(
        due,
        lambda account, x: _look_for_those_of(account, x=x, actor=actor, now=clock()),
        tool=client,
        concurrency=8,
    )
    return len(due) - left


def _look_for_those_of(account: XAccount, *, x: XClient, actor: Actor, now: datetime) -> int:
    posts = posts_that_matter(account.workspace, now=now)
    if not posts:
        return 0
    with reserved_for_reading(account.workspace, now=now) as usd:
        return look_again(account, posts, x=x, actor=actor, now=now, usd=usd)


def posts_that_matter(workspace: Workspace, *, now: datetime) -> list[SourcePost]:
    """At most `LOOKED_AT_A_DAY` posts of which X has told nothing since `LOOK_EVERY`, the first first."""
    told_at = Coalesce("looked_at", "ingested_at")
    standing = SourcePost.objects.standing().filter(workspace=workspace)
    old = standing.alias(told_at=told_at).filter(told_at__lte=now - LOOK_EVERY)
    live = Exists(QueueItem.objects.filter(source_post=OuterRef("pk"), state__in=LIVE))
    behind = old.filter(live).order_by("told_at", "pk")[:LOOKED_AT_A_DAY]
    unanswered = old.that_may_be_answered().filter(items=None, posted_at__gte=now - CANDIDATES_OF)
    return [*behind, *unanswered.order_by("-posted_at")[:LOOKED_AT_A_DAY]][:LOOKED_AT_A_DAY]

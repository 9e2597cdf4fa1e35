"""New items: what a template or a person suggests."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from django.db import IntegrityError, transaction
from django.db.models import Q

from publishing.errors import AlreadyProposed, BadContent, ItemNotFound
from publishing.models import Kind, QueueItem
from publishing.proposers import Proposal, propose_from_template
from publishing.services.content import RECENT_TEXTS, check_content
from publishing.services.times import check_time
from revfirst.db import wait_for_locks_at_most
from workspaces import audit
from workspaces.actors import Actor
from workspaces.counters import Count
from workspaces.models import Workspace
from workspaces.services import (
    LOCK_SECONDS_OF_OTHERS,
    LOCK_SECONDS_WITH_A_WORKSPACE,
    check_member,
)
from x_integration.models import SourcePost

_AT_ONCE = 100
RELEVANT_FOR = timedelta(days=7)


def propose_item(
    workspace: Workspace,
    *,
    text: str,
    actor: Actor,
    now: datetime,
    source_post: SourcePost | None = None,
    scheduled_for: datetime | None = None,
    relevant_until: datetime | None = None,
    template: str = "",
) -> QueueItem:
    """Put a reply (with `source_post`) or a post into the queue, pending.

    A reply is relevant for a week after the post that it answers, and a planned post until its window closes
    or it is late, unless `relevant_until` says otherwise.

    Raises BadContent, NoBrandVoice, AlreadyProposed, ItemNotFound for another workspace's post,
    WorkspaceNotFound for a stranger, and NotATime or SlotTaken for a post at such a time.
    """
    if actor.user:
        check_member(actor.user, workspace)
    if source_post and source_post.workspace_id != workspace.pk:
        raise ItemNotFound("There is no such post in this workspace.")
    check_content(text, workspace=workspace, source_post=source_post)
    try:
        with transaction.atomic(durable=True):
            number = next_number(workspace)
            until = _relevance(source_post)
            if scheduled_for and source_post is None:
                until = check_time(workspace, scheduled_for, now=now)["relevant_until"]
            item = QueueItem.objects.create(
                workspace=workspace,
                number=number,
                kind=Kind.REPLY if source_post else Kind.POST,
                text=text,
                source_post=source_post,
                scheduled_for=scheduled_for,
                relevant_until=relevant_until or until,
                origin="person" if actor.user else "template",
                template=template,
                written_by=actor.user,
                created_at=now,
                moved_at=now,
            )
            audit.record(
                "item.propose",
                workspace=workspace,
                subject=item.subject,
                actor=actor,
                now=now,
                data={"kind": item.kind, "origin": item.origin, "template": template},
                counts=[Count("replies_proposed_total")] if source_post else [],
            )
    except IntegrityError:
        raise AlreadyProposed from None
    return item


def _relevance(post: SourcePost | None) -> datetime | None:
    return None if post is None else post.posted_at + RELEVANT_FOR


def next_number(workspace: Workspace) -> int:
    """Give out the workspace's next item number; its row stays locked until the caller commits."""
    wait_for_locks_at_most(LOCK_SECONDS_OF_OTHERS)  # a pause changes the row that is locked here
    row = Workspace.objects.select_for_update(no_key=True).get(pk=workspace.pk)
    wait_for_locks_at_most(LOCK_SECONDS_WITH_A_WORKSPACE)
    Workspace.objects.filter(pk=row.pk).update(last_item_number=row.last_item_number + 1)
    return row.last_item_number + 1


def propose_replies(workspace: Workspace, *, actor: Actor, now: datetime) -> list[QueueItem]:
    """Suggest a reply to each recent post that may be answered and has no item yet, oldest first."""
    made: list[QueueItem] = []
    for post in _unanswered(workspace, now):
        if len(made) == _AT_ONCE:
            break
        proposal = _fresh_proposal(workspace, post)
        if proposal is None:
            continue
        try:
            item = propose_item(
                workspace,
                text=proposal.text,
                template=proposal.template,
                source_post=post,
                actor=actor,
                now=now,
            )
        except (AlreadyProposed, BadContent):
            continue
        made.append(item)
    return made


def _unanswered(workspace: Workspace, now: datetime) -> Iterator[SourcePost]:
    """Every one of them is looked at: posts that get no proposal keep nobody else waiting."""
    posts = SourcePost.objects.that_may_be_answered().filter(
        workspace=workspace, items=None, posted_at__gte=now - RELEVANT_FOR
    )
    ours = Q(author_id=workspace.x_account.x_user_id)
    alone = Q(author_id__in=workspace.opt_outs.values("author_id"))
    return posts.exclude(ours | alone).order_by("posted_at", "pk").iterator(_AT_ONCE)


def _fresh_proposal(workspace: Workspace, post: SourcePost) -> Proposal | None:
    """The first variant that was not said lately: X refuses duplicates, and people notice."""
    recent = workspace.items.order_by("-created_at").values_list("text", flat=True)
    said = set(recent[:RECENT_TEXTS])
    return next((p for p in propose_from_template(post) if p.text not in said), None)

"""New items: what a template or a person suggests."""

from datetime import datetime, timedelta

from django.db import IntegrityError
from django.db.models import Q

from publishing.errors import AlreadyProposed, Blocked, ItemNotFound
from publishing.models import Candidate, Kind, QueueItem
from publishing.services.content import check_content
from publishing.services.times import check_time
from revfirst.db import wait_for_locks_at_most
from workspaces import audit
from workspaces.actors import Actor
from workspaces.counters import Count
from workspaces.models import User, Workspace
from workspaces.services import (
    LOCK_SECONDS_OF_OTHERS,
    LOCK_SECONDS_WITH_A_WORKSPACE,
    check_member,
    holding_nobody_up,
)
from x_integration.models import SourcePost

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
    Blocked for one that X shows no longer, WorkspaceNotFound for a stranger, NotATime or SlotTaken for a
    post at such a time, and Busy.
    """
    if actor.user:
        check_member(actor.user, workspace)
    if source_post and source_post.workspace_id != workspace.pk:
        raise ItemNotFound("There is no such post in this workspace.")
    check_can_be_answered(source_post)
    check_content(text, workspace=workspace, source_post=source_post)
    return add_item(
        workspace,
        text=text,
        source_post=source_post,
        scheduled_for=scheduled_for,
        relevant_until=relevant_until,
        origin="person" if actor.user else "template",
        template=template,
        written_by=actor.user,
        actor=actor,
        now=now,
    )


def check_can_be_answered(post: SourcePost | None) -> None:
    """Raise Blocked where X shows the post no longer: the next sweep would expire an answer to it."""
    if post is not None and post.gone_at is not None:
        raise Blocked("target_not_eligible")


def add_item(
    workspace: Workspace,
    *,
    text: str,
    origin: str,
    actor: Actor,
    now: datetime,
    source_post: SourcePost | None = None,
    scheduled_for: datetime | None = None,
    relevant_until: datetime | None = None,
    template: str = "",
    written_by: User | None = None,
    candidate: Candidate | None = None,
) -> QueueItem:
    """Write down an item whose content was checked; its post is no candidate any more.

    Raises AlreadyProposed, also when the `candidate` is not as it was read, or its author was told the same
    since; and Busy.
    """
    try:
        with holding_nobody_up():
            number = next_number(workspace)
            if candidate:
                _check_not_said(candidate.source_post, text, number=number)
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
                origin=origin[:20],
                template=template[:60],
                score=candidate.score if candidate else None,
                written_by=written_by,
                created_at=now,
                moved_at=now,
            )
            if source_post:
                _queue_candidate(source_post, candidate, now=now)
            audit.record(
                "item.propose",
                workspace=workspace,
                subject=item.subject,
                actor=actor,
                now=now,
                data={"kind": item.kind, "origin": item.origin, "template": item.template},
                counts=[Count("replies_proposed_total")] if source_post else [],
            )
    except IntegrityError:
        raise AlreadyProposed from None
    return item


def _check_not_said(post: SourcePost, text: str, *, number: int) -> None:
    """Raise AlreadyProposed when another turn, at this moment, chose the same words for the post's author,
    or for the item before. The workspace is locked."""
    theirs = Q(source_post__author_id=post.author_id) | Q(number=number - 1)
    if QueueItem.objects.filter(theirs, workspace=post.workspace_id, text=text).exists():
        raise AlreadyProposed


def _queue_candidate(post: SourcePost, seen: Candidate | None, *, now: datetime) -> None:
    """Nobody looks at the post again. Raises AlreadyProposed when it changed since it was `seen`."""
    queued = {"state": Candidate.State.QUEUED, "reason": "", "looked_at": now}
    row = Candidate.objects.filter(pk=post.pk)
    if seen is None:
        row.exclude(state=Candidate.State.QUEUED).update(**queued)
    elif not row.filter(state=seen.state, version=seen.version).update(
        **queued, intent=seen.intent, score=seen.score, parts=seen.parts
    ):
        raise AlreadyProposed


def _relevance(post: SourcePost | None) -> datetime | None:
    return None if post is None else post.posted_at + RELEVANT_FOR


def next_number(workspace: Workspace) -> int:
    """Give out the workspace's next item number; its row stays locked until the caller commits."""
    wait_for_locks_at_most(LOCK_SECONDS_OF_OTHERS)  # a pause changes the row that is locked here
    row = Workspace.objects.select_for_update(no_key=True).get(pk=workspace.pk)
    wait_for_locks_at_most(LOCK_SECONDS_WITH_A_WORKSPACE)
    Workspace.objects.filter(pk=row.pk).update(last_item_number=row.last_item_number + 1)
    return row.last_item_number + 1

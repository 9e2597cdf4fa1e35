"""People who asked to be left alone: nothing is sent to them until somebody takes it back."""

from datetime import datetime
from typing import Any

from django.db.models import QuerySet

from publishing.models import OptOut, QueueItem
from publishing.pleas import asks_to_be_left_alone
from publishing.services.moves import move_locked
from workspaces import audit
from workspaces.actors import Actor
from workspaces.models import AuditEvent
from workspaces.services import check_operator, holding_nobody_up
from x_integration.models import SourcePost


def is_left_alone(post: SourcePost) -> bool:
    """Whether the post's author asked for no more replies."""
    return OptOut.objects.filter(workspace=post.workspace_id, author_id=post.author_id).exists()


def opt_out_author(post: SourcePost, *, actor: Actor, now: datetime) -> bool:
    """Leave the post's author alone from now on; says whether it changed. Raises NotAllowed."""
    if actor.user:
        check_operator(actor.user, post.workspace)
    with holding_nobody_up():
        return _leave_alone(post, {"source_post": post.pk}, actor=actor, now=now)


def honour_plea(post: SourcePost, *, actor: Actor, now: datetime) -> bool:
    """Leave the post's author alone if the post, said to us, asks for it; says whether it changed.

    What waits for a person to answer them expires; what is approved is held by its gate. A plea from before
    a person said "answer them again" is not honoured anew.
    """
    if post.eligibility != SourcePost.Eligibility.SUMMONED or not asks_to_be_left_alone(post.text):
        return False
    with holding_nobody_up():
        waiting = list(_waiting_for_a_decision(post))
        if _was_taken_back_since(post):
            return False
        asked = {"source_post": post.pk, "asked": True}
        for item in waiting:
            move_locked("expire", item, now=now)
        changed = _leave_alone(post, asked, actor=actor, now=now)
        for item in waiting:
            audit.record(
                "item.expire",
                workspace=post.workspace,
                subject=item.subject,
                actor=actor,
                now=now,
                data={"reason": "author_opted_out"},
            )
    return changed


def _waiting_for_a_decision(post: SourcePost) -> QuerySet[QueueItem]:
    """Pending answers to the post's author, locked in the order of their numbers."""
    theirs = QueueItem.objects.pending().filter(
        workspace=post.workspace_id, source_post__author_id=post.author_id
    )
    return theirs.select_for_update(no_key=True, of=("self",)).order_by("pk")


def _was_taken_back_since(post: SourcePost) -> bool:
    """Whether a person said, after the post, that its author may be answered again."""
    rows = AuditEvent.objects.filter(
        chain=str(post.workspace_id), type="author.opt_in", at__gte=post.posted_at
    )
    theirs = SourcePost.objects.filter(workspace=post.workspace_id, author_id=post.author_id)
    return theirs.filter(pk__in=list(rows.values_list("data__source_post", flat=True))).exists()


def _leave_alone(post: SourcePost, data: dict[str, Any], *, actor: Actor, now: datetime) -> bool:
    opt_out, made = OptOut.objects.get_or_create(
        workspace=post.workspace,
        author_id=post.author_id,
        defaults={
            "author_username": post.author_username,
            "since": now,
            "noted_by": str(actor),
        },
    )
    if made:
        _record("author.opt_out", opt_out, data, actor=actor, now=now)
    return made


def opt_in_author(opt_out: OptOut, *, actor: Actor, now: datetime) -> bool:
    """The author may be answered again; says whether it changed. Raises NotAllowed."""
    if actor.user:
        check_operator(actor.user, opt_out.workspace)
    with holding_nobody_up():
        removed, _ = OptOut.objects.filter(pk=opt_out.pk).delete()
        if removed:
            _record("author.opt_in", opt_out, _a_post_of(opt_out), actor=actor, now=now)
    return bool(removed)


def _a_post_of(opt_out: OptOut) -> dict[str, Any]:
    """By which an older plea is known for one that was taken back."""
    posts = SourcePost.objects.filter(workspace=opt_out.workspace, author_id=opt_out.author_id)
    return {"source_post": posts.order_by("-pk").values_list("pk", flat=True).first()}


def _record(
    type_: str, opt_out: OptOut, data: dict[str, Any], *, actor: Actor, now: datetime
) -> None:
    """Our own numbers stand for the person and the post: the audit log names nobody on X."""
    subject, workspace = f"author:{opt_out.pk}", opt_out.workspace
    audit.record(type_, workspace=workspace, subject=subject, actor=actor, now=now, data=data)

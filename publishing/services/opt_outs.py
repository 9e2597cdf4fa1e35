"""People who asked to be left alone: nothing is sent to them until somebody takes it back."""

from datetime import datetime

from publishing.models import OptOut
from publishing.pleas import asks_to_be_left_alone
from workspaces import audit
from workspaces.actors import Actor
from workspaces.models import Workspace
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
            _record("author.opt_out", opt_out, post.workspace, actor=actor, now=now)
    return made


def honour_plea(post: SourcePost, *, actor: Actor, now: datetime) -> bool:
    """Leave the post's author alone when the post asks for it; says whether it changed."""
    return asks_to_be_left_alone(post.text, post.lang) and opt_out_author(
        post, actor=actor, now=now
    )


def opt_in_author(opt_out: OptOut, *, actor: Actor, now: datetime) -> bool:
    """The author may be answered again; says whether it changed. Raises NotAllowed."""
    if actor.user:
        check_operator(actor.user, opt_out.workspace)
    with holding_nobody_up():
        removed, _ = OptOut.objects.filter(pk=opt_out.pk).delete()
        if removed:
            _record("author.opt_in", opt_out, opt_out.workspace, actor=actor, now=now)
    return bool(removed)


def _record(
    type_: str, opt_out: OptOut, workspace: Workspace, *, actor: Actor, now: datetime
) -> None:
    """Our own number stands for the person: the audit log names nobody on X."""
    subject = f"author:{opt_out.pk}"
    audit.record(type_, workspace=workspace, subject=subject, actor=actor, now=now)

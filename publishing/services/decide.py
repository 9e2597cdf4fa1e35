"""A person's decisions: approve, reject, edit. Each names the version that was seen."""

from datetime import datetime

from django.db import transaction
from django_q.tasks import async_task

from publishing.errors import FourEyes, ItemNotFound
from publishing.models import QueueItem
from publishing.services import approvals
from publishing.services.moves import move_item
from publishing.services.propose import check_content
from workspaces import audit, reasons
from workspaces.actors import Actor
from workspaces.counters import Count
from workspaces.errors import NotAllowed
from workspaces.models import User
from workspaces.services import approvers, check_operator


def approve_item(item_id: int, *, version: int, actor: Actor, now: datetime) -> QueueItem:
    """Let a pending item be published, as it reads in `version`.

    Raises ItemNotFound, WrongState (decided or edited), NotAllowed or FourEyes.
    """
    user = _check_may_decide(item_id, actor)
    with transaction.atomic(durable=True):
        item = move_item("approve", item_id, now=now, seen=version, tries=0)
        _check_four_eyes(item, user)
        approval = approvals.freeze(item, by=user, door=actor.door, now=now)
        audit.record(
            "item.approve",
            workspace=item.workspace,
            subject=item.subject,
            actor=actor,
            now=now,
            data={"version": version, "content_hash": approval.content_hash},
            counts=[Count("approvals_total", {"decision": "approve", "door": actor.door})],
        )
        # Same database: the nudge is queued if and only if we commit.
        async_task("publishing.tasks.publish_one", item.pk)
    return item


def reject_item(
    item_id: int, *, version: int, reason: str, actor: Actor, now: datetime
) -> QueueItem:
    """Decide that an item is not published. Raises ItemNotFound, WrongState, NotAllowed, ReasonNeeded."""
    _check_may_decide(item_id, actor)
    kept = reasons.checked(reason)
    with transaction.atomic(durable=True):
        item = move_item("reject", item_id, now=now, seen=version, decision_reason=kept)
        approvals.void(item, now=now)
        audit.record(
            "item.reject",
            workspace=item.workspace,
            subject=item.subject,
            actor=actor,
            now=now,
            data={"version": version},
            counts=[Count("approvals_total", {"decision": "reject", "door": actor.door})],
        )
    return item


def edit_item(item_id: int, *, version: int, text: str, actor: Actor, now: datetime) -> QueueItem:
    """Change the text; an approval becomes void, and the item waits for a person again.

    Raises ItemNotFound, WrongState, NotAllowed or BadContent.
    """
    user = _check_may_decide(item_id, actor)
    check_content(text)
    with transaction.atomic(durable=True):
        item = move_item(
            "edit",
            item_id,
            now=now,
            seen=version,
            text=text,
            written_by=user,
            blocked_reason="",
            not_before=None,
        )
        approvals.void(item, now=now)
        audit.record(
            "item.edit",
            workspace=item.workspace,
            subject=item.subject,
            actor=actor,
            now=now,
            data={"version": item.version},
        )
    return item


def _check_may_decide(item_id: int, actor: Actor) -> User:
    """The person who decides; a stranger is told that there is no such item."""
    item = QueueItem.objects.select_related("workspace").filter(pk=item_id).first()
    if item is None:
        raise ItemNotFound
    if actor.user is None:
        raise NotAllowed("Only a person decides.")
    check_operator(actor.user, item.workspace)
    return actor.user


def _check_four_eyes(item: QueueItem, user: User) -> None:
    wrote_it = item.written_by_id == user.pk
    if wrote_it and item.workspace.four_eyes and approvers(item.workspace) > 1:
        raise FourEyes

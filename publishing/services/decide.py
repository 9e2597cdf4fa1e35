"""A person's decisions about an item that was not sent. Each names the version that was seen."""

from datetime import datetime
from typing import Any

from django.db import IntegrityError
from django.db.models import F
from django_q.tasks import async_task

from publishing.errors import AlreadyPosted, AlreadyProposed, WrongState
from publishing.models import QueueItem
from publishing.services import approvals
from publishing.services.content import check_by_itself, check_content
from publishing.services.deciders import (
    check_four_eyes,
    check_may_decide,
    check_target_stands,
)
from publishing.services.edits import note_edit
from publishing.services.late import stands_on_x
from publishing.services.moves import move_item
from publishing.services.times import check_slot_is_free, new_time
from workspaces import audit, reasons
from workspaces.actors import Actor
from workspaces.counters import Count
from workspaces.services import holding_nobody_up

AFRESH: dict[str, Any] = {"blocked_reason": "", "not_before": None, "last_error": ""}


def approve_item(item_id: int, *, version: int, actor: Actor, now: datetime) -> QueueItem:
    """Let a pending item be published, as it reads in `version`.

    Raises ItemNotFound, WrongState (decided, edited, too late, or its target is gone), NotAllowed, FourEyes,
    BadContent or NoBrandVoice.
    """
    user = check_may_decide(item_id, actor)
    with holding_nobody_up():
        item = move_item("approve", item_id, now=now, seen=version, tries=0)
        check_four_eyes(item, user)
        check_target_stands(item)
        check_in_time(item, now=now)
        check_by_itself(item.text, source_post=item.source_post)
        approval = approvals.freeze(item, by=user, door=actor.door, now=now)
        audit.record(
            "item.approve",
            workspace=item.workspace,
            subject=item.subject,
            actor=actor,
            now=now,
            data={"version": version, "content_hash": approval.content_hash},
            counts=[decided("approve", actor)],
        )
        nudge(item)
    return item


def decided(decision: str, actor: Actor) -> Count:
    """One decision at the actor's door, for the counter of decisions."""
    return Count("approvals_total", {"decision": decision, "door": actor.door})


def check_in_time(item: QueueItem, *, now: datetime) -> None:
    """Raise WrongState when it is too late to say this."""
    if item.relevant_until is not None and item.relevant_until <= now:
        raise WrongState(f"{item} is too late: it was to be said before {_utc(item)}.")


def _utc(item: QueueItem) -> str:
    return f"{item.relevant_until:%Y-%m-%d %H:%M} UTC"


def nudge(item: QueueItem) -> None:
    """Tell the worker that the item is due. Same database: it is told if and only if we commit."""
    async_task("publishing.tasks.publish_one", item.pk)


def reject_item(
    item_id: int, *, version: int, reason: str, actor: Actor, now: datetime
) -> QueueItem:
    """Decide that an item is not published. Raises ItemNotFound, WrongState, NotAllowed, ReasonNeeded."""
    check_may_decide(item_id, actor)
    kept = reasons.checked(reason)
    with holding_nobody_up():
        item = move_item("reject", item_id, now=now, seen=version, decision_reason=kept)
        approvals.void(item, now=now)
        audit.record(
            "item.reject",
            workspace=item.workspace,
            subject=item.subject,
            actor=actor,
            now=now,
            data={"version": version},
            counts=[decided("reject", actor)],
        )
    return item


def edit_item(
    item_id: int,
    *,
    version: int,
    text: str,
    actor: Actor,
    now: datetime,
    scheduled_for: datetime | None = None,
) -> QueueItem:
    """Change the text, or for when it is planned; an approval becomes void, and the item waits for a person again.

    Whoever changes the time alone wrote nothing: the writer stays who it was. Raises ItemNotFound, WrongState,
    NotAllowed, BadContent, NoBrandVoice, NotATime or SlotTaken.
    """
    user = check_may_decide(item_id, actor)
    seen = QueueItem.objects.select_related("workspace", "source_post").get(pk=item_id)
    check_content(text, workspace=seen.workspace, source_post=seen.source_post, besides=item_id)
    with holding_nobody_up():
        changes = new_time(seen, scheduled_for, now=now)
        if text != seen.text or not changes:
            changes |= {"text": text, "written_by": user}
        item = move_item("edit", item_id, now=now, seen=version, **changes, **AFRESH)
        approvals.void(item, now=now)
        if item.text != seen.text:
            note_edit(item, before=seen.text, by=user, door=actor.door, now=now)
        audit.record(
            "item.edit",
            workspace=item.workspace,
            subject=item.subject,
            actor=actor,
            now=now,
            data={"version": item.version, **_told(scheduled_for)},
        )
    return item


def _told(scheduled_for: datetime | None) -> dict[str, str]:
    """A new time, as an audit row holds it."""
    return {"scheduled_for": scheduled_for.isoformat()} if scheduled_for else {}


def retry_item(
    item_id: int,
    *,
    version: int,
    actor: Actor,
    now: datetime,
    scheduled_for: datetime | None = None,
) -> QueueItem:
    """Put what failed or expired back before a person: it asks for a new approval.

    With another time it is another version. Raises ItemNotFound, WrongState (also when it is too late, or its
    target is gone), NotAllowed, AlreadyPosted when it was found on X after it had been given up,
    AlreadyProposed when another item answers the same post, NotATime or SlotTaken.
    """
    check_may_decide(item_id, actor)
    item = QueueItem.objects.select_related("workspace").get(pk=item_id)
    try:
        with holding_nobody_up():
            changes = new_time(item, scheduled_for, now=now)
            if changes:
                changes["version"] = F("version") + 1
            else:
                check_slot_is_free(item)
            item = move_item("retry", item_id, now=now, seen=version, tries=0, **changes, **AFRESH)
            check_target_stands(item)
            check_in_time(item, now=now)
            if stands_on_x(item):
                raise AlreadyPosted(f"{item} stands on X already, by a try that had been given up.")
            approvals.void(item, now=now)
            audit.record(
                "item.retry",
                workspace=item.workspace,
                subject=item.subject,
                actor=actor,
                now=now,
                data={"version": item.version, **_told(scheduled_for)},
            )
    except IntegrityError:
        raise AlreadyProposed from None
    return item

"""The post of an abandoned attempt is found, and its item cannot become published by it: never lost silently."""

from collections.abc import Collection
from datetime import datetime

from publishing.models import PublishAttempt, QueueItem
from publishing.services.looks import note_look
from publishing.states import Outcome, State
from workspaces import audit
from workspaces.actors import Actor
from workspaces.services import holding_nobody_up, raise_alarm
from x_integration.payloads import Post

LATE_MATCH, PUBLISHED_TWICE = "late_match", "published_twice"  # alarms
DECIDED_OTHERWISE = (State.REJECTED, State.EXPIRED)
"""Nothing is published from here: a post that stands all the same is for a person to delete, or to keep."""


def note_found_elsewhere(
    attempt: PublishAttempt, maker: PublishAttempt, post: Post, *, actor: Actor, now: datetime
) -> None:
    """Write down a post, found for `attempt`, whose maker the item's state did not let be confirmed.

    Published by another try, there are two posts: alarm. Rejected or expired, the state stays, and one
    alarm and one audit row say what stands on X. While another try is in flight, it is looked for again.
    """
    if attempt.outcome != Outcome.ABANDONED:
        return
    item = QueueItem.objects.get(pk=attempt.item_id)
    if item.state in DECIDED_OTHERWISE and not stands_on_x(item):
        _note_unwanted(maker, post, DECIDED_OTHERWISE, actor=actor, now=now)
        return
    published = item.state == State.PUBLISHED
    if published and item.x_post_id != post.id:
        tell_twice(attempt, now=now)
    note_look(attempt, found_nothing=published or item.state in DECIDED_OTHERWISE, now=now)


def note_found_beside_another(
    attempt: PublishAttempt, maker: PublishAttempt, post: Post, *, actor: Actor, now: datetime
) -> None:
    """Write down a post of a failed item whose place another item has by now, which answers the same post.

    The gates then hold the other back as a duplicate. Published already, there are two posts: alarm.
    """
    item = attempt.item
    if stands_on_x(item):
        note_look(attempt, found_nothing=True, now=now)
        return
    _note_unwanted(maker, post, (State.FAILED,), actor=actor, now=now)
    others = QueueItem.objects.filter(workspace=item.workspace_id, source_post=item.source_post_id)
    if others.filter(state=State.PUBLISHED).exists():
        tell_twice(attempt, now=now)


def tell_twice(attempt: PublishAttempt, *, now: datetime) -> None:
    """Raise the alarm that two posts of ours say the same."""
    detail = f"{attempt.item} stands on X beside another post of ours: delete one of them."
    raise_alarm(PUBLISHED_TWICE, detail=detail, workspace=attempt.workspace, now=now)


def _note_unwanted(
    attempt: PublishAttempt,
    post: Post,
    states: Collection[State],
    *,
    actor: Actor,
    now: datetime,
) -> None:
    """Once for an attempt, which is not looked for any more; the item's row is locked before its own."""
    with holding_nobody_up():
        row = QueueItem.objects.select_for_update(no_key=True).get(pk=attempt.item_id)
        if row.state not in states:
            return  # it moved meanwhile: the next look decides
        unnoted = PublishAttempt.objects.filter(
            pk=attempt.pk, outcome=Outcome.ABANDONED, reconciled=False
        )
        if not unnoted.update(reconciled=True, next_look_at=None):
            return
        detail = f"{row} is {row.state}, and stands on X by a try that had been given up."
        raise_alarm(LATE_MATCH, detail=detail, workspace=attempt.workspace, now=now)
        audit.record(
            "item.late_match",
            workspace=attempt.workspace,
            subject=row.subject,
            actor=actor,
            now=now,
            data={"attempt": attempt.number, "state": row.state, "x_post_id": post.id},
        )


def stands_on_x(item: QueueItem) -> bool:
    """Whether a try that was given up was found on X while the item was decided otherwise."""
    return PublishAttempt.objects.found_late().filter(item=item).exists()

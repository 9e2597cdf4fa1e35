"""Settle: what X's answer means for the attempt, the item and the numbers, in one transaction."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError, transaction

from publishing.errors import PostTaken, WrongState
from publishing.models import Approval, Kind, PublishAttempt, QueueItem
from publishing.services import approvals
from publishing.services.moves import move_item
from publishing.states import Outcome, State
from workspaces import audit
from workspaces.actors import Actor
from workspaces.counters import Count

MAX_TRIES = 5
LOOK_AFTER = (timedelta(seconds=15), timedelta(minutes=2), timedelta(minutes=10))
"""When to look at the timeline, counted from the attempt's start."""

_OUTCOMES = {
    "confirm": Outcome.SUCCEEDED,
    "doubt": Outcome.UNKNOWN,
    "release": Outcome.NOT_EXECUTED,
    "fail": Outcome.REFUSED,
}


def settle_attempt(
    attempt_id: int,
    move: str,
    *,
    actor: Actor,
    now: datetime,
    code: str = "",
    words: str = "",
    x_post_id: str = "",
    retry_at: datetime | None = None,
    counts: bool = True,
    reconciled: bool = False,
) -> None:
    """Write down what came of an attempt: `confirm`, `doubt`, `release` or `fail`.

    A release that used up the last try becomes a fail. Raises WrongState when somebody settled it
    before (a doubt may still be confirmed), and PostTaken when the post belongs to another item.
    """
    with _post_once(), transaction.atomic(durable=True):
        attempt = PublishAttempt.objects.select_related("item").get(pk=attempt_id)
        if move == "release" and counts and attempt.item.tries + 1 >= MAX_TRIES:
            move = "fail"
        changes = _item_changes(
            move, attempt, now=now, code=code, words=words, retry_at=retry_at, counts=counts
        )
        if move == "confirm":
            changes |= {"x_post_id": x_post_id, "needs_person": False}
        item = move_item(move, attempt.item_id, now=now, **changes)
        _close_attempt(
            attempt,
            move,
            now=now,
            code=code,
            words=words,
            x_post_id=x_post_id,
            reconciled=reconciled,
        )
        if move in ("confirm", "doubt"):
            Approval.objects.filter(pk=attempt.approval_id, used_at=None).update(used_at=now)
        elif move == "fail":
            approvals.void(item, now=now)
        if move == "confirm":
            record_replies_published(
                item, attempt, actor=actor, now=now, x_post_id=x_post_id, reconciled=reconciled
            )
        else:
            _record_error(move, item, attempt, actor=actor, now=now, code=code)


@contextmanager
def _post_once() -> Iterator[None]:
    """The database says that a post belongs to one item; here it says so in our words."""
    try:
        yield
    except IntegrityError as error:
        if "item_x_post_id_once" in str(error):
            raise PostTaken from None
        raise


def _item_changes(
    move: str,
    attempt: PublishAttempt,
    *,
    now: datetime,
    code: str,
    words: str,
    retry_at: datetime | None,
    counts: bool,
) -> dict[str, Any]:
    if move == "confirm":
        return {"blocked_reason": "", "not_before": None, "last_error": "", "last_words": ""}
    changes: dict[str, Any] = {"last_error": code, "last_words": words[:400]}
    if move == "release":
        tries = attempt.item.tries + counts
        changes |= {"tries": tries, "not_before": retry_at or now + _back_off(tries)}
    return changes


def _back_off(tries: int) -> timedelta:
    """30 s, 1 min, 2 min, 4 min …: one more doubling per counted try."""
    return timedelta(seconds=30 * 2 ** max(tries - 1, 0))


def _close_attempt(
    attempt: PublishAttempt,
    move: str,
    *,
    now: datetime,
    code: str,
    words: str,
    x_post_id: str,
    reconciled: bool,
) -> None:
    open_for = [Outcome.IN_FLIGHT, Outcome.UNKNOWN] if move == "confirm" else [Outcome.IN_FLIGHT]
    rows = PublishAttempt.objects.filter(pk=attempt.pk, outcome__in=open_for)
    closed = rows.update(
        outcome=_OUTCOMES[move],
        settled_at=now,
        code=code,
        words=words[:400],
        x_post_id=x_post_id,
        reconciled=reconciled,
        next_look_at=attempt.started_at + LOOK_AFTER[0] if move == "doubt" else None,
    )
    if not closed:
        raise WrongState(f"{attempt} was settled before.")


def record_replies_published(
    item: QueueItem,
    attempt: PublishAttempt,
    *,
    actor: Actor,
    now: datetime,
    x_post_id: str,
    reconciled: bool,
) -> None:
    """Audit and count one confirmed publication. Its only caller is the settle of a confirm."""
    name = "replies_published_total" if item.kind == Kind.REPLY else "posts_published_total"
    numbers = [Count(name)]
    if reconciled:
        numbers.append(Count("unconfirmed_total", {"settled": "published"}))
    audit.record(
        "item.confirm",
        workspace=item.workspace,
        subject=item.subject,
        actor=actor,
        now=now,
        data={
            "kind": item.kind,
            "attempt": attempt.number,
            "x_post_id": x_post_id,
            "content_hash": attempt.content_hash,
            "reconciled": reconciled,
        },
        counts=numbers,
    )


def _record_error(
    move: str, item: QueueItem, attempt: PublishAttempt, *, actor: Actor, now: datetime, code: str
) -> None:
    audit.record(
        f"item.{move}",
        workspace=item.workspace,
        subject=item.subject,
        actor=actor,
        now=now,
        data={"attempt": attempt.number, "code": code},
        counts=[Count("publish_errors_total", {"code": code})],
    )


def note_look(attempt: PublishAttempt, *, found_nothing: bool, now: datetime) -> None:
    """Plan the next look. After the last one, or a day of looks that failed, a person decides."""
    looks = attempt.looks + int(found_nothing)
    next_look = now + timedelta(minutes=1)
    if found_nothing:
        next_look = attempt.started_at + LOOK_AFTER[min(looks, len(LOOK_AFTER) - 1)]
    given_up = looks >= len(LOOK_AFTER) or now - attempt.started_at >= timedelta(hours=24)
    with transaction.atomic(durable=True):
        item = QueueItem.objects.filter(pk=attempt.item_id, state=State.UNCONFIRMED)
        item.select_for_update(no_key=True).first()  # item before attempt, as everywhere
        row = PublishAttempt.objects.filter(
            pk=attempt.pk, looks=attempt.looks, outcome=Outcome.UNKNOWN
        )
        noted = row.update(looks=looks, next_look_at=None if given_up else next_look)
        if noted and given_up:
            item.update(needs_person=True)

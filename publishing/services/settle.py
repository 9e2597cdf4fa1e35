"""Settle: what X's answer means for the attempt, the item and the numbers, in one transaction."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.db import IntegrityError, transaction

from publishing.errors import AlreadyProposed, PostTaken, WrongState
from publishing.models import Approval, Kind, PublishAttempt, QueueItem
from publishing.services import approvals
from publishing.services.containment import contain_after_failures, lock_workspace_of
from publishing.services.late import LATE_MATCH
from publishing.services.looks import abandoned, first_look
from publishing.services.moves import move_locked
from publishing.states import Outcome, State
from revfirst.db import wait_for_locks_at_most
from revfirst.prepared import Prepared
from workspaces import audit
from workspaces.actors import Actor
from workspaces.counters import Count
from workspaces.services import LOCK_SECONDS_OF_OTHERS, raise_alarm
from x_integration.answers import DUPLICATE_CONTENT, TARGET_GONE
from x_integration.services import (
    is_window_end,
    mark_refused,
    record_spend,
    remember_rates,
)

if TYPE_CHECKING:
    from x_integration.answers import Rate

MAX_TRIES = 5
NO_RATES: Mapping[str, Rate] = {}
_ASKS_ELSEWHERE = (State.UNCONFIRMED, State.HANDED_OFF)
"""An item in these waits for another try of its own, which a late match ends."""
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
    rates: Mapping[str, Rate] = NO_RATES,
) -> PublishAttempt:
    """Write down what came of an attempt: `confirm`, `doubt`, `release` or `fail`; the attempt as it is.

    A release that used up the last try becomes a fail, and so does any of a direct attempt, which
    nobody tries again. A doubt may still be confirmed, and so may a hand-off and, late, what was
    abandoned. Raises WrongState when somebody settled it before, PostTaken when the post belongs to
    another item, AlreadyProposed when another item took the place of an abandoned one, and
    OperationalError when a row is held for long.
    """
    with _in_our_words(), transaction.atomic(durable=True):
        wait_for_locks_at_most(LOCK_SECONDS_OF_OTHERS, plan_once=move == "confirm")
        if move != "confirm":  # a failure may contain the workspace: its row comes first
            lock_workspace_of(attempt_id)
        attempt = _locked(attempt_id)
        if move == "confirm":
            _confirm(attempt, x_post_id, actor=actor, now=now, reconciled=reconciled, rates=rates)
            return attempt
        released = move == "release"
        if released and (attempt.is_direct or counts and attempt.item.tries + 1 >= MAX_TRIES):
            move = "fail"
        item, changes = attempt.item, {"last_error": code, "last_words": words[:400]}
        if move == "release":
            changes |= _another_try(item, now=now, retry_at=retry_at, counts=counts)
        move_locked(move, item, now=now, **changes)
        outcome = Outcome.NOT_EXECUTED if released else _OUTCOMES[move]
        charge = _charge(attempt) if move == "doubt" else {}
        _close(attempt, outcome, now=now, code=code, words=words[:400])
        _use_approval(attempt, move, now=now)
        if code == TARGET_GONE and item.source_post_id is not None:
            mark_refused(item.source_post_id, now=now)
        _remember(attempt, rates, now=now)
        _record_error(move, attempt, actor=actor, now=now, code=code, charge=charge)
        if move != "release":
            contain_after_failures(attempt.workspace, actor=actor, now=now)
    return attempt


_WITH_ITS_ROWS = Prepared(
    lambda attempt_id: (
        PublishAttempt.objects.filter(pk=attempt_id)
        .select_related("item", "workspace__x_account")
        .select_for_update(no_key=True, of=("item", "self"))
    )
)


def _locked(attempt_id: int) -> PublishAttempt:
    """The attempt with all that settling touches; first its item is locked, then itself.

    Whoever settles the same attempt at the same moment waits here, and reads what the other wrote.
    """
    attempt = _WITH_ITS_ROWS.first(attempt_id=attempt_id)
    if attempt is None:
        raise WrongState("There is no such try.")
    attempt.item.workspace = attempt.workspace
    return attempt


@contextmanager
def _in_our_words() -> Iterator[None]:
    """The database says that a post belongs to one item, and a target to one live item."""
    try:
        yield
    except IntegrityError as error:
        if "item_x_post_id_once" in str(error):
            raise PostTaken from None
        if "item_one_live_reply_per_post" in str(error):
            raise AlreadyProposed from None
        raise


# --- not confirmed --------------------------------------------------------------------------------


def _another_try(
    item: QueueItem, *, now: datetime, retry_at: datetime | None, counts: bool
) -> dict[str, Any]:
    tries = item.tries + counts
    known = retry_at is not None and is_window_end(retry_at, now=now)
    return {"tries": tries, "not_before": retry_at if known else now + _back_off(tries)}


def _back_off(tries: int) -> timedelta:
    """30 s, 1 min, 2 min, 4 min …: one more doubling per counted try."""
    return timedelta(seconds=30 * 2 ** max(tries - 1, 0))


def _close(attempt: PublishAttempt, outcome: Outcome, *, now: datetime, **columns: Any) -> None:
    """Give the attempt its outcome, unless somebody did. Raises WrongState."""
    open_for = [Outcome.IN_FLIGHT]
    if outcome == Outcome.SUCCEEDED:
        open_for += [Outcome.UNKNOWN, Outcome.HANDED_OFF, Outcome.ABANDONED]
    next_look = first_look(attempt) if outcome == Outcome.UNKNOWN else None
    columns |= {"outcome": outcome, "settled_at": now, "next_look_at": next_look}
    columns["charged"] = attempt.charged
    if not PublishAttempt.objects.filter(pk=attempt.pk, outcome__in=open_for).update(**columns):
        raise WrongState(f"{attempt} was settled before.")
    for column, value in columns.items():
        setattr(attempt, column, value)


def _use_approval(attempt: PublishAttempt, move: str, *, now: datetime) -> None:
    """Used up by confirm and doubt, void after a fail; a release leaves it live."""
    if attempt.approval_id is None or move == "release":
        return
    column = "voided_at" if move == "fail" else "used_at"
    live = Approval.objects.filter(pk=attempt.approval_id, voided_at=None, used_at=None)
    live.update(**{column: now})


def _record_error(
    move: str,
    attempt: PublishAttempt,
    *,
    actor: Actor,
    now: datetime,
    code: str,
    charge: Mapping[str, str],
) -> None:
    audit.record(
        f"item.{move}",
        workspace=attempt.workspace,
        subject=attempt.item.subject,
        actor=actor,
        now=now,
        data={"attempt": attempt.number, "code": code, **charge},
        counts=[Count("publish_errors_total", {"code": code}), *_spent(attempt, charge)],
    )


# --- confirmed ------------------------------------------------------------------------------------


def _confirm(
    attempt: PublishAttempt,
    x_post_id: str,
    *,
    actor: Actor,
    now: datetime,
    reconciled: bool,
    rates: Mapping[str, Rate],
) -> None:
    """The post stands on X: the item is published, by this attempt.

    Late, it is not while another try is in flight: that one's outcome comes first.
    """
    item, late = attempt.item, attempt.outcome == Outcome.ABANDONED
    move = "late_confirm" if late and item.state not in _ASKS_ELSEWHERE else "confirm"
    told = {"blocked_reason": "", "not_before": None, "last_error": "", "last_words": ""}
    move_locked(move, item, now=now, x_post_id=x_post_id, needs_person=False, **told)
    if late:
        _end_what_came_after(attempt, now=now)
    charge = _charge(attempt)
    _close(
        attempt,
        Outcome.SUCCEEDED,
        now=now,
        code="",
        words="",
        x_post_id=x_post_id,
        reconciled=reconciled,
    )
    _use_approval(attempt, move, now=now)
    _remember(attempt, rates, now=now)
    record_replies_published(attempt, actor=actor, now=now, charge=charge, late=late)


def _end_what_came_after(attempt: PublishAttempt, *, now: datetime) -> None:
    """An abandoned attempt was the one after all: nothing that followed it goes on."""
    rivals = attempt.item.attempts.filter(outcome__in=[Outcome.UNKNOWN, Outcome.HANDED_OFF])
    duplicate = rivals.filter(code=DUPLICATE_CONTENT)  # X refused it because the first one stands
    duplicate.update(outcome=Outcome.REFUSED, next_look_at=None)
    rivals.update(**abandoned(now))
    approvals.void(attempt.item, now=now)
    detail = f"{attempt.item} stands on X by a try that had been given up."
    raise_alarm(LATE_MATCH, detail=detail, workspace=attempt.workspace, now=now)


def record_replies_published(
    attempt: PublishAttempt,
    *,
    actor: Actor,
    now: datetime,
    charge: Mapping[str, str],
    late: bool,
) -> None:
    """Audit and count one confirmed publication. Its only caller is the settle of a confirm."""
    if attempt.by_hand:
        type_, numbers = "item.confirm_by_hand", [Count("handed_off_published_total")]
    else:
        reply = attempt.kind == Kind.REPLY
        type_ = "item.confirm"
        numbers = [Count("replies_published_total" if reply else "posts_published_total")]
        if attempt.is_direct:
            numbers.append(Count("direct_publish_total"))
        if attempt.reconciled:
            numbers.append(Count("unconfirmed_total", {"settled": "published"}))
    audit.record(
        type_,
        workspace=attempt.workspace,
        subject=attempt.item.subject,
        actor=actor,
        now=now,
        data={
            "kind": attempt.kind,
            "attempt": attempt.number,
            "x_post_id": attempt.x_post_id,
            "content_hash": attempt.content_hash,
            "reconciled": attempt.reconciled,
            **({"direct": True} if attempt.is_direct else {}),
            **({"late": True} if late else {}),
            **charge,
        },
        counts=[*numbers, *_spent(attempt, charge)],
    )


# --- money and limits -----------------------------------------------------------------------------


def _charge(attempt: PublishAttempt) -> dict[str, str]:
    """Put the attempt's price into the ledger, once: X has executed it, or may have.

    It belongs to the day on which it was sent, whose budget the gate asked. What the audit row says of
    it; empty when it is in the ledger already, and for what costs nothing.
    """
    if attempt.charged or not attempt.usd:
        return {}
    at = attempt.started_at
    record_spend(attempt.workspace, attempt.priced_as, attempt.usd, subject=attempt.subject, now=at)
    attempt.charged = True
    return {"usd": str(attempt.usd), "spend": attempt.priced_as}


def _spent(attempt: PublishAttempt, charge: Mapping[str, str]) -> list[Count]:
    if not charge:
        return []
    return [Count("x_spend_usd_total", {"kind": charge["spend"]}, attempt.usd)]


def _remember(attempt: PublishAttempt, rates: Mapping[str, Rate], *, now: datetime) -> None:
    if rates:
        remember_rates(attempt.workspace.x_account.pk, rates, now=now)

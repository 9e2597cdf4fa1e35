"""Wrong workers: what a check must notice is planted in a worker, never in the code that ships."""

from __future__ import annotations

import dataclasses
import inspect
import sys
from functools import partial, wraps
from typing import TYPE_CHECKING, Any
from unittest import mock

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from publishing import states
from publishing.models import Approval, PublishAttempt, QueueItem
from publishing.services import facts, settle
from publishing.services.approvals import snapshot_of
from publishing.states import Outcome, State
from revfirst.prepared import Prepared
from tests.mortals.hooks import rewire
from tests.mortals.places import CLAIM, CREATE_POST, LOOK, SETTLE
from workspaces import audit
from workspaces.actors import Actor
from workspaces.models import AuditChain
from x_integration.errors import XNotSent

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

FIRST_BLOCK = "publishing.services.gates:first_block"


def claim_unguarded() -> None:
    """No row is locked for a claim, and its UPDATE takes the item in whatever state it is."""
    anywhere = dataclasses.replace(states.MOVES["claim"], sources=frozenset(State))
    states.MOVES["claim"] = anywhere
    lock = QuerySet.select_for_update
    for module in list(sys.modules.values()):  # what was built before is built again
        for value in list(vars(module).values()):
            if isinstance(value, Prepared):
                value._plan = None

    def of_the_chain_only(rows: Any, **options: Any) -> Any:
        return lock(rows, **options) if rows.model is AuditChain else rows.all()

    unlocked = mock.patch.object(QuerySet, "select_for_update", of_the_chain_only)

    def change(claim: Any) -> Any:
        @wraps(claim)
        def wrong(*args: Any, **kwargs: Any) -> Any:
            with unlocked:
                return claim(*args, **kwargs)

        return wrong

    rewire(CLAIM, change)


def settle_before_call() -> None:
    """The confirm is written when the claim is, with an id that X never gave."""
    settled: set[int] = set()

    def claiming(claim: Any) -> Any:
        @wraps(claim)
        def wrong(item_id: int, *, actor: Actor, now: datetime) -> Any:
            attempt = claim(item_id, actor=actor, now=now)
            if attempt is not None:
                told = f"{attempt.pk:019}"
                settle.settle_attempt(attempt.pk, "confirm", actor=actor, now=now, x_post_id=told)
                settled.add(attempt.pk)
            return attempt

        return wrong

    def settling(real: Any) -> Any:
        @wraps(real)
        def wrong(attempt_id: int, *args: Any, **kwargs: Any) -> None:
            if attempt_id not in settled:
                real(attempt_id, *args, **kwargs)

        return wrong

    rewire(SETTLE, settling)
    rewire(CLAIM, claiming)


class _Asked(Exception):
    """Ends the transaction in which the gates were asked."""


def gates_outside() -> None:
    """The gates are asked in a transaction of their own; the claim believes the answer."""
    answers: list[Any] = []
    asking = False

    def gates(first_block: Any) -> Any:
        @wraps(first_block)
        def wrong(*args: Any, **kwargs: Any) -> Any:
            if not asking:
                return answers[-1]
            answers.append(first_block(*args, **kwargs))
            raise _Asked

        return wrong

    def claiming(claim: Any) -> Any:
        bare = inspect.unwrap(claim)

        @wraps(claim)
        def wrong(*args: Any, **kwargs: Any) -> Any:
            nonlocal asking
            asking = True
            try:
                return bare(*args, **kwargs)  # nothing to ask about
            except _Asked:
                pass
            finally:
                asking = False
            return claim(*args, **kwargs)

        return wrong

    rewire(FIRST_BLOCK, gates)
    rewire(CLAIM, claiming)


def look_skipped() -> None:
    """A doubt counts as not sent: nobody looks, and the item goes out again."""

    def wrong(attempt: PublishAttempt, **_: Any) -> bool:
        item, now = attempt.item, timezone.now()
        with transaction.atomic(durable=True):
            PublishAttempt.objects.filter(pk=attempt.pk).update(
                outcome=Outcome.NOT_EXECUTED, next_look_at=None
            )
            Approval.objects.filter(attempts=attempt).update(used_at=None)
            QueueItem.objects.filter(pk=item.pk).update(state=State.APPROVED, not_before=None)
            audit.record(
                "item.release",
                workspace=item.workspace,
                subject=item.subject,
                actor=Actor.worker(),
                now=now,
            )
        return False

    rewire(LOOK, lambda look: wraps(look)(wrong))


def approval_of_anything() -> None:
    """A yes counts for whatever the row says by now, and that is what goes out."""
    rewire("publishing.services.approvals:covers", lambda covers: lambda *_: True)

    def change(write: Any) -> Any:
        def wrong(item: QueueItem, snapshot: Any, **columns: Any) -> PublishAttempt:
            live = snapshot_of(item, item.workspace.x_account)
            attempt: PublishAttempt = write(item, live, **columns)
            return attempt

        return wrong

    rewire("publishing.services.attempts:write_attempt", change)


def approval_not_used_up() -> None:
    """A yes outlives the publication that it was for."""
    rewire("publishing.services.settle:_use_approval", lambda use: lambda *_, **__: None)


def reservation_kept() -> None:
    """What an attempt reserved is never given back, whatever came of it."""
    whole = facts._ASK.replace("outcome IN ('in_flight', 'unknown', 'succeeded')", "true")
    if whole == facts._ASK:
        raise RuntimeError("The gates' statement no longer says what holds a reservation.")
    facts._ASK = whole


def counter_outside() -> None:
    """What is counted is counted after the transaction of its audit row."""

    def change(add: Any) -> Any:
        def wrong(chain: str, counts: Any) -> None:
            transaction.on_commit(partial(add, chain, list(counts)))

        return wrong

    rewire("workspaces.counters:add", change)


def doubt_sent_again() -> None:
    """An answer that never came counts as "not sent": the machine sends again by itself."""

    def change(call: Any) -> Any:
        def wrong(*args: Any, **kwargs: Any) -> Any:
            move, told = call(*args, **kwargs)
            if move != "doubt":
                return move, told
            unsent = XNotSent(told["words"], code=told["code"])
            return "release", {**told, "because": unsent}

        return wrong

    rewire("publishing.services.publish:_call", change)


def no_send_window() -> None:
    """A claim is good for ever, however long ago it was made."""

    def change(create_post: Any) -> Any:
        def wrong(*args: Any, begin_before: float, **kwargs: Any) -> Any:
            return create_post(*args, begin_before=begin_before + 3600, **kwargs)

        return wrong

    rewire(CREATE_POST, change)


def stop_without_waiting() -> None:
    """A stop answers as soon as its row is there."""
    rewire("workspaces.services.switches:wait_until_nothing_begins", lambda wait: lambda: None)


MUTANTS: dict[str, Callable[[], None]] = {
    mutant.__name__: mutant
    for mutant in (
        claim_unguarded,
        settle_before_call,
        gates_outside,
        look_skipped,
        approval_of_anything,
        approval_not_used_up,
        reservation_kept,
        counter_outside,
        doubt_sent_again,
        no_send_window,
        stop_without_waiting,
    )
}

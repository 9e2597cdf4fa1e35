"""Publish: claim, call, settle. The call lies between two commits."""

import logging
from collections.abc import Callable
from datetime import datetime
from functools import partial
from time import monotonic
from typing import Any

from django.conf import settings
from django.db import DatabaseError, OperationalError, connection

from publishing.errors import PostTaken, WrongState
from publishing.models import PublishAttempt, QueueItem
from publishing.services import breaker
from publishing.services.claim import block_item, claim_item
from publishing.services.gates import ASK_AGAIN, Block
from publishing.services.settle import settle_attempt
from publishing.states import State
from revfirst.batch import OutOfTime, Patience, run_batch
from revfirst.clock import Clock
from revfirst.prepared import Prepared
from revfirst.wait import wait_until
from workspaces.actors import Actor
from workspaces.models import Workspace
from workspaces.services import SEND_WINDOW_SECONDS, place_hold
from x_integration.client import XClient
from x_integration.errors import XNotSent, XOutcomeUnknown, XRejected, XUnauthorized
from x_integration.models import XAccount
from x_integration.services import (
    get_workspace_x_access_token,
    give_up_after_unauthorized,
    hold_account,
    token_after_unauthorized,
)

BATCH_SIZE = 500
SETTLE_SECONDS = 20.0
SETTLED_BY_SECONDS = 24.0
"""After the claim began: 25 s of a batch + 8 s of one thing + 24 s and a last lock's 2 s end before 60 s."""
_UNAUTHORIZED = XUnauthorized.code
logger = logging.getLogger(__name__)
_STOPS_EVERYBODY = {"no_credits", "usage_capped"}


_OWNER = Prepared(lambda item_id: Workspace.objects.filter(items__pk=item_id).order_by())


def publish_item(item_id: int, *, x: XClient, actor: Actor, clock: Clock) -> None:
    """Send one approved item, if every gate lets it through.

    A 401 leads to one renewal, one more claim and one more call; a second 401 holds the account.
    """
    workspace, patience = _OWNER.first(item_id=item_id), Patience()
    if workspace is None:
        return
    send = partial(_send, item_id, patience=patience, x=x, actor=actor, clock=clock)
    token = get_workspace_x_access_token(workspace, now=clock(), x=x, wait=False)
    if send(token) != _UNAUTHORIZED or token is None:
        return
    fresh = token_after_unauthorized(
        workspace, token, x=x, actor=actor, clock=clock, patience=patience
    )
    if fresh is None:
        return
    released = QueueItem.objects.filter(pk=item_id, state=State.APPROVED, last_error=_UNAUTHORIZED)
    released.update(not_before=None)
    if send(fresh) == _UNAUTHORIZED:
        give_up_after_unauthorized(workspace, fresh, actor=actor, now=clock())


def _send(
    item_id: int,
    token: str | None,
    *,
    patience: Patience,
    x: XClient,
    actor: Actor,
    clock: Clock,
) -> str:
    """One claim, call and settle; returns the code of what went wrong, or an empty string.

    When getting the token took long, the item is left for the next round: the call could be cut off.
    """
    if token is None:
        now = clock()
        block_item(item_id, Block("account_not_ready", now + ASK_AGAIN), actor=actor, now=now)
        return "account_not_ready"
    if not patience.left():
        return OutOfTime.code
    begun = monotonic()  # before the claim transaction: a claim is good for 2 s from here
    attempt = claim_item(item_id, actor=actor, now=clock())
    if attempt is None:
        return ""
    return call_and_settle(attempt, token, begun=begun, x=x, actor=actor, clock=clock)


def call_and_settle(
    attempt: PublishAttempt,
    token: str,
    *,
    begun: float,
    x: XClient,
    actor: Actor,
    clock: Clock,
) -> str:
    """Send the approved snapshot, never the live row, and write down what came of it.

    `begun` is when the claim began, on `time.monotonic()`. Returns the code of what went wrong, or
    an empty string.
    """
    x.take_rates()  # what is left of another account's
    move, told = _call(attempt, token, begin_before=begun + SEND_WINDOW_SECONDS, x=x)
    because, said = told.pop("because", None), str(told.get("code", ""))
    settle = partial(settle_attempt, attempt.pk, actor=actor, rates=x.take_rates())

    def write_down() -> str:
        if because is not None:
            _hold_what_must_not_go_on(attempt, because, actor=actor, now=clock())
        try:
            settle(move, now=clock(), **told)
        except PostTaken as error:  # whatever X meant by that id, only a look can tell
            settle("doubt", now=clock(), code=error.code, words=str(error))
            return error.code
        return said

    code = _in_spite_of_locks(write_down, said, until=begun + SETTLED_BY_SECONDS)
    _note_for_the_breaker(attempt, code, actor=actor, now=clock())
    return code


def _in_spite_of_locks(write_down: Callable[[], str], said: str, *, until: float) -> str:
    """Settle; while a row is held that it needs, or the database is away, again: X says it only once.

    When the answer to a commit is lost, the next try finds it settled: that is no failure. Raises
    OperationalError when it lasts too long; the sweep makes a doubt of it then.
    """
    codes, failed = list[str](), list[OperationalError]()

    def written() -> bool:
        try:
            codes.append(write_down())
        except WrongState:
            if not failed:
                raise
            codes.append(said)
        except OperationalError as error:
            logger.warning("settle_waits", extra={"reason": type(error.__cause__).__name__})
            connection.close_if_unusable_or_obsolete()
            failed.append(error)
        return bool(codes)

    if not wait_until(written, seconds=min(SETTLE_SECONDS, until - monotonic()), every=0.2):
        raise failed[-1]
    return codes[0]


def _note_for_the_breaker(
    attempt: PublishAttempt, code: str, *, actor: Actor, now: datetime
) -> None:
    """It is settled, whatever becomes of the breaker: that is no reason to call it failed."""
    try:
        breaker.note_outcome(attempt, code, actor=actor, now=now)
    except DatabaseError:
        logger.exception("breaker_not_told", extra={"attempt_id": attempt.pk})
        connection.close_if_unusable_or_obsolete()


def _call(
    attempt: PublishAttempt, token: str, *, begin_before: float, x: XClient
) -> tuple[str, dict[str, Any]]:
    """The one request: which move its outcome means, and what to write down with it."""
    try:
        post_id = x.create_post(
            attempt.snapshot["text"],
            in_reply_to=attempt.snapshot["target"],
            access_token=token,
            begin_before=begin_before,
        )
    except XNotSent as error:
        return "release", {
            **_said(error),
            "retry_at": error.retry_at,
            "counts": error.counts,
            "because": error,
        }
    except XRejected as error:
        return "fail", _said(error)
    except XOutcomeUnknown as error:
        return "doubt", _said(error)
    return "confirm", {"x_post_id": post_id}


def _said(error: XNotSent | XRejected | XOutcomeUnknown) -> dict[str, Any]:
    return {"code": error.code, "words": str(error)}


def _hold_what_must_not_go_on(
    attempt: PublishAttempt, error: XNotSent, *, actor: Actor, now: datetime
) -> None:
    """Before the item is let go: the hold stands even if a sweep was first."""
    if error.holds_account:
        account = XAccount.objects.select_related("workspace").get(workspace=attempt.workspace)
        hold_account(account, reason=error.code, actor=actor, now=now)
    if error.code in _STOPS_EVERYBODY:
        place_hold(error.code, reason=str(error)[:200], actor=actor, now=now)


def publish_batch(*, actor: Actor, clock: Clock, share: int = 0, shares: int = 1) -> int:
    """Send what is due, several at once; returns how many were left for another batch.

    Of several `shares`, each has workspaces of its own: Python runs one thread at a time, so
    processes publish side by side, and none of them waits for a workspace that another has locked.
    """
    due = QueueItem.objects.due(clock()).of_share(share, shares)
    ids = list(due.values_list("pk", flat=True)[: BATCH_SIZE + 1])
    left = run_batch(
        ids[:BATCH_SIZE],
        lambda item_id, x: publish_item(item_id, x=x, actor=actor, clock=clock),
        tool=XClient,
        concurrency=settings.PUBLISH_CONCURRENCY,
    )
    return left + len(ids[BATCH_SIZE:])

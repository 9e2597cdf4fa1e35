"""The circuit breaker: while X is silent or broken for many accounts, nothing is sent to it.

It is lighter than containment: it shuts for five minutes, then lets one try through, and closes by
itself when X answers that one.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from django.db import transaction
from django.db.models import Count, Q

from publishing.models import CircuitBreaker, PublishAttempt
from publishing.services.gates import Block
from publishing.states import Outcome
from revfirst.db import wait_for_locks_at_most
from workspaces import audit
from workspaces.actors import Actor
from workspaces.services import LOCK_SECONDS_OF_OTHERS, end_alarms, raise_alarm
from x_integration.models import XAccount
from x_integration.services import many_of

if TYPE_CHECKING:
    from publishing.services.facts import Facts

SHUT_FOR = timedelta(minutes=5)
TRIAL_FOR = timedelta(seconds=120)  # a try that was killed keeps the next one waiting no longer
WINDOW = timedelta(minutes=2)
X_SILENT = "x_silent"  # alarm
_SILENCE = r"^(x_5[0-9]{2}|x_answer_lost|x_unreachable)$"


def is_silence(code: str) -> bool:
    """Whether the attempt's code says that X did not answer, or that it is broken."""
    return re.match(_SILENCE, code) is not None


def take_trial(facts: Facts, *, now: datetime) -> Block | None:
    """Take the one try while the breaker is open; a block when somebody else was quicker.

    Called in the claim transaction, after the gates.
    """
    if not facts.breaker_is_open:
        return None
    row = CircuitBreaker.objects.filter(pk=CircuitBreaker.X, shut_until__lte=now)
    taken = row.update(shut_until=now + TRIAL_FOR)
    return None if taken else Block("circuit_breaker", now + TRIAL_FOR)


def note_outcome(attempt: PublishAttempt, code: str, *, actor: Actor, now: datetime) -> None:
    """Open, shut again or close the breaker after an attempt was settled; `code` blank for success."""
    if attempt.on_trial:
        _end_trial(code, actor=actor, now=now)
    elif is_silence(code) and _silent_for_many(now):
        _open(actor=actor, now=now)


def _end_trial(code: str, *, actor: Actor, now: datetime) -> None:
    if is_silence(code) or code == "claim_ran_out":  # nobody asked X: the next one tries
        shut_until = now + SHUT_FOR if is_silence(code) else now
        breaker = CircuitBreaker.objects.filter(pk=CircuitBreaker.X, opened_at__isnull=False)
        breaker.update(shut_until=shut_until)
        return
    with transaction.atomic(durable=True):
        wait_for_locks_at_most(LOCK_SECONDS_OF_OTHERS)
        row = CircuitBreaker.objects.filter(pk=CircuitBreaker.X, opened_at__isnull=False)
        if row.update(opened_at=None, shut_until=None):
            end_alarms(X_SILENT, now=now)
            audit.record("breaker.close", subject="system", actor=actor, now=now)


def _silent_for_many(now: datetime) -> bool:
    """Whether X was silent for many accounts lately, and for more attempts than it answered."""
    lately = PublishAttempt.objects.filter(started_at__gt=now - WINDOW, by_hand=False)
    silent = Q(code__regex=_SILENCE)
    seen = lately.aggregate(
        accounts=Count("workspace", filter=silent, distinct=True),
        silent=Count("pk", filter=silent),
        answered=Count("pk", filter=Q(outcome=Outcome.SUCCEEDED, reconciled=False)),
    )
    many = many_of(XAccount.objects.live().count())
    return bool(seen["accounts"] >= many and seen["silent"] > seen["answered"])


def _open(*, actor: Actor, now: datetime) -> None:
    with transaction.atomic(durable=True):
        wait_for_locks_at_most(LOCK_SECONDS_OF_OTHERS)
        row, _ = CircuitBreaker.objects.get_or_create(pk=CircuitBreaker.X)
        closed = CircuitBreaker.objects.filter(pk=row.pk, opened_at=None)
        if closed.update(opened_at=now, shut_until=now + SHUT_FOR):
            detail = "X does not answer many accounts; one try goes every five minutes."
            raise_alarm(X_SILENT, detail=detail, now=now)
            audit.record("breaker.open", subject="system", actor=actor, now=now)

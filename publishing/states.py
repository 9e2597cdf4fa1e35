"""The states of a queue item and the named moves between them, as data.

Keyed by verb: two moves may share a target and still start elsewhere. docs/STATES.md is generated
from here (`make states`).
"""

from dataclasses import dataclass

from django.db.models import TextChoices


class State(TextChoices):
    """Where a queue item stands."""

    PENDING = "pending"
    APPROVED = "approved"
    PUBLISHING = "publishing"
    UNCONFIRMED = "unconfirmed"
    PUBLISHED = "published"
    REJECTED = "rejected"
    EXPIRED = "expired"
    FAILED = "failed"
    HANDED_OFF = "handed_off"


S = State
FINAL = frozenset({S.PUBLISHED, S.REJECTED})
LIVE = frozenset({S.PENDING, S.APPROVED, S.PUBLISHING, S.UNCONFIRMED, S.HANDED_OFF})


@dataclass(frozen=True)
class Move:
    """From any of `sources` to `target`; `by` and `note` are for people."""

    sources: frozenset[State]
    target: State
    by: str
    note: str = ""
    new_version: bool = False


def _move(*sources: State, to: State, by: str, note: str = "", new_version: bool = False) -> Move:
    return Move(frozenset(sources), to, by, note, new_version)


MOVES: dict[str, Move] = {
    "edit": _move(
        S.PENDING,
        S.APPROVED,
        to=S.PENDING,
        by="operator",
        note="version + 1, the approval is void",
        new_version=True,
    ),
    "approve": _move(S.PENDING, to=S.APPROVED, by="operator, four eyes"),
    "reject": _move(S.PENDING, S.APPROVED, to=S.REJECTED, by="operator", note="with a reason"),
    "expire": _move(
        S.PENDING,
        S.APPROVED,
        to=S.EXPIRED,
        by="sweep; intake, where a person asked to be left alone",
        note="the approval or the relevance ran out, it is too late, or its target is gone",
    ),
    "claim": _move(S.APPROVED, to=S.PUBLISHING, by="worker, inside the gate transaction"),
    "release": _move(S.PUBLISHING, to=S.APPROVED, by="worker", note="X certainly did not act"),
    "confirm": _move(
        S.PUBLISHING,
        S.UNCONFIRMED,
        S.HANDED_OFF,
        to=S.PUBLISHED,
        by="worker, reconcile; a person only with a post id found on our own timeline",
    ),
    "late_confirm": _move(
        S.FAILED,
        S.PENDING,
        S.APPROVED,
        to=S.PUBLISHED,
        by="reconcile",
        note="a late match of an abandoned attempt, or of a hand-off that was taken back",
    ),
    "doubt": _move(
        S.PUBLISHING,
        to=S.UNCONFIRMED,
        by="worker; sweep after 120 s without a settle",
    ),
    "fail": _move(
        S.PUBLISHING, to=S.FAILED, by="worker", note="X certainly refused, or the tries ran out"
    ),
    "give_up": _move(
        S.UNCONFIRMED,
        to=S.FAILED,
        by="operator, after the last look",
        note="with a reason; the attempt becomes abandoned",
    ),
    "resend": _move(
        S.UNCONFIRMED,
        to=S.APPROVED,
        by="operator, four eyes, after the last look",
        note="with a reason; the old attempt becomes abandoned, a new approval is frozen",
    ),
    "retry": _move(
        S.FAILED, S.EXPIRED, to=S.PENDING, by="operator", note="asks for a new approval"
    ),
    "hand_off": _move(
        S.PENDING,
        S.APPROVED,
        S.FAILED,
        to=S.HANDED_OFF,
        by="operator, four eyes",
        note="a decision with its own frozen approval; a person posts it through X's web intent",
    ),
    "take_back": _move(
        S.HANDED_OFF,
        to=S.PENDING,
        by="operator, after a look at the timeline",
        note="version + 1",
        new_version=True,
    ),
}


class Outcome(TextChoices):
    """What came of one try to publish."""

    IN_FLIGHT = "in_flight"
    SUCCEEDED = "succeeded"
    UNKNOWN = "unknown"
    NOT_EXECUTED = "not_executed"
    REFUSED = "refused"
    ABANDONED = "abandoned"
    HANDED_OFF = "handed_off"


OPEN_OUTCOMES = (Outcome.IN_FLIGHT, Outcome.UNKNOWN, Outcome.SUCCEEDED)
"""At most one attempt per item may stand in one of these: the database says so."""

WATCHED_OUTCOMES = (Outcome.UNKNOWN, Outcome.HANDED_OFF, Outcome.ABANDONED)
"""Attempts whose post may yet be found on the timeline."""

"""When the timeline is looked at for an attempt's post: soon for a doubt, now and then for the rest."""

from datetime import datetime, timedelta
from typing import Any

from publishing.models import PublishAttempt, QueueItem
from publishing.states import WATCHED_OUTCOMES, Outcome, State
from workspaces.services import holding_nobody_up

LOOK_AFTER = (timedelta(seconds=15), timedelta(minutes=2), timedelta(minutes=10))
"""Of a doubt, counted from the attempt's start. After the last, a person decides."""
LATE_LOOKS = tuple(timedelta(hours=hours) for hours in (1, 6, 24, 72))
"""Of what a person gave up, each counted from the look before: X may show a post late."""
HAND_OFF_LOOKS = tuple(timedelta(minutes=minutes) for minutes in (5, 15, 60, 240, 1440, 4320))
"""Of a hand-off, counted from when it was handed over."""
NOT_SEEN_AFTER = timedelta(hours=24)
_AGAIN_AFTER = timedelta(minutes=1)
_GIVE_UP_AFTER = timedelta(days=7)


def first_look(attempt: PublishAttempt) -> datetime:
    """When to look for a doubt first."""
    return attempt.started_at + LOOK_AFTER[0]


def abandoned(now: datetime) -> dict[str, Any]:
    """The columns of an attempt that is abandoned now: from here on it is looked for late."""
    return {
        "outcome": Outcome.ABANDONED,
        "looks": len(LOOK_AFTER),  # however many were made: late looks are counted from there
        "next_look_at": now + LATE_LOOKS[0],
    }


def last_look_was(attempt: PublishAttempt) -> bool:
    """Whether every look for the doubt was made, and found nothing."""
    return attempt.looks >= len(LOOK_AFTER)


def note_look(attempt: PublishAttempt, *, found_nothing: bool, now: datetime) -> None:
    """Plan the next look. After the last one, or a day of looks that failed, a person decides.

    Of a hand-off, too: what was not found by then was not posted, or not in these words.
    """
    looks = attempt.looks + int(found_nothing)
    next_look = _next_look(attempt, looks, found_nothing=found_nothing, now=now)
    not_seen = now - attempt.started_at >= NOT_SEEN_AFTER
    doubted = attempt.outcome == Outcome.UNKNOWN and (looks >= len(LOOK_AFTER) or not_seen)
    forgotten = attempt.outcome == Outcome.HANDED_OFF and next_look is None
    with holding_nobody_up():
        item = QueueItem.objects.filter(pk=attempt.item_id)
        item.select_for_update(no_key=True).first()  # item before attempt, as everywhere
        row = PublishAttempt.objects.filter(
            pk=attempt.pk, looks=attempt.looks, outcome=attempt.outcome
        )
        noted = row.update(looks=looks, next_look_at=next_look)
        if noted and (doubted or forgotten):
            state = State.HANDED_OFF if forgotten else State.UNCONFIRMED
            item.filter(state=state).update(needs_person=True)


def _next_look(
    attempt: PublishAttempt, looks: int, *, found_nothing: bool, now: datetime
) -> datetime | None:
    """When to look next, or None when enough was looked."""
    if attempt.outcome not in WATCHED_OUTCOMES or now - attempt.started_at > _GIVE_UP_AFTER:
        return None
    if not found_nothing:
        old = now - attempt.started_at > NOT_SEEN_AFTER
        return now + (LATE_LOOKS[0] if old else _AGAIN_AFTER)
    if attempt.outcome == Outcome.ABANDONED:
        late = looks - len(LOOK_AFTER)
        return now + LATE_LOOKS[late] if 0 <= late < len(LATE_LOOKS) else None
    plan = HAND_OFF_LOOKS if attempt.outcome == Outcome.HANDED_OFF else LOOK_AFTER
    return attempt.started_at + plan[looks] if looks < len(plan) else None

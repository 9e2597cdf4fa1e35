"""A person's decisions about a doubt: give it up, send it again, or say which post it is.

The machine never resends. A person may, after the last look found nothing; a doubt that nobody could
look for may only be given up.
"""

from datetime import datetime

from publishing.errors import NotOnOurTimeline, StillLooking, WrongState
from publishing.models import PublishAttempt, QueueItem
from publishing.services import approvals
from publishing.services.content import check_by_itself
from publishing.services.decide import AFRESH, decided, nudge
from publishing.services.deciders import (
    check_four_eyes,
    check_may_decide,
    check_target_stands,
)
from publishing.services.looks import NOT_SEEN_AFTER, abandoned, last_look_was
from publishing.services.moves import move_item
from publishing.services.reconcile import own_posts_since_first_try
from publishing.services.settle import settle_attempt
from publishing.states import Outcome
from revfirst.clock import Clock
from workspaces import audit, reasons
from workspaces.actors import Actor
from workspaces.counters import Count
from workspaces.services import holding_nobody_up
from x_integration.client import XClient


def give_up_item(
    item_id: int, *, version: int, reason: str, actor: Actor, now: datetime
) -> QueueItem:
    """Believe that a doubt was not published. The timeline is still looked at now and then.

    Raises ItemNotFound, WrongState, NotAllowed, ReasonNeeded or StillLooking.
    """
    check_may_decide(item_id, actor)
    kept = reasons.checked(reason)
    with holding_nobody_up():
        item = move_item(
            "give_up", item_id, now=now, seen=version, decision_reason=kept, needs_person=False
        )
        attempt = _abandon(item, now=now, seen_enough=False)
        audit.record(
            "item.give_up",
            workspace=item.workspace,
            subject=item.subject,
            actor=actor,
            now=now,
            data={"attempt": attempt.number, "version": version},
            counts=[decided("give_up", actor), Count("unconfirmed_total", {"settled": "given_up"})],
        )
    return item


def resend_item(
    item_id: int, *, version: int, reason: str, actor: Actor, now: datetime
) -> QueueItem:
    """Send a doubt again, as the same content, under a new approval.

    Raises ItemNotFound, WrongState, NotAllowed, FourEyes, ReasonNeeded, StillLooking, BadContent or
    NoBrandVoice.
    """
    user = check_may_decide(item_id, actor)
    kept = reasons.checked(reason)
    with holding_nobody_up():
        told = {**AFRESH, "decision_reason": kept, "needs_person": False, "tries": 0}
        item = move_item("resend", item_id, now=now, seen=version, **told)
        check_four_eyes(item, user)
        check_target_stands(item)
        check_by_itself(item.text, source_post=item.source_post)
        attempt = _abandon(item, now=now, seen_enough=True)
        approval = approvals.freeze(item, by=user, door=actor.door, now=now)
        audit.record(
            "item.resend",
            workspace=item.workspace,
            subject=item.subject,
            actor=actor,
            now=now,
            data={
                "attempt": attempt.number,
                "version": version,
                "content_hash": approval.content_hash,
            },
            counts=[decided("resend", actor), Count("unconfirmed_total", {"settled": "resent"})],
        )
        nudge(item)
    return item


def _abandon(item: QueueItem, *, now: datetime, seen_enough: bool) -> PublishAttempt:
    """Give up the doubt's attempt: it frees its cooldown and quota, and keeps its spend.

    Raises StillLooking before the last look; with `seen_enough`, also when nobody could look.
    """
    attempt = item.attempts.filter(outcome=Outcome.UNKNOWN).first()
    if attempt is None:
        raise WrongState(f"{item} has no try in doubt.")
    nobody_could_look = now - attempt.started_at >= NOT_SEEN_AFTER
    if not last_look_was(attempt) and (seen_enough or not nobody_could_look):
        raise StillLooking
    row = PublishAttempt.objects.filter(pk=attempt.pk, outcome=Outcome.UNKNOWN)
    row.update(**abandoned(now))
    return attempt


def confirm_found_item(
    item_id: int, *, version: int, x_post_id: str, x: XClient, actor: Actor, clock: Clock
) -> QueueItem:
    """Say which post on our own timeline a doubt, or a hand-off, has become.

    Raises ItemNotFound, WrongState, NotAllowed, NotOnOurTimeline, PostTaken, and what reading the
    timeline raises.
    """
    check_may_decide(item_id, actor)
    attempt = open_attempt(item_id, version=version)
    posts = own_posts_since_first_try(attempt, x=x, actor=actor, now=clock())
    post = next((post for post in posts if post.id == x_post_id.strip()), None)
    if post is None or post.replied_to != attempt.target:
        raise NotOnOurTimeline
    settle_attempt(
        attempt.pk, "confirm", actor=actor, now=clock(), x_post_id=post.id, reconciled=True
    )
    return QueueItem.objects.get(pk=item_id)


def open_attempt(item_id: int, *, version: int) -> PublishAttempt:
    """The try that a person is asked about, as `version` showed it. Raises WrongState."""
    asked = PublishAttempt.objects.filter(
        item=item_id,
        item__version=version,
        outcome__in=[Outcome.UNKNOWN, Outcome.HANDED_OFF],
    )
    attempt = asked.select_related("item", "workspace").first()
    if attempt is None:
        item = QueueItem.objects.get(pk=item_id)
        raise WrongState(f"{item} has no try in doubt in version {version}: it is {item.state}.")
    return attempt

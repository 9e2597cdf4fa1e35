"""Hand-offs: a person posts the approved text through X's own page, and we find it afterwards.

X takes that from a person where it refuses it from our API (docs/X-API.md, Rules of 2026). The hand-off
is an attempt of its own kind: looked for like a doubt, counted apart, and never sent by the machine.
"""

from datetime import datetime
from urllib.parse import quote, urlencode

from django.conf import settings
from django.db import IntegrityError
from django.db.models import Q

from publishing.errors import AlreadyPosted, AlreadyProposed, Blocked, CouldNotLook, WrongState
from publishing.models import PublishAttempt, QueueItem
from publishing.services import approvals
from publishing.services.attempts import write_attempt
from publishing.services.content import check_by_itself
from publishing.services.decide import AFRESH, check_in_time, decided
from publishing.services.deciders import (
    check_four_eyes,
    check_may_decide,
    check_target_stands,
)
from publishing.services.doubts import open_attempt
from publishing.services.looks import HAND_OFF_LOOKS, abandoned
from publishing.services.moves import move_item
from publishing.services.opt_outs import is_left_alone
from publishing.services.reconcile import look_for_attempt
from publishing.states import Outcome, State
from revfirst.clock import Clock
from workspaces import audit
from workspaces.actors import Actor
from workspaces.services import holding_nobody_up
from x_integration.client import XClient


def web_intent(item: QueueItem) -> str:
    """X's page on which a person posts the item, with text and target filled in."""
    asked = {"text": item.text}
    if item.source_post:
        asked = {"in_reply_to": item.source_post.x_post_id, **asked}
    return f"{settings.X_WEB_BASE_URL}/intent/tweet?{urlencode(asked, quote_via=quote)}"


def hand_off_item(item_id: int, *, version: int, actor: Actor, now: datetime) -> QueueItem:
    """Give the item to a person, under an approval of its own; the machine no longer sends it.

    Raises ItemNotFound, WrongState, NotAllowed, FourEyes, Blocked (`author_opted_out`, `duplicate`),
    BadContent, NoBrandVoice, or AlreadyProposed when another item answers the same post by now.
    """
    user = check_may_decide(item_id, actor)
    try:
        with holding_nobody_up():
            item = move_item("hand_off", item_id, now=now, seen=version, tries=0, **AFRESH)
            check_four_eyes(item, user)
            check_target_stands(item)
            check_in_time(item, now=now)
            _check_may_be_said(item)
            check_by_itself(item.text, source_post=item.source_post)
            approvals.void(item, now=now)
            approval = approvals.freeze(item, by=user, door=actor.door, now=now)
            attempt = write_attempt(
                item,
                approval.snapshot,
                number=item.attempts.count() + 1,
                approval=approval,
                by_hand=True,
                outcome=Outcome.HANDED_OFF,
                settled_at=now,
                next_look_at=now + HAND_OFF_LOOKS[0],
                now=now,
            )
            audit.record(
                "item.hand_off",
                workspace=item.workspace,
                subject=item.subject,
                actor=actor,
                now=now,
                data={
                    "attempt": attempt.number,
                    "version": version,
                    "content_hash": approval.content_hash,
                },
                counts=[decided("hand_off", actor)],
            )
    except IntegrityError:
        raise AlreadyProposed from None
    return item


def _check_may_be_said(item: QueueItem) -> None:
    """What no person should post either. Raises Blocked with the gate's reason."""
    post = item.source_post
    if post and is_left_alone(post):
        raise Blocked("author_opted_out")
    tries = PublishAttempt.objects.filter(workspace=item.workspace)
    ours = tries.open() | tries.found_late()
    if ours.filter(Q(item=item) | Q(target=post.x_post_id) if post else Q(item=item)).exists():
        raise Blocked("duplicate")


def take_back_item(
    item_id: int, *, version: int, x: XClient, actor: Actor, clock: Clock
) -> QueueItem:
    """Take a hand-off back, after a look at the timeline: it waits for a person as a new version.

    Raises ItemNotFound, WrongState, NotAllowed, AlreadyPosted when the look finds it on X (it is
    published then), or CouldNotLook.
    """
    check_may_decide(item_id, actor)
    attempt = open_attempt(item_id, version=version)
    if not attempt.by_hand:
        raise WrongState(f"{attempt.item} was not handed off.")
    found = look_for_attempt(attempt, x=x, actor=actor, now=clock())
    _check_not_published(attempt)
    if found is not False:
        raise CouldNotLook
    now = clock()
    with holding_nobody_up():
        item = move_item("take_back", item_id, now=now, seen=version, needs_person=False)
        row = PublishAttempt.objects.filter(pk=attempt.pk, outcome=Outcome.HANDED_OFF)
        row.update(**abandoned(now))
        approvals.void(item, now=now)
        audit.record(
            "item.take_back",
            workspace=item.workspace,
            subject=item.subject,
            actor=actor,
            now=now,
            data={"attempt": attempt.number, "version": item.version},
        )
    return item


def _check_not_published(attempt: PublishAttempt) -> None:
    """Raise AlreadyPosted when the look, or somebody else's at the same moment, found it."""
    item = QueueItem.objects.get(pk=attempt.item_id)
    if item.state == State.PUBLISHED:
        raise AlreadyPosted(
            f"{item} stands on X already, as post {item.x_post_id}: it is published."
        )

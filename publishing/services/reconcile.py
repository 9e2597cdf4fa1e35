"""Doubts are settled by looking at the account's own timeline; nothing is ever resent by itself."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from django.conf import settings
from django.db import transaction
from django.db.models import Min, QuerySet

from publishing.errors import WrongState
from publishing.models import PublishAttempt, QueueItem
from publishing.services import approvals
from publishing.services.moves import move_item
from publishing.services.settle import note_look, settle_attempt
from publishing.states import Outcome, State
from revfirst.batch import Patience, each_alone, run_batch
from revfirst.clock import ticking
from revfirst.errors import RevFirstError
from workspaces import audit
from workspaces.actors import Actor
from x_integration.client import XClient
from x_integration.errors import NoAccessToken
from x_integration.models import XAccount
from x_integration.payloads import Post, normalised
from x_integration.services import with_access_token

STRANDED_AFTER = timedelta(seconds=120)
_CLOCK_SKEW = timedelta(seconds=60)
_AT_ONCE = 200


@dataclass(frozen=True)
class Swept:
    """How many items one sweep found in each condition."""

    doubted: int
    confirmed: int
    not_found: int
    not_seen: int  # nobody could look, or somebody else settled it first
    expired: int
    due: int


def sweep(*, client: Callable[[], XClient] = XClient, actor: Actor, now: datetime) -> Swept:
    """Find what a lost worker or nudge left behind, and settle what can be settled.

    Stranded items become doubts, doubts are looked for (several at once, each thread with a client
    of its own), overdue approvals expire. One item's failure does not keep the others waiting.
    """
    stranded = QueueItem.objects.stranded(now - STRANDED_AFTER)[:_AT_ONCE]
    doubted = each_alone(stranded, partial(_doubt_stranded, actor=actor, now=now))
    expired = each_alone(_overdue(now)[:_AT_ONCE], partial(_expire, actor=actor, now=now))
    found = _look_for_doubts(client, actor=actor, now=now)  # last: X may be slow
    return Swept(
        doubted=sum(doubted),
        confirmed=found.count(True),
        not_found=found.count(False),
        not_seen=found.count(None),
        expired=sum(expired),
        due=QueueItem.objects.due(now)[:_AT_ONCE].count(),
    )


def _look_for_doubts(
    client: Callable[[], XClient], *, actor: Actor, now: datetime
) -> list[bool | None]:
    found: list[bool | None] = []
    attempts = PublishAttempt.objects.to_look_for(now).select_related("item__workspace")
    run_batch(
        attempts[:_AT_ONCE],
        lambda attempt, x: found.append(look_for_attempt(attempt, x=x, actor=actor, now=now)),
        tool=client,
        concurrency=settings.PUBLISH_CONCURRENCY,
    )
    return found


def _overdue(now: datetime) -> QuerySet[QueueItem]:
    return QueueItem.objects.filter(
        state=State.APPROVED,
        approvals__voided_at=None,
        approvals__used_at=None,
        approvals__expires_at__lte=now,
    )


def _doubt_stranded(item: QueueItem, *, actor: Actor, now: datetime) -> bool:
    attempt = item.attempts.filter(outcome=Outcome.IN_FLIGHT).first()
    if attempt is None:
        return False
    try:
        settle_attempt(attempt.pk, "doubt", actor=actor, now=now, code="never_settled")
    except WrongState:  # its worker was only slow
        return False
    return True


def _expire(item: QueueItem, *, actor: Actor, now: datetime) -> bool:
    """Expire the item, unless somebody edited it or approved it anew since it was listed."""
    try:
        with transaction.atomic(durable=True):
            move_item("expire", item.pk, now=now, seen=item.version)
            approval = approvals.live_approval(item)
            if approval is None or approval.expires_at > now:
                raise WrongState(f"{item} was decided anew.")
            approvals.void(item, now=now)
            audit.record(
                "item.expire",
                workspace=item.workspace,
                subject=item.subject,
                actor=actor,
                now=now,
            )
    except WrongState:
        return False
    return True


def look_for_attempt(
    attempt: PublishAttempt, *, x: XClient, actor: Actor, now: datetime
) -> bool | None:
    """Look for the attempt's post: True when it stands there (the item is published then).

    False when it was not found, None when nobody could look or somebody else settled it first.
    """
    try:
        post = _find(attempt, x=x, actor=actor, now=now)
    except RevFirstError:
        note_look(attempt, found_nothing=False, now=now)
        return None
    if post is None:
        note_look(attempt, found_nothing=True, now=now)
        return False
    try:
        settle_attempt(
            attempt.pk, "confirm", actor=actor, now=now, x_post_id=post.id, reconciled=True
        )
    except WrongState:  # another sweep, or the slow worker itself, was first
        return None
    return True


def _find(attempt: PublishAttempt, *, x: XClient, actor: Actor, now: datetime) -> Post | None:
    """The post on our timeline with the same target and text, made since the first try began.

    A post that already belongs to another item is not it. Raises XReadFailed, XUnauthorized,
    NoAccessToken or OutOfTime.
    """
    patience = Patience()
    workspace, wanted = attempt.item.workspace, attempt.snapshot
    account = XAccount.objects.filter(workspace=workspace).first()
    if account is None or account.x_user_id != wanted["account"]:
        raise NoAccessToken("The account that posted is not connected.", code="another_account")
    first = attempt.item.attempts.aggregate(first=Min("started_at"))["first"]
    text, target = normalised(wanted["text"]), wanted["target"] or ""

    def look(token: str) -> list[Post]:
        start = first - _CLOCK_SKEW
        pages = x.timeline(account.x_user_id, access_token=token, start_time=start)
        return [
            post
            for page in patience.each(pages)
            for post in page.posts
            if post.replied_to == target and normalised(post.text) == text
        ]

    matches = with_access_token(
        workspace, look, x=x, actor=actor, clock=ticking(now), patience=patience
    )
    taken = set(
        workspace.items.filter(x_post_id__in=[post.id for post in matches]).values_list(
            "x_post_id", flat=True
        )
    )
    return next((post for post in reversed(matches) if post.id not in taken), None)

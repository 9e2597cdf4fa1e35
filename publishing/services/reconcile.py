"""Doubts are settled by looking at the account's own timeline; nothing is ever resent by itself."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Min

from publishing.errors import WrongState
from publishing.models import PublishAttempt, QueueItem
from publishing.services import approvals
from publishing.services.moves import move_item
from publishing.services.settle import note_look, settle_attempt
from publishing.states import Outcome, State
from revfirst.errors import RevFirstError
from workspaces import audit
from workspaces.actors import Actor
from x_integration.client import XClient
from x_integration.errors import XNotSent
from x_integration.payloads import Post, normalised
from x_integration.services import require_workspace_x_access_token

STRANDED_AFTER = timedelta(seconds=120)
_CLOCK_SKEW = timedelta(seconds=60)
_AT_ONCE = 200


@dataclass
class Swept:
    """How many items one sweep found in each condition."""

    doubted: int = 0
    confirmed: int = 0
    not_found: int = 0
    not_seen: int = 0
    expired: int = 0
    due: int = 0


def sweep(*, x: XClient, actor: Actor, now: datetime) -> Swept:
    """Find what a lost worker or nudge left behind, and settle what can be settled.

    Stranded items become doubts, doubts are looked for, overdue approvals expire. One item's
    failure does not keep the others waiting.
    """
    swept = Swept()
    for item in QueueItem.objects.stranded(now - STRANDED_AFTER)[:_AT_ONCE]:
        swept.doubted += _doubt_stranded(item, actor=actor, now=now)
    looks = PublishAttempt.objects.to_look_for(now).select_related("item__workspace__x_account")
    for attempt in looks[:_AT_ONCE]:
        found = look_for_attempt(attempt, x=x, actor=actor, now=now)
        swept.confirmed += found is True
        swept.not_found += found is False
        swept.not_seen += found is None
    overdue = QueueItem.objects.filter(
        state=State.APPROVED,
        approvals__voided_at=None,
        approvals__used_at=None,
        approvals__expires_at__lte=now,
    )
    for item in overdue[:_AT_ONCE]:
        swept.expired += _expire(item, actor=actor, now=now)
    swept.due = QueueItem.objects.due(now)[: _AT_ONCE + 1].count()
    return swept


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
    try:
        with transaction.atomic(durable=True):
            move_item("expire", item.pk, now=now)
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

    False when it was not found, None when nobody could look.
    """
    try:
        post = _find(attempt, x=x, now=now)
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


def _find(attempt: PublishAttempt, *, x: XClient, now: datetime) -> Post | None:
    """The post on our timeline with the same target and text, made since the first try began.

    A post that already belongs to another item is not it. Raises XReadFailed, XNotSent or
    NoAccessToken.
    """
    workspace, wanted = attempt.item.workspace, attempt.snapshot
    account = workspace.x_account
    if account.x_user_id != wanted["account"]:
        raise XNotSent("Another account is connected now.", code="another_account")
    token = require_workspace_x_access_token(workspace, now=now, x=x)
    first = attempt.item.attempts.aggregate(first=Min("started_at"))["first"]
    pages = x.timeline(account.x_user_id, access_token=token, start_time=first - _CLOCK_SKEW)
    text, target = normalised(wanted["text"]), wanted["target"] or ""
    matches = [
        post
        for page in pages
        for post in page.posts
        if post.replied_to == target and normalised(post.text) == text
    ]
    taken = set(
        workspace.items.filter(x_post_id__in=[post.id for post in matches]).values_list(
            "x_post_id", flat=True
        )
    )
    return next((post for post in reversed(matches) if post.id not in taken), None)

"""The sweep: finds what a lost worker or nudge left behind, and settles what can be settled."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet

from publishing.errors import WrongState
from publishing.models import PublishAttempt, QueueItem
from publishing.services import approvals
from publishing.services.budget import warn_of_budgets
from publishing.services.deciders import target_is_gone
from publishing.services.forgetting import forget_what_is_gone
from publishing.services.moves import move_item
from publishing.services.reconcile import look_for_attempt
from publishing.services.settle import settle_attempt
from publishing.states import Outcome, State
from revfirst.batch import each_alone, run_batch
from workspaces import audit
from workspaces.actors import Actor
from workspaces.errors import Busy
from workspaces.models import AuditEvent
from workspaces.services import holding_nobody_up
from x_integration.client import XClient

STRANDED_AFTER = timedelta(seconds=120)
ROOM_IS_NEWS_FOR = timedelta(minutes=5)
_MAKES_ROOM = ("workspace.policy", "item.fail", "item.give_up")
_AT_ONCE = 200


@dataclass(frozen=True)
class Swept:
    """How many items one sweep found in each condition."""

    doubted: int
    confirmed: int
    not_found: int
    not_seen: int  # nobody could look, or somebody else settled it first
    expired: int
    forgotten: int  # posts that X shows no longer
    due: int


def sweep(*, client: Callable[[], XClient] = XClient, actor: Actor, now: datetime) -> Swept:
    """Find what a lost worker or nudge left behind, and settle what can be settled.

    Stranded items become doubts, doubts are looked for (several at once, each thread with a client
    of its own), what is too late or answers what is gone expires, what is gone is forgotten, a limit that
    leaves room by now is asked again, and whoever has spent most of a budget is told. One item's failure
    does not keep the others waiting.
    """
    stranded = QueueItem.objects.stranded(now - STRANDED_AFTER)[:_AT_ONCE]
    doubted = each_alone(stranded, partial(_doubt_stranded, actor=actor, now=now))
    expired = each_alone(_overdue(now)[:_AT_ONCE], partial(_expire, actor=actor, now=now))
    forgotten = forget_what_is_gone(actor=actor, now=now)
    _ask_again(now)
    warn_of_budgets(actor=actor, now=now)
    found = _look_around(client, actor=actor, now=now)  # last: X may be slow
    return Swept(
        doubted=sum(doubted),
        confirmed=found.count(True),
        not_found=found.count(False),
        not_seen=found.count(None),
        expired=sum(expired),
        forgotten=forgotten,
        due=QueueItem.objects.due(now)[:_AT_ONCE].count(),
    )


def _ask_again(now: datetime) -> None:
    """Let the gates be asked again about what they hold until later, where there may be room by now.

    A limit was changed, or a try gave its place back. A row that somebody holds is left to the next sweep.
    """
    news = AuditEvent.objects.filter(type__in=_MAKES_ROOM, at__gt=now - ROOM_IS_NEWS_FOR)
    with transaction.atomic(durable=True):
        held = (
            QueueItem.objects.filter(
                workspace__in=set(news.values_list("chain", flat=True)),
                state=State.APPROVED,
                not_before__gt=now,
            )
            .exclude(blocked_reason="")
            .select_for_update(no_key=True, skip_locked=True)
        )
        ids = list(held.values_list("pk", flat=True))
        QueueItem.objects.filter(pk__in=ids).update(not_before=now)


def _look_around(
    client: Callable[[], XClient], *, actor: Actor, now: datetime
) -> list[bool | None]:
    found: list[bool | None] = []
    attempts = PublishAttempt.objects.to_look_for(now).select_related("item", "workspace")
    run_batch(
        attempts[:_AT_ONCE],
        lambda attempt, x: found.append(look_for_attempt(attempt, x=x, actor=actor, now=now)),
        tool=client,
        concurrency=settings.PUBLISH_CONCURRENCY,
    )
    return found


def _doubt_stranded(item: QueueItem, *, actor: Actor, now: datetime) -> bool:
    attempt = item.attempts.filter(outcome=Outcome.IN_FLIGHT).first()
    if attempt is None:
        return False
    try:
        settle_attempt(attempt.pk, "doubt", actor=actor, now=now, code="never_settled")
    except WrongState:  # its worker was only slow
        return False
    return True


def _overdue(now: datetime) -> QuerySet[QueueItem]:
    """Items whose approval or whose relevance ran out, or whose target is gone."""
    expired = Q(
        state=State.APPROVED,
        approvals__voided_at=None,
        approvals__used_at=None,
        approvals__expires_at__lte=now,
    )
    too_late = Q(state__in=[State.APPROVED, State.PENDING], relevant_until__lte=now)
    gone = Q(state__in=[State.APPROVED, State.PENDING], source_post__gone_at__isnull=False)
    each = [QueueItem.objects.filter(why)[:_AT_ONCE].values("pk") for why in (expired, gone)]
    found = QueueItem.objects.filter(too_late)[:_AT_ONCE].values("pk").union(*each)
    return QueueItem.objects.filter(pk__in=[row["pk"] for row in found])


def _expire(item: QueueItem, *, actor: Actor, now: datetime) -> bool:
    """Expire the item, unless somebody edited it or approved it anew since it was listed."""
    try:
        with holding_nobody_up():
            moved = move_item("expire", item.pk, now=now, seen=item.version)
            reason = _why_over(moved, now)
            if not reason:
                raise WrongState(f"{item} was decided anew.")
            approvals.void(moved, now=now)
            audit.record(
                "item.expire",
                workspace=moved.workspace,
                subject=moved.subject,
                actor=actor,
                now=now,
                data={"reason": reason},
            )
    except (WrongState, Busy):  # decided anew, or somebody holds it: the next sweep asks again
        return False
    return True


def _why_over(item: QueueItem, now: datetime) -> str:
    """Why it cannot be published any more; blank where it can."""
    if target_is_gone(item):
        return "target_gone"
    if item.relevant_until is not None and item.relevant_until <= now:
        return "too_late"
    approval = approvals.live_approval(item)
    ran_out = approval is not None and approval.expires_at <= now
    return "approval_expired" if ran_out else ""

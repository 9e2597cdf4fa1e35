"""What may keep an item from being sent, in the order in which it is asked.

Gates are asked inside the claim transaction, with workspace, account and item locked: they look at
rows, never at the cache. A blocked item stays approved, says why, and goes out by itself when it may.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from publishing.errors import NoBrandVoice
from publishing.models import Approval, QueueItem
from publishing.pricing import Price
from publishing.services.approvals import covers
from publishing.services.content import objection_to, sent_lately
from publishing.services.facts import DAY, HOUR, Facts
from publishing.states import State
from workspaces.models import Workspace
from workspaces.policy import Policy
from x_integration.models import SourcePost, XAccount

CONTENT_REFUSED = "content_refused"
ASK_AGAIN = timedelta(seconds=60)  # where no gate knows when it opens
DUPLICATE_WINDOW = DAY  # X refuses the same words for so long (docs/X-API.md, Limits and prices)


@dataclass(frozen=True)
class Case:
    """What a gate may look at; every row is locked or was read in the claim transaction."""

    item: QueueItem
    workspace: Workspace
    account: XAccount | None
    approval: Approval | None
    policy: Policy
    price: Price
    facts: Facts
    now: datetime

    @property
    def target(self) -> SourcePost | None:
        """The post that it answers."""
        return self.item.source_post


@dataclass(frozen=True)
class Block:
    """Why an item is not sent now; `not_before` (UTC) when the gate knows how long it lasts.

    `guard` names who objects to the content; the sentence holds words of the text, so it is not kept.
    """

    reason: str
    not_before: datetime | None = None
    guard: str = ""

    @property
    def audited(self) -> dict[str, str]:
        """What the audit row keeps of it."""
        return {"reason": self.reason} | ({"guard": self.guard} if self.guard else {})


@dataclass(frozen=True)
class Gate:
    """One question; `ask` answers None for yes, or the block, whose reason is the name but for
    the approval's, which may be missing, void or expired, and the content's. Some open by
    themselves after a while."""

    name: str
    ask: Callable[[Case], Block | None]
    opens_by_itself: bool = False


def _when(reason: str, blocked: Callable[[Case], object]) -> Gate:
    """A gate that is shut while `blocked` says so, for nobody knows how long."""
    return Gate(reason, lambda case: Block(reason) if blocked(case) else None)


def _until(reason: str, opens_at: Callable[[Case], datetime | None]) -> Gate:
    """A gate that is shut until an instant."""

    def ask(case: Case) -> Block | None:
        opening = opens_at(case)
        return Block(reason, opening) if opening is not None and opening > case.now else None

    return Gate(reason, ask, opens_by_itself=True)


def _approval(case: Case) -> Block | None:
    """A live yes, to exactly this, by somebody who may still say it."""
    approval, account = case.approval, case.account
    if approval is None or account is None:
        return Block("approval_missing")
    if not covers(approval, case.item, account) or not case.facts.approver_may:
        return Block("approval_void")
    return Block("approval_expired") if approval.expires_at <= case.now else None


def _too_late(case: Case) -> bool:
    until = case.item.relevant_until
    return until is not None and until <= case.now


def _content(case: Case) -> Block | None:
    """The guards, by the brand voice as it is now. What is sent reads as the item: the approval says so."""
    try:
        sent = case.facts.sent_texts
        objection = objection_to(case.item.text, source_post=case.target, sent=sent)
    except NoBrandVoice as error:
        return Block(error.code)
    return Block(CONTENT_REFUSED, guard=objection.guard) if objection else None


def _duplicate(case: Case) -> Block | None:
    """Something of ours was sent, or may have been: for this item, to this post, in these words."""
    facts, said = case.facts, case.facts.last_of_text
    if facts.item_is_open or facts.last_of_target is not None:
        return Block("duplicate")
    if said is not None and said + DUPLICATE_WINDOW > case.now:
        return Block("duplicate", said + DUPLICATE_WINDOW)
    return None


def _after(instant: datetime | None, pause: timedelta) -> datetime | None:
    return None if instant is None else instant + pause


def _author_cooldown(case: Case) -> datetime | None:
    """Nobody is pestered by going on in a thread of one's own."""
    ours = case.target and case.account and case.target.author_id == case.account.x_user_id
    return None if ours else _after(case.facts.last_to_author, case.policy.author_cooldown)


def _quota(reason: str, limit: Callable[[Policy], int], window: timedelta) -> Gate:
    """A gate for replies that is shut while `limit` of them were sent within the window."""
    nth = f"{reason.removesuffix('_quota')}_nth"

    def ask(case: Case) -> Block | None:
        if case.target is None:
            return None
        if limit(case.policy) == 0:
            return Block(reason)
        opening = _after(getattr(case.facts, nth), window)
        return Block(reason, opening) if opening is not None and opening > case.now else None

    return Gate(reason, ask, opens_by_itself=True)


def _budget(case: Case) -> Block | None:
    """What was spent, what is under way, and this one, must stay within day and month.

    Where what is under way fills it alone, nobody knows what of it X will charge: it is asked again soon.
    """
    facts, policy, midnight = case.facts, case.policy, _midnight(case.now)
    next_month = (midnight.replace(day=1) + timedelta(days=32)).replace(day=1)
    of_month = policy.monthly_budget_usd, facts.spent_this_month + case.price.usd, next_month
    of_day = policy.daily_budget_usd, facts.spent_today + case.price.usd, midnight + DAY
    for budget, usd, opens_at in (of_month, of_day):
        if _over(budget, usd):
            return Block("budget", opens_at)
    under_way = any(_over(budget, usd + facts.reserved) for budget, usd, _ in (of_month, of_day))
    return Block("budget", case.now + ASK_AGAIN) if under_way else None


def _over(budget: Decimal | None, usd: Decimal) -> bool:
    return budget is not None and usd > budget


def _midnight(now: datetime) -> datetime:
    """When the UTC day began, by which X bills."""
    return now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


APPROVAL = Gate("approval", _approval)
GATES: tuple[Gate, ...] = (
    _when("kill_switch", lambda case: case.facts.kill_switch),
    _when("system_hold", lambda case: case.facts.system_hold),
    _when("workspace_paused", lambda case: case.workspace.paused_at),
    _when("workspace_contained", lambda case: case.workspace.contained_at),
    _when(
        "account_not_ready",
        lambda case: case.account is None or not case.account.publish_ready(case.now),
    ),
    APPROVAL,
    _when("too_late", _too_late),
    _when("target_not_eligible", lambda case: case.target and not case.target.may_be_answered),
    Gate("content", _content),
    Gate("duplicate", _duplicate),
    _until(
        "thread_cooldown",
        lambda case: _after(case.facts.last_in_thread, case.policy.thread_cooldown),
    ),
    _until("author_cooldown", _author_cooldown),
    _when("author_opted_out", lambda case: case.facts.opted_out),
    _quota("hourly_quota", lambda policy: policy.replies_per_hour, HOUR),
    _quota("daily_quota", lambda policy: policy.replies_per_day, DAY),
    Gate("budget", _budget, opens_by_itself=True),
    _until("x_rate_limit", lambda case: case.facts.rate_resets_at),
    _until("circuit_breaker", lambda case: case.facts.breaker_shut_until),
)
UP_TO_THE_ACCOUNT = GATES[: GATES.index(APPROVAL)]


def first_block(case: Case, *, gates: Iterable[Gate] = GATES) -> Block | None:
    """The first gate's block, or None when every gate says yes."""
    return next(filter(None, (gate.ask(case) for gate in gates)), None)


def why_refused(item: QueueItem) -> str:
    """The sentence for a person about an item that is held for its content, as the guards see it now."""
    reasons = {CONTENT_REFUSED, NoBrandVoice.code}
    if item.state != State.APPROVED or item.blocked_reason not in reasons:
        return ""
    try:
        sent = sent_lately(item)
        objection = objection_to(item.text, source_post=item.source_post, sent=sent)
    except NoBrandVoice as error:
        return str(error)
    return objection.sentence if objection else ""


def opens_by_itself(reason: str) -> bool:
    """Whether a block for this reason ends without anybody's doing, at its `not_before`."""
    return any(gate.opens_by_itself for gate in GATES if gate.name == reason)

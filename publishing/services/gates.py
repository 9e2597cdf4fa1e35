"""What may keep an approved item from being sent, in the order in which it is asked.

Gates are asked inside the claim transaction, with workspace, account and item locked: they read
rows, never the cache. A blocked item stays approved and says why.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from publishing.models import Approval, PublishAttempt, QueueItem
from publishing.services.approvals import covers
from publishing.states import OPEN_OUTCOMES
from workspaces.models import SystemHold, Workspace
from workspaces.services import is_operator, kill_switch
from x_integration.models import XAccount


@dataclass(frozen=True)
class Case:
    """What a gate may look at; every row is locked or was read in the claim transaction."""

    item: QueueItem
    workspace: Workspace
    account: XAccount | None
    approval: Approval | None
    now: datetime


@dataclass(frozen=True)
class Block:
    """Why an item is not sent now; `not_before` (UTC) when the gate knows how long it lasts."""

    reason: str
    not_before: datetime | None = None


@dataclass(frozen=True)
class Gate:
    """One question; `ask` answers None for yes, or the block."""

    name: str
    ask: Callable[[Case], Block | None]


def _when(reason: str, blocked: Callable[[Case], object]) -> Gate:
    return Gate(reason, lambda case: Block(reason) if blocked(case) else None)


def _approval(case: Case) -> Block | None:
    """A live yes, to exactly this, by somebody who may still say it."""
    approval, account = case.approval, case.account
    if approval is None or account is None:
        return Block("approval_missing")
    still_operator = is_operator(approval.approved_by, case.workspace)
    if not covers(approval, case.item, account) or not still_operator:
        return Block("approval_void")
    return Block("approval_expired") if approval.expires_at <= case.now else None


def _target_not_eligible(case: Case) -> bool:
    post = case.item.source_post
    return post is not None and not post.may_be_answered


def _duplicate(case: Case) -> bool:
    """Something of ours was sent, or may have been, for this item or in answer to this post."""
    attempts = PublishAttempt.objects.filter(outcome__in=OPEN_OUTCOMES)
    if attempts.filter(item=case.item).exists():
        return True
    post = case.item.source_post
    return post is not None and attempts.filter(item__source_post=post).exists()


GATES: tuple[Gate, ...] = (
    _when("kill_switch", lambda case: kill_switch()),
    _when("system_hold", lambda case: SystemHold.objects.filter(lifted_at=None).exists()),
    _when("workspace_paused", lambda case: case.workspace.paused_at),
    _when("workspace_contained", lambda case: case.workspace.contained_at),
    _when(
        "account_not_ready",
        lambda case: case.account is None or not case.account.publish_ready(case.now),
    ),
    Gate("approval", _approval),
    _when("target_not_eligible", _target_not_eligible),
    _when("duplicate", _duplicate),
)


def first_block(case: Case) -> Block | None:
    """The first gate's block, or None when every gate says yes."""
    return next(filter(None, (gate.ask(case) for gate in GATES)), None)

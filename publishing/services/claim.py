"""Claim: every gate is asked and the attempt is written down, in one transaction, before X is called."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import transaction

from publishing.models import Approval, PublishAttempt, QueueItem
from publishing.services.approvals import live_approval
from publishing.services.attempts import price_of_item, text_hash, write_attempt
from publishing.services.breaker import take_trial
from publishing.services.content import is_compared
from publishing.services.facts import facts_about
from publishing.services.gates import ASK_AGAIN, UP_TO_THE_ACCOUNT, Block, Case, first_block
from publishing.services.moves import move_locked
from revfirst.db import wait_for_locks_at_most
from revfirst.prepared import Prepared
from workspaces import audit
from workspaces.actors import Actor
from workspaces.counters import Count
from workspaces.models import Workspace
from workspaces.policy import policy_of
from workspaces.services import LOCK_SECONDS_OF_OTHERS, LOCK_SECONDS_WITH_A_WORKSPACE
from x_integration.models import XAccount

_LOCKED_WORKSPACE = Prepared(
    lambda item_id: (
        Workspace.objects.filter(items__pk=item_id)
        .select_for_update(no_key=True, of=("self",))
        .order_by()
    )
)
_LOCKED_ACCOUNT = Prepared(
    lambda workspace_id: (
        XAccount.objects.live()
        .filter(workspace_id=workspace_id)
        .select_for_update(no_key=True, of=("self",))
    )
)
_LOCKED_DUE_ITEM = Prepared(
    lambda item_id, now: (
        QueueItem.objects.due(now)
        .filter(pk=item_id)
        .select_related("source_post")
        .select_for_update(no_key=True, of=("self",))
        .order_by()
    )
)


def claim_item(item_id: int, *, actor: Actor, now: datetime) -> PublishAttempt | None:
    """Take an approved item for sending, or None: not due, taken by somebody else, or blocked.

    A block is committed with its audit row. Locks workspace, account and item, in that order.
    """
    with transaction.atomic(durable=True):
        case = _locked_case(item_id, now)
        if case is None:
            return None
        block = first_block(case) or take_trial(case.facts, now=now)
        if block is not None:
            _block(case, block, actor=actor)
            return None
        return _claim(case, actor=actor)


def block_item(item_id: int, block: Block, *, actor: Actor, now: datetime) -> None:
    """Hold back an approved item for trouble with its account that was found before the claim, or for
    a gate's reason that ranks before it: the switches come first."""
    with transaction.atomic(durable=True):
        case = _locked_case(item_id, now)
        if case is not None:
            _block(case, first_block(case, gates=UP_TO_THE_ACCOUNT) or block, actor=actor)


def _locked_case(item_id: int, now: datetime) -> Case | None:
    """Everything that the gates look at, locked; a stop never waits long for what is held here."""
    wait_for_locks_at_most(LOCK_SECONDS_OF_OTHERS)
    workspace = _LOCKED_WORKSPACE.first(item_id=item_id)
    if workspace is None:
        return None
    wait_for_locks_at_most(LOCK_SECONDS_WITH_A_WORKSPACE)
    account = locked_account(workspace)
    item = _LOCKED_DUE_ITEM.first(item_id=item_id, now=now)
    if item is None:
        return None
    item.workspace = workspace
    return case_of(item, account=account, approval=live_approval(item), now=now)


def locked_account(workspace: Workspace) -> XAccount | None:
    """The workspace's live account, locked; the workspace was locked before."""
    return _LOCKED_ACCOUNT.first(workspace_id=workspace.pk)


def case_of(
    item: QueueItem, *, account: XAccount | None, approval: Approval | None, now: datetime
) -> Case:
    """The case of an item whose workspace, account and own row are locked."""
    workspace, policy = item.workspace, policy_of(item.workspace)
    facts = facts_about(
        item,
        workspace=workspace,
        account=account,
        approver_id=approval.approved_by_id if approval else None,
        text_hash=text_hash(item.text, reply=item.source_post is not None),
        compared=approval is not None and is_compared(item.text),
        policy=policy,
        now=now,
    )
    price = price_of_item(item, now=now)
    return Case(item, workspace, account, approval, policy, price, facts, now)


def _claim(case: Case, *, actor: Actor) -> PublishAttempt:
    item, approval = case.item, case.approval
    if approval is None:
        raise RuntimeError("The approval gate let an item pass without an approval.")
    move_locked("claim", item, now=case.now, blocked_reason="", not_before=None)
    attempt = write_attempt(
        item, approval.snapshot, approval=approval, **reservations(case), now=case.now
    )
    audit.record(
        "item.claim",
        workspace=case.workspace,
        subject=item.subject,
        actor=actor,
        now=case.now,
        data={
            "attempt": attempt.number,
            "content_hash": attempt.content_hash,
            "approved_by": f"user:{approval.approved_by_id}",
        },
    )
    return attempt


def reservations(case: Case) -> dict[str, Any]:
    """What an attempt of the case says beside its content: number, price, and whether it is a trial."""
    return {
        "number": case.facts.last_number + 1,
        "usd": case.price.usd,
        "priced_as": case.price.priced_as,
        "on_trial": case.facts.breaker_is_open,
    }


def _block(case: Case, block: Block, *, actor: Actor) -> None:
    """Say why on the item; audited and counted once per item and reason, not once per sweep."""
    item, seen = case.item, case.item.block_reasons
    first_time = block.reason not in seen
    QueueItem.objects.filter(pk=item.pk).update(
        blocked_reason=block.reason,
        not_before=block.not_before or case.now + ASK_AGAIN,
        block_reasons=[*seen, block.reason] if first_time else seen,
    )
    if first_time:
        audit.record(
            "item.block",
            workspace=case.workspace,
            subject=item.subject,
            actor=actor,
            now=case.now,
            data=block.audited,
            counts=[Count("publish_blocked_total", {"reason": block.reason})],
        )

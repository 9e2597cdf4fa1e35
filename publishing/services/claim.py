"""Claim: every gate is asked and the attempt is written down, in one transaction, before X is called."""

from datetime import datetime, timedelta

from django.db import transaction

from publishing.models import PublishAttempt, QueueItem
from publishing.services.approvals import live_approval
from publishing.services.gates import Block, Case, first_block
from publishing.services.moves import move_item
from revfirst.db import wait_for_locks_at_most
from workspaces import audit
from workspaces.actors import Actor
from workspaces.counters import Count
from workspaces.models import Workspace
from workspaces.services import LOCK_SECONDS_OF_OTHERS
from x_integration.models import XAccount

ASK_AGAIN = timedelta(seconds=60)


def claim_item(item_id: int, *, actor: Actor, now: datetime) -> PublishAttempt | None:
    """Take an approved item for sending, or None: not due, taken by somebody else, or blocked.

    A block is committed with its audit row. Locks workspace, account and item, in that order.
    """
    with transaction.atomic(durable=True):
        case = _locked_case(item_id, now)
        if case is None:
            return None
        block = first_block(case)
        if block is not None:
            _block(case, block, actor=actor)
            return None
        return _write_attempt(case, actor=actor)


def block_item(item_id: int, block: Block, *, actor: Actor, now: datetime) -> None:
    """Hold back an approved item for a reason found before the claim, or for a gate's that ranks
    before it: the account is asked after the switches."""
    with transaction.atomic(durable=True):
        case = _locked_case(item_id, now)
        if case is not None:
            _block(case, first_block(case) or block, actor=actor)


def _locked_case(item_id: int, now: datetime) -> Case | None:
    """Everything that the gates look at, locked; a stop never waits long for what is held here."""
    wait_for_locks_at_most(LOCK_SECONDS_OF_OTHERS)
    workspace_id = (
        QueueItem.objects.filter(pk=item_id).values_list("workspace_id", flat=True).first()
    )
    if workspace_id is None:
        return None
    workspace = Workspace.objects.select_for_update(no_key=True).get(pk=workspace_id)
    account = (
        XAccount.objects.live().select_for_update(no_key=True).filter(workspace=workspace).first()
    )
    item = (
        QueueItem.objects.due(now)
        .select_for_update(no_key=True, of=("self",))
        .select_related("source_post")
        .filter(pk=item_id)
        .first()
    )
    if item is None:
        return None
    return Case(item, workspace, account, live_approval(item), now)


def _write_attempt(case: Case, *, actor: Actor) -> PublishAttempt:
    item, approval = case.item, case.approval
    if approval is None:
        raise RuntimeError("The approval gate let an item pass without an approval.")
    move_item("claim", item.pk, now=case.now, blocked_reason="", not_before=None)
    attempt = PublishAttempt.objects.create(
        workspace=case.workspace,
        item=item,
        kind=item.kind,
        number=item.attempts.count() + 1,
        approval=approval,
        snapshot=approval.snapshot,
        content_hash=approval.content_hash,
        started_at=case.now,
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
            data={"reason": block.reason},
            counts=[Count("publish_blocked_total", {"reason": block.reason})],
        )

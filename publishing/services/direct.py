"""The direct API: published at once, without an approval. It is shut unless somebody opened it, and
never open in production; every other gate, the call and the settle are those of an approved item."""

import hashlib
import json
from datetime import datetime
from time import monotonic

from django.conf import settings
from django.db import IntegrityError, transaction

from publishing.errors import AlreadyProposed, Blocked, DirectPublishingDisabled, KeyReused
from publishing.models import DirectRequest, Kind, PublishAttempt, QueueItem
from publishing.services.approvals import snapshot_of
from publishing.services.attempts import write_attempt
from publishing.services.breaker import take_trial
from publishing.services.claim import case_of, locked_account, reservations
from publishing.services.content import check_by_itself, check_words
from publishing.services.gates import APPROVAL, GATES, UP_TO_THE_ACCOUNT, Block, Case, first_block
from publishing.services.propose import next_number
from publishing.services.publish import call_and_settle
from publishing.states import State
from revfirst.clock import Clock
from workspaces import audit
from workspaces.actors import Actor
from workspaces.counters import Count
from workspaces.errors import NotAllowed
from workspaces.models import Workspace
from workspaces.services import check_operator, holding_nobody_up
from x_integration.client import XClient
from x_integration.errors import NoAccessToken
from x_integration.models import SourcePost, XAccount
from x_integration.services import find_target, get_workspace_x_access_token, note_unauthorized

AFTER_APPROVAL = GATES[GATES.index(APPROVAL) + 1 :]


def publish_directly(
    workspace: Workspace,
    *,
    text: str,
    in_reply_to: str | None,
    actor: Actor,
    x: XClient,
    clock: Clock,
    idempotency_key: str = "",
) -> QueueItem:
    """Publish now, and return the item as it is afterwards: published, unconfirmed or failed.

    The same key with the same body brings the item of the first call, which may be publishing still.
    Raises DirectPublishingDisabled in production, whoever calls; NotAllowed, BadContent, NoBrandVoice, KeyReused,
    AlreadyProposed when an item of the queue answers the same post, Blocked with the gate's reason, Busy,
    or what looking up the target at X raises.
    """
    if settings.ENVIRONMENT == "production":
        raise DirectPublishingDisabled
    if actor.user is None:
        raise NotAllowed("Only a person publishes directly.")
    check_operator(actor.user, workspace)
    check_words(text)
    request = _request(workspace, text, in_reply_to, idempotency_key)
    if (earlier := _earlier(request)) is not None:
        return earlier
    target = None
    if in_reply_to is not None:
        _check_may_ask(workspace, actor=actor, now=clock())
        target = _target(workspace, in_reply_to, x=x, actor=actor, now=clock())
    check_by_itself(text, source_post=target)
    token = get_workspace_x_access_token(workspace, now=clock(), x=x, wait=False)
    begun = monotonic()  # before the claim transaction: a claim is good for 2 s from here
    try:
        attempt = _claim(workspace, text, target, token, request, actor=actor, now=clock())
    except IntegrityError as error:
        if "item_one_live_reply_per_post" in str(error):
            raise AlreadyProposed from None
        raise
    if isinstance(attempt, QueueItem):
        return attempt  # the same key, at the same moment
    code = call_and_settle(attempt, token or "", begun=begun, x=x, actor=actor, clock=clock)
    if code == "x_unauthorized" and token:
        note_unauthorized(workspace, token, actor=actor, now=clock())
    return QueueItem.objects.get(pk=attempt.item_id)


def _request(
    workspace: Workspace, text: str, in_reply_to: str | None, key: str
) -> DirectRequest | None:
    if not key:
        return None
    body = json.dumps([text, in_reply_to])
    return DirectRequest(
        workspace=workspace,
        key_hash=hashlib.sha256(key.encode()).hexdigest(),
        body_hash=hashlib.sha256(body.encode()).hexdigest(),
    )


def _earlier(request: DirectRequest | None) -> QueueItem | None:
    """The item that the same key made before. Raises KeyReused when it came with another body."""
    if request is None:
        return None
    same = DirectRequest.objects.filter(workspace=request.workspace, key_hash=request.key_hash)
    found = same.select_related("item").first()
    if found is None:
        return None
    if found.body_hash != request.body_hash:
        raise KeyReused
    return found.item


def _check_may_ask(workspace: Workspace, *, actor: Actor, now: datetime) -> None:
    """Raise Blocked where a switch or the account stops us: then X is not asked, and not paid, either.

    The claim asks again, behind the locks.
    """
    account = XAccount.objects.live().filter(workspace=workspace).first()
    item = _new_item(workspace, 0, "", None, actor=actor, now=now)
    case = case_of(item, account=account, approval=None, now=now)
    if (block := first_block(case, gates=UP_TO_THE_ACCOUNT)) is not None:
        _record_block(workspace, block, actor=actor, now=now)
        raise Blocked(block.reason, not_before=block.not_before)


def _target(
    workspace: Workspace, in_reply_to: str, *, x: XClient, actor: Actor, now: datetime
) -> SourcePost:
    """The post to answer. Raises Blocked when X does not show it to us, or there is no token to ask with."""
    try:
        target = find_target(workspace, in_reply_to, x=x, actor=actor, now=now)
    except NoAccessToken:  # as the claim would say
        reason = "account_not_ready"
    else:
        if target is not None:
            return target
        reason = "target_not_eligible"
    _record_block(workspace, Block(reason), actor=actor, now=now)
    raise Blocked(reason)


def _claim(
    workspace: Workspace,
    text: str,
    target: SourcePost | None,
    token: str | None,
    request: DirectRequest | None,
    *,
    actor: Actor,
    now: datetime,
) -> PublishAttempt | QueueItem:
    """As the claim of an approved item, for an item that is made here.

    The key is asked again behind the workspace's lock: whoever had it in the meantime made an item,
    which is returned, and which the gates would take for a reason to block this one. Raises Blocked,
    KeyReused, or NotAllowed for who has lost the role meanwhile.
    """
    with transaction.atomic(durable=True):
        number = next_number(workspace)  # locks the workspace
        if (earlier := _earlier(request)) is not None:
            transaction.set_rollback(True)  # the number is not used
            return earlier
        workspace.refresh_from_db()
        if actor.user is not None:
            check_operator(actor.user, workspace)
        item = _new_item(workspace, number, text, target, actor=actor, now=now)
        case = case_of(item, account=locked_account(workspace), approval=None, now=now)
        block = _first_block(case, has_token=token is not None)
        if block is None:
            return _write(case, request, actor=actor)
        transaction.set_rollback(True)
    _record_block(workspace, block, actor=actor, now=now)
    raise Blocked(block.reason, not_before=block.not_before)


def _first_block(case: Case, *, has_token: bool) -> Block | None:
    """Of every gate but the approval's; that there is no token ranks with the account."""
    block = first_block(case, gates=UP_TO_THE_ACCOUNT)
    if block is None and not has_token:
        block = Block("account_not_ready")
    return block or first_block(case, gates=AFTER_APPROVAL) or take_trial(case.facts, now=case.now)


def _new_item(
    workspace: Workspace,
    number: int,
    text: str,
    target: SourcePost | None,
    *,
    actor: Actor,
    now: datetime,
) -> QueueItem:
    return QueueItem(
        workspace=workspace,
        number=number,
        kind=Kind.REPLY if target else Kind.POST,
        state=State.PUBLISHING,
        text=text,
        source_post=target,
        origin="direct",
        written_by=actor.user,
        created_at=now,
        moved_at=now,
    )


def _write(case: Case, request: DirectRequest | None, *, actor: Actor) -> PublishAttempt:
    item, account = case.item, case.account
    if account is None:
        raise RuntimeError("The account gate let an item pass without an account.")
    item.save(force_insert=True)
    if request is not None:
        request.item, request.created_at = item, case.now
        request.save(force_insert=True)
    attempt = write_attempt(item, snapshot_of(item, account), **reservations(case), now=case.now)
    audit.record(
        "item.direct",
        workspace=case.workspace,
        subject=item.subject,
        actor=actor,
        now=case.now,
        data={
            "attempt": attempt.number,
            "kind": item.kind,
            "content_hash": attempt.content_hash,
            "target": item.source_post_id,
        },
    )
    return attempt


def _record_block(workspace: Workspace, block: Block, *, actor: Actor, now: datetime) -> None:
    """Nothing of it stays but this: there is no item that could go out later."""
    with holding_nobody_up():
        audit.record(
            "direct.block",
            workspace=workspace,
            subject="workspace",
            actor=actor,
            now=now,
            data=block.audited,
            counts=[Count("publish_blocked_total", {"reason": block.reason})],
        )

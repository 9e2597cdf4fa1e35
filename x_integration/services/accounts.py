"""Holds on one account: placed when X says that the account itself is the trouble."""

import logging
from datetime import datetime

from django.db import transaction
from django.db.models import Q

from revfirst.db import wait_for_locks_at_most
from workspaces import audit, reasons
from workspaces.actors import Actor
from workspaces.models import Workspace
from workspaces.services import (
    LOCK_SECONDS_OF_OTHERS,
    check_operator,
    check_seen,
    end_alarms,
    holding_nobody_up,
    raise_alarm,
)
from x_integration.models import XAccount

ACCOUNT_HELD = "account_held"  # alarm
logger = logging.getLogger(__name__)


def hold_account(
    account: XAccount, *, reason: str, actor: Actor, now: datetime, only: Q | None = None
) -> bool:
    """Stop publishing from the account until a person lifts it; says whether it changed.

    One that was revoked meanwhile is let be, and so is one that is not as `only` says. Raises
    OperationalError when a row is held for long.
    """
    with transaction.atomic(durable=True):
        wait_for_locks_at_most(LOCK_SECONDS_OF_OTHERS)
        row = XAccount.objects.live().filter(only or Q(), pk=account.pk, held_at=None)
        changed = row.update(held_at=now, held_reason=reason[:60], updated_at=now)
        if changed:
            detail = f"Nothing is published from @{account.username}: {reason}."
            raise_alarm(ACCOUNT_HELD, detail=detail, workspace=account.workspace, now=now)
            audit.record(
                "account.hold",
                workspace=account.workspace,
                subject="account",
                actor=actor,
                now=now,
                data={"reason": reason[:60]},
            )
    return bool(changed)


def lift_account_hold(
    workspace: Workspace, *, reason: str, actor: Actor, now: datetime, seen: str | None = None
) -> bool:
    """Let the account publish again; says whether it changed.

    The reason is kept by the process's log: the audit log holds no free text. `seen` is the `held_at`, in
    ISO 8601, of the hold that a person decided about. Raises NotAllowed, ReasonNeeded, Busy, or
    ChangedMeanwhile when another hold stands by now.
    """
    kept = reasons.checked(reason)
    if actor.user:
        check_operator(actor.user, workspace)
    with holding_nobody_up():
        rows = XAccount.objects.filter(workspace=workspace, held_at__isnull=False)
        held = rows.select_for_update(no_key=True, of=("self",)).first()
        if held is not None and held.held_at is not None:
            check_seen(held.held_at, seen)
            rows.update(held_at=None, held_reason="", updated_at=now)
            end_alarms(ACCOUNT_HELD, workspace=workspace, now=now)
            audit.record(
                "account.lift_hold", workspace=workspace, subject="account", actor=actor, now=now
            )
    if held is not None:
        told = {"workspace": workspace.slug, "by": str(actor), "reason": kept}
        logger.info("account_hold_lifted", extra=told)
    return held is not None

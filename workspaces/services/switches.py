"""What stops publishing: kill switch, system holds, a workspace's pause and containment.

Stopping is a row that the publisher reads in its claim transaction. A claim that was committed
before the switch is good for `SEND_WINDOW_SECONDS` on the sender's clock; so a switch commits,
waits out the window and a margin, and only then answers: no request begins after the answer.
"""

from collections.abc import Mapping
from datetime import datetime

from django.db import transaction

from revfirst.wait import wait_out
from workspaces import audit
from workspaces.actors import Actor
from workspaces.errors import ReasonNeeded
from workspaces.models import SystemHold, SystemSwitch, Workspace
from workspaces.services.roles import check_operator, check_system_operator

SEND_WINDOW_SECONDS = 2.0
_MARGIN_SECONDS = 0.25
_REASON_LENGTH = 200
KILL_SWITCH = "kill_switch"


def kill_switch() -> SystemSwitch | None:
    """The switch's row while it is on, else None."""
    return SystemSwitch.objects.filter(name=KILL_SWITCH, on=True).first()


def set_kill_switch(
    on: bool, *, reason: str, actor: Actor, now: datetime, wait: bool = True
) -> None:
    """Stop, or let go again, every publication of every workspace.

    Turning it on returns when no request can begin any more; `wait=False` is for a door that
    answers later. Raises NotAllowed, or ReasonNeeded.
    """
    _check_reason(reason)
    if actor.user:
        check_system_operator(actor.user)
    with transaction.atomic(durable=True):
        SystemSwitch.objects.update_or_create(
            name=KILL_SWITCH,
            defaults={"on": on, "reason": reason, "changed_by": str(actor), "changed_at": now},
        )
        audit.record(f"kill_switch.{'on' if on else 'off'}", subject="system", actor=actor, now=now)
    if on and wait:
        wait_out(SEND_WINDOW_SECONDS + _MARGIN_SECONDS)


def pause_workspace(
    workspace: Workspace, *, reason: str, actor: Actor, now: datetime, wait: bool = True
) -> bool:
    """Stop the workspace's publications; says whether it changed. Raises NotAllowed, ReasonNeeded."""
    _check_reason(reason)
    fields = {"paused_at": now, "paused_reason": reason}
    changed = _change(workspace, "pause", {"paused_at": None}, fields, actor=actor, now=now)
    if wait:
        wait_out(SEND_WINDOW_SECONDS + _MARGIN_SECONDS)
    return changed


def resume_workspace(workspace: Workspace, *, actor: Actor, now: datetime) -> bool:
    """Let a paused workspace publish again; says whether it changed. Raises NotAllowed."""
    fields = {"paused_at": None, "paused_reason": ""}
    return _change(workspace, "resume", {"paused_at__isnull": False}, fields, actor=actor, now=now)


def contain_workspace(workspace: Workspace, *, reason: str, actor: Actor, now: datetime) -> bool:
    """Stop a workspace whose publications go wrong; only a person lifts it."""
    fields = {"contained_at": now, "contained_reason": reason}
    return _change(workspace, "contain", {"contained_at": None}, fields, actor=actor, now=now)


def lift_containment(workspace: Workspace, *, actor: Actor, now: datetime) -> bool:
    """Let a contained workspace publish again; says whether it changed. Raises NotAllowed."""
    fields = {"contained_at": None, "contained_reason": ""}
    where = {"contained_at__isnull": False}
    return _change(workspace, "lift_containment", where, fields, actor=actor, now=now)


def place_hold(kind: str, *, reason: str, actor: Actor, now: datetime) -> bool:
    """Stop every workspace for `kind`, unless such a hold stands already."""
    with transaction.atomic(durable=True):
        _, made = SystemHold.objects.get_or_create(
            kind=kind, lifted_at=None, defaults={"reason": reason, "placed_at": now}
        )
        if made:
            audit.record("hold.place", subject="system", actor=actor, now=now, data={"hold": kind})
    return made


def lift_hold(kind: str, *, reason: str, actor: Actor, now: datetime) -> bool:
    """Lift the hold of that kind; says whether there was one. Raises NotAllowed, ReasonNeeded."""
    _check_reason(reason)
    if actor.user:
        check_system_operator(actor.user)
    with transaction.atomic(durable=True):
        lifted = SystemHold.objects.filter(kind=kind, lifted_at=None).update(
            lifted_at=now, lifted_by=str(actor), lifted_reason=reason
        )
        if lifted:
            audit.record("hold.lift", subject="system", actor=actor, now=now, data={"hold": kind})
    return bool(lifted)


def _check_reason(reason: str) -> None:
    if not reason.strip() or len(reason) > _REASON_LENGTH:
        raise ReasonNeeded(f"Say why, in at most {_REASON_LENGTH} characters.")


def _change(
    workspace: Workspace,
    move: str,
    where: Mapping[str, object],
    fields: Mapping[str, object],
    *,
    actor: Actor,
    now: datetime,
) -> bool:
    if actor.user:
        check_operator(actor.user, workspace)
    with transaction.atomic(durable=True):
        changed = Workspace.objects.filter(pk=workspace.pk, **where).update(**fields)
        if changed:
            audit.record(
                f"workspace.{move}", workspace=workspace, subject="workspace", actor=actor, now=now
            )
    return bool(changed)

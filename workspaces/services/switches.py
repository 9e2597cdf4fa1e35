"""What stops publishing: kill switch, system holds, a workspace's pause and containment.

Stopping is a row that the publisher reads in its claim transaction. A claim that was committed
before the switch is good for `SEND_WINDOW_SECONDS` on the sender's clock; so a switch commits,
waits out the window and a margin, and only then answers: no request begins after the answer.

Whoever stops something stops it, also when the audit log cannot take the row: a broken or locked log
must not keep anybody publishing. That is said aloud (NotAudited), never passed over.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime

from django.db import DatabaseError, OperationalError, transaction
from psycopg.errors import LockNotAvailable

from revfirst.db import wait_for_locks_at_most
from revfirst.wait import wait_out
from workspaces import audit, reasons
from workspaces.actors import Actor
from workspaces.errors import Busy, ChangedMeanwhile, NotAudited, NotStopped
from workspaces.models import AuditChain, AuditEvent, SystemHold, SystemSwitch, Workspace
from workspaces.services.alarms import end_alarms, raise_alarm
from workspaces.services.roles import check_operator, check_system_operator

SEND_WINDOW_SECONDS = 2.0
_MARGIN_SECONDS = 0.25
LOCK_SECONDS_OF_OTHERS = 2.0  # who holds a row that stops somebody lets go of it by then
LOCK_SECONDS_WITH_A_WORKSPACE = 0.6  # each further row, while a pause may wait for the workspace's
_LOCK_SECONDS = 3.0
KILL_SWITCH = "kill_switch"
CONTAINED = "workspace_contained"  # alarm
logger = logging.getLogger(__name__)


def kill_switch() -> SystemSwitch | None:
    """The switch's row while it is on, else None."""
    return SystemSwitch.objects.filter(name=KILL_SWITCH, on=True).first()


def set_kill_switch(
    on: bool,
    *,
    reason: str,
    actor: Actor,
    now: datetime,
    wait: bool = True,
    seen: str | None = None,
) -> bool:
    """Stop, or let go again, every publication of every workspace; says whether it changed.

    Turning it on returns when no request can begin any more, also where it was on before: who did
    that, when and why stays, and pressing again is audited beside it. `wait=False` is for a door that
    answers later. `seen` is the `last_press` that a person who lets go decided about. Raises NotAllowed
    or ReasonNeeded; turning it on also NotAudited where it is on all the same, turning it off Busy, or
    ChangedMeanwhile when that press is not the last.
    """
    fields = {"reason": reasons.checked(reason), "changed_by": str(actor), "changed_at": now}
    if actor.user:
        check_system_operator(actor.user)

    def record(changed: bool) -> None:
        turned = ("on" if changed else "on_again") if on else "off"
        audit.record(f"kill_switch.{turned}", subject="system", actor=actor, now=now)
        if not changed:
            told = {"by": str(actor), "reason": fields["reason"]}
            logger.info("kill_switch_on_again", extra=told)

    if not on:
        with holding_nobody_up():
            rows = SystemSwitch.objects.filter(name=KILL_SWITCH, on=True)
            switch = rows.select_for_update().first()
            if seen is not None and (switch is None or last_press(switch) != seen):
                raise ChangedMeanwhile
            if switch is not None:
                rows.update(**fields, on=False)
                record(True)
        return switch is not None
    return _stop(lambda: _turn_on(fields), record, wait=wait)


def last_press(switch: SystemSwitch) -> str:
    """Names the turn, and the last press after it: who lets go answers to everybody who stopped it."""
    again = AuditEvent.objects.filter(
        chain=AuditChain.SYSTEM, type="kill_switch.on_again", at__gte=switch.changed_at
    )
    last = again.order_by("-seq").values_list("seq", flat=True).first()
    return switch.changed_at.isoformat() + (f" {last}" if last else "")


def _turn_on(fields: Mapping[str, object]) -> bool:
    """Whether it was off until now; the row of an earlier turn is left as it is.

    Locked all the same: whoever lets go at this moment does so before this press, or has not seen it.
    """
    first = SystemSwitch(name=KILL_SWITCH, on=False, **fields)
    SystemSwitch.objects.bulk_create([first], ignore_conflicts=True)
    switch = SystemSwitch.objects.select_for_update().get(name=KILL_SWITCH)
    if switch.on:
        return False
    SystemSwitch.objects.filter(pk=switch.pk).update(on=True, **fields)
    return True


@contextmanager
def holding_nobody_up() -> Iterator[None]:
    """A transaction on rows that a stop needs too: it gives up, with Busy, before a stop would."""
    try:
        with transaction.atomic(durable=True):
            wait_for_locks_at_most(LOCK_SECONDS_OF_OTHERS)
            yield
    except OperationalError as error:
        if isinstance(error.__cause__, LockNotAvailable):
            raise Busy from None
        raise


def _stop(stop: Callable[[], bool], record: Callable[[bool], None], *, wait: bool) -> bool:
    """Stop something and audit whether it changed, or stop it all the same; says whether it changed.

    With `wait`, it returns or raises when no request can begin any more. Raises NotAudited, or
    NotStopped where not even the stop's own row could be had.
    """
    audited = True
    try:
        with transaction.atomic(durable=True):
            wait_for_locks_at_most(_LOCK_SECONDS)
            changed = stop()
            record(changed)
    except DatabaseError:
        logger.exception("stop_not_audited")
        audited = False
        try:
            with transaction.atomic(durable=True):
                wait_for_locks_at_most(_LOCK_SECONDS)
                changed = stop()
        except DatabaseError:
            logger.exception("stop_failed")
            raise NotStopped from None
    if wait:
        wait_until_nothing_begins()
    if not audited:
        raise NotAudited
    return changed


def wait_until_nothing_begins() -> None:
    """Wait out every claim that was committed before a stop that is committed by now."""
    wait_out(SEND_WINDOW_SECONDS + _MARGIN_SECONDS)


def pause_workspace(
    workspace: Workspace, *, reason: str, actor: Actor, now: datetime, wait: bool = True
) -> bool:
    """Stop the workspace's publications; says whether it changed.

    Raises NotAllowed or ReasonNeeded, and NotAudited where it is paused all the same.
    """
    fields = {
        "paused_at": now,
        "paused_by": str(actor),
        "paused_reason": reasons.checked(reason),
    }
    if actor.user:
        check_operator(actor.user, workspace)
    rows = Workspace.objects.filter(pk=workspace.pk, paused_at=None)

    def record(changed: bool) -> None:
        if changed:
            audit.record(
                "workspace.pause", workspace=workspace, subject="workspace", actor=actor, now=now
            )

    def pause() -> bool:  # locked in any case: whoever resumes at this moment was before it
        Workspace.objects.select_for_update(no_key=True).get(pk=workspace.pk)
        return bool(rows.update(**fields))

    return _stop(pause, record, wait=wait)


def resume_workspace(
    workspace: Workspace, *, actor: Actor, now: datetime, seen: str | None = None
) -> bool:
    """Let a paused workspace publish again; says whether it changed.

    `seen` is the `paused_at`, in ISO 8601, of the pause that a person decided about. Raises NotAllowed,
    Busy, or ChangedMeanwhile when another pause stands by now.
    """
    fields = {"paused_at": None, "paused_by": "", "paused_reason": ""}
    return _let_go(workspace, "resume", "paused_at", fields, seen=seen, actor=actor, now=now)


def contain_workspace(workspace: Workspace, *, reason: str, actor: Actor, now: datetime) -> bool:
    """Stop a workspace whose publications go wrong; only a person lifts it. Raises NotAllowed."""
    if actor.user:
        check_operator(actor.user, workspace)
    with transaction.atomic(durable=True):
        return write_containment(workspace, reason=reason, actor=actor, now=now)


def write_containment(workspace: Workspace, *, reason: str, actor: Actor, now: datetime) -> bool:
    """As `contain_workspace`, in the caller's transaction."""
    row = Workspace.objects.filter(pk=workspace.pk, contained_at=None)
    changed = row.update(contained_at=now, contained_reason=reason[: reasons.LONGEST])
    if changed:
        raise_alarm(CONTAINED, detail=reason, workspace=workspace, now=now)
        audit.record(
            "workspace.contain", workspace=workspace, subject="workspace", actor=actor, now=now
        )
    return bool(changed)


def lift_containment(
    workspace: Workspace,
    *,
    actor: Actor,
    now: datetime,
    reason: str | None = None,
    seen: str | None = None,
) -> bool:
    """Let a contained workspace publish again; says whether it changed.

    What failed before `now` counts no more. Doors ask for a reason, which the process's log keeps:
    the audit log holds no free text. `seen` is as for a pause. Raises NotAllowed, Busy,
    ChangedMeanwhile, and ReasonNeeded for a bad reason.
    """
    kept = None if reason is None else reasons.checked(reason)
    lifted = _let_go(
        workspace,
        "lift_containment",
        "contained_at",
        {"contained_at": None, "contained_reason": "", "containment_lifted_at": now},
        seen=seen,
        actor=actor,
        now=now,
        alarms=lambda: end_alarms(CONTAINED, workspace=workspace, now=now),
    )
    if lifted:
        told = {"workspace": workspace.slug, "by": str(actor), "reason": kept}
        logger.info("containment_lifted", extra=told)
    return lifted


def place_hold(kind: str, *, reason: str, actor: Actor, now: datetime) -> bool:
    """Stop every workspace for `kind`, and raise an alarm, unless such a hold stands already.

    Raises OperationalError when a row is held for long.
    """
    with transaction.atomic(durable=True):
        wait_for_locks_at_most(LOCK_SECONDS_OF_OTHERS)
        return write_hold(kind, reason=reason, actor=actor, now=now)


def write_hold(kind: str, *, reason: str, actor: Actor, now: datetime) -> bool:
    """As `place_hold`, in the caller's transaction."""
    _, made = SystemHold.objects.get_or_create(
        kind=kind,
        lifted_at=None,
        defaults={"reason": reason, "placed_at": now, "placed_by": str(actor)},
    )
    if made:
        raise_alarm(kind, detail=reason, now=now)
        audit.record("hold.place", subject="system", actor=actor, now=now, data={"hold": kind})
    return made


def lift_hold(kind: str, *, reason: str, actor: Actor, now: datetime) -> bool:
    """Lift the hold of that kind; says whether there was one.

    Raises NotAllowed, ReasonNeeded or Busy.
    """
    kept = reasons.checked(reason)
    if actor.user:
        check_system_operator(actor.user)
    with holding_nobody_up():
        lifted = SystemHold.objects.filter(kind=kind, lifted_at=None).update(
            lifted_at=now, lifted_by=str(actor), lifted_reason=kept
        )
        if lifted:
            end_alarms(kind, now=now)
            audit.record("hold.lift", subject="system", actor=actor, now=now, data={"hold": kind})
    return bool(lifted)


def check_seen(since: datetime, seen: str | None) -> None:
    """Raise ChangedMeanwhile when the stop that a person saw is not the one that stands, locked, now."""
    if seen is not None and since.isoformat() != seen:
        raise ChangedMeanwhile


def _let_go(
    workspace: Workspace,
    move: str,
    stopped_at: str,
    fields: Mapping[str, object],
    *,
    seen: str | None,
    actor: Actor,
    now: datetime,
    alarms: Callable[[], object] = lambda: None,
) -> bool:
    if actor.user:
        check_operator(actor.user, workspace)
    with holding_nobody_up():
        rows = Workspace.objects.filter(pk=workspace.pk)
        since = getattr(rows.select_for_update(no_key=True).get(), stopped_at)
        if since is not None:
            check_seen(since, seen)
            rows.update(**fields)
            alarms()
            audit.record(
                f"workspace.{move}", workspace=workspace, subject="workspace", actor=actor, now=now
            )
    return since is not None

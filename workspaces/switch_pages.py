"""What the pages of switches, holds and workspaces say. Nothing is written here."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.conf import settings
from django.db.models import Q

from revfirst.words import Note, in_words, when
from workspaces.models import (
    Alarm,
    AuditChain,
    AuditEvent,
    SystemHold,
    SystemSwitch,
    User,
    Workspace,
)
from workspaces.policy import policy_of
from workspaces.services import is_operator, is_system_operator, kill_switch, last_press
from workspaces.services.policy import LIMITS
from workspaces.services.switches import CONTAINED

_KINDS = {"command": "a command on the host", "worker": "the worker", "": "nobody knows whom"}
_HAPPENED = {
    "kill_switch.on": "turned on",
    "kill_switch.on_again": "turned on, which it was",
    "kill_switch.off": "turned off",
    "workspace.create": "made",
    "workspace.pause": "paused",
    "workspace.resume": "resumed",
    "workspace.contain": "contained",
    "workspace.lift_containment": "containment lifted",
    "workspace.policy": "policy changed",
    "workspace.posting_plan": "plan of own posts changed",
}

_WITH_CHANGES = ("workspace.policy", "workspace.posting_plan")


def person(actor: str) -> str:
    """Whom a row's `user:7` means, or which program."""
    kind, _, pk = actor.partition(":")
    if kind == "user" and pk.isdecimal():
        user = User.objects.filter(pk=int(pk)).first()
        return str(user) if user else f"somebody who is no longer here (number {pk})"
    return _KINDS.get(actor, actor)


def switch_page(user: User, now: datetime) -> dict[str, Any]:
    """Everything that the kill switch's page says and offers."""
    switch = SystemSwitch.objects.filter(name="kill_switch").first()
    return {
        "switch": switch,
        "is_on": switch is not None and switch.on,
        "seen": last_press(switch) if switch and switch.on else "",
        "since": when(switch.changed_at, now) if switch else "",
        "by": person(switch.changed_by) if switch else "",
        "holds": SystemHold.objects.filter(lifted_at=None).order_by("placed_at"),
        "may_turn": is_system_operator(user),
        "happened": happened(AuditChain.SYSTEM, Q(type__startswith="kill_switch.")),
    }


def hold_page(hold: SystemHold, user: User, now: datetime) -> dict[str, Any]:
    """Everything that a system hold's page says and offers."""
    facts = [
        ("Why", hold.reason),
        ("Placed", f"{when(hold.placed_at, now)}, by {person(hold.placed_by)}"),
    ]
    if hold.lifted_at:
        lifted = f"{when(hold.lifted_at, now)}, by {person(hold.lifted_by)}"
        facts += [("Lifted", lifted), ("Why it was lifted", hold.lifted_reason)]
    return {
        "state": hold_state(hold),
        "facts": facts,
        "may_lift": hold.lifted_at is None and is_system_operator(user),
    }


def hold_state(hold: SystemHold) -> Note:
    """Whether it stands."""
    if hold.lifted_at:
        return Note("quiet", "lifted", "It stops nobody any more.")
    return Note("bad", "stands", "Nothing is published in any workspace until it is lifted.")


def workspace_page(workspace: Workspace, user: User, now: datetime) -> dict[str, Any]:
    """Everything that the workspace's page says and offers."""
    operates, notes = is_operator(user, workspace), _notes(workspace, now)
    return {
        "state": workspace_state(workspace) if not notes else notes[0],
        "notes": notes,
        "alarms": _alarms(workspace),
        "limits": _limits(workspace),
        "four_eyes": workspace.four_eyes,
        "operates": operates,
        "may_pause": operates and workspace.paused_at is None,
        "may_resume": operates and workspace.paused_at is not None,
        "may_lift": operates and workspace.contained_at is not None,
        "lifted": when(workspace.containment_lifted_at, now)
        if workspace.containment_lifted_at
        else "",
        "happened": happened(str(workspace.pk), Q(subject="workspace")),
    }


def workspace_state(workspace: Workspace) -> Note:
    """Whether the workspace itself lets anything out, in one word."""
    if workspace.paused_at:
        return Note("wait", "paused", workspace.paused_reason)
    if workspace.contained_at:
        return Note("bad", "contained", workspace.contained_reason)
    return Note("good", "may publish", "")


def stops_of_everybody(now: datetime) -> list[Note]:
    """The kill switch and the system holds that stand."""
    notes, nothing = [], "Nothing is published in any workspace since"
    if switch := kill_switch():
        told = f"{nothing} {when(switch.changed_at, now)}: {switch.reason}"
        notes.append(Note("bad", "kill switch", told))
    for hold in SystemHold.objects.filter(lifted_at=None).order_by("placed_at"):
        told = f"{nothing} {when(hold.placed_at, now)}: {hold.reason}"
        notes.append(Note("bad", f"hold: {in_words(hold.kind)}", told))
    return notes


def _notes(workspace: Workspace, now: datetime) -> list[Note]:
    """Whatever keeps the workspace from publishing, what stops everybody first."""
    notes = stops_of_everybody(now)
    if workspace.paused_at:
        told = f"Since {when(workspace.paused_at, now)}, by {person(workspace.paused_by)}: {workspace.paused_reason}"
        notes.append(Note("wait", "paused", told))
    if workspace.contained_at:
        told = f"Since {when(workspace.contained_at, now)}: {workspace.contained_reason}"
        notes.append(Note("bad", "contained", told))
    return notes


def _alarms(workspace: Workspace) -> list[Note]:
    """What else somebody has to look at; the containment is told already."""
    rows = Alarm.objects.filter(workspace=workspace, over_at=None).exclude(kind=CONTAINED)
    return [Note("bad", in_words(row.kind), row.detail) for row in rows.order_by("raised_at")]


def _limits(workspace: Workspace) -> list[dict[str, Any]]:
    """Each limit with the system's number, the workspace's, and the one that holds."""
    policy = policy_of(workspace)
    held = {
        "approval_ttl_hours": int(policy.approval_ttl.total_seconds()) // 3600,
        "thread_cooldown_minutes": int(policy.thread_cooldown.total_seconds()) // 60,
        "author_cooldown_minutes": int(policy.author_cooldown.total_seconds()) // 60,
        "max_replies_per_hour": policy.replies_per_hour,
        "max_replies_per_day": policy.replies_per_day,
        "max_consecutive_failures": policy.consecutive_failures,
        "daily_budget_usd": policy.daily_budget_usd,
        "monthly_budget_usd": policy.monthly_budget_usd,
    }
    return [
        {
            "name": name,
            "words": limit.words,
            "unit": limit.unit,
            "system": getattr(settings, limit.setting) if limit.setting else None,
            "own": getattr(workspace, name),
            "held": held[name],
        }
        for name, limit in LIMITS.items()
    ]


def happened(chain: str, which: Q) -> list[dict[str, Any]]:
    """The last ten such things that the chain tells of."""
    events = AuditEvent.objects.filter(which, chain=chain).order_by("-seq")
    return [
        {
            "at": event.at,
            "what": _HAPPENED.get(event.type, event.type),
            "by": person(event.actor),
            "door": event.door if event.actor.startswith("user:") else "",
            "changes": _changes(event.data) if event.type in _WITH_CHANGES else "",
        }
        for event in events[:10]
    ]


def _changes(data: dict[str, Any]) -> str:
    """Old and new of each part of a policy or plan that changed."""
    return "; ".join(
        f"{in_words(name)}: {_number(old)} → {_number(new)}"
        for name, (old, new) in sorted(data.items())
    )


def _number(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return "–" if value is None else str(value)

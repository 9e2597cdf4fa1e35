"""Alarms: rows that tell a person to look. Whoever sends them on reads the rows."""

from datetime import datetime

from workspaces.models import Alarm, Workspace


def raise_alarm(
    kind: str, *, detail: str, now: datetime, workspace: Workspace | None = None
) -> None:
    """Open an alarm, unless such a one is open.

    Call it in the transaction of the change that it tells of, which is what the audit log has.
    """
    alarm = Alarm(kind=kind, workspace=workspace, detail=detail[:200], raised_at=now)
    Alarm.objects.bulk_create([alarm], ignore_conflicts=True)


def end_alarms(*kinds: str, now: datetime, workspace: Workspace | None = None) -> int:
    """What the alarms of these kinds told of is over; returns how many were open."""
    return Alarm.objects.filter(kind__in=kinds, workspace=workspace, over_at=None).update(
        over_at=now
    )

"""The spend ledger: a row for each call that X charges for, and the totals by workspace, UTC day and kind."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from revfirst.db import one_row
from workspaces import audit
from workspaces.actors import Actor
from workspaces.counters import Count
from workspaces.models import Workspace
from workspaces.services import holding_nobody_up
from x_integration.models import BilledRead
from x_integration.prices import POST_READ, USER_READ, price, utc_day

_BILLED_READS_KEPT = timedelta(days=2)
# One statement: the day's total and the row of the call are written together, or not at all.
_CHARGE = """added AS (
        INSERT INTO x_integration_spend AS spend (workspace_id, day, kind, calls, usd)
        SELECT %(workspace)s, %(day)s, %(kind)s, 1, units * %(unit_usd)s::numeric
        FROM charge WHERE units > 0
        ON CONFLICT (workspace_id, day, kind)
        DO UPDATE SET calls = spend.calls + 1, usd = spend.usd + EXCLUDED.usd
    ), told AS (
        INSERT INTO x_integration_pricedcall
            (workspace_id, at, day, kind, units, unit_usd, usd, subject)
        SELECT %(workspace)s, %(at)s, %(day)s, %(kind)s, units, %(unit_usd)s::numeric,
            units * %(unit_usd)s::numeric, %(subject)s
        FROM charge WHERE units > 0
    )
    SELECT units * %(unit_usd)s::numeric FROM charge"""
_ADD = f"WITH charge AS (SELECT 1 AS units), {_CHARGE}"
# In the order of the things, so that no two readers of the same ones wait for each other.
_ADD_READS = f"""WITH billed AS (
        INSERT INTO x_integration_billedread (day, thing)
        SELECT %(day)s, thing FROM unnest(%(things)s::text[]) AS thing ORDER BY thing
        ON CONFLICT DO NOTHING RETURNING 1
    ), charge AS (
        SELECT count(*) AS units FROM billed
    ), {_CHARGE}"""  # noqa: S608 - our own words; values travel apart


@dataclass(frozen=True)
class Charge:
    """What X charged for one call: for its audit row, and for the counter beside it."""

    kind: str
    usd: Decimal

    @property
    def data(self) -> dict[str, str]:
        """What the audit row says of it; nothing where nothing was charged."""
        return {"spend": self.kind, "usd": str(self.usd)} if self.usd else {}

    @property
    def counts(self) -> list[Count]:
        """What the counter adds."""
        return [Count("x_spend_usd_total", {"kind": self.kind}, self.usd)] if self.usd else []


def record_spend(
    workspace: Workspace, kind: str, usd: Decimal, *, subject: str, now: datetime
) -> None:
    """Add one call of `kind`, at its price, to the ledger; in the transaction that settles it.

    Call it before the audit row, whose `usd` and `kind` say the same.
    """
    one_row(_ADD, _told(workspace, kind, subject, now) | {"unit_usd": usd})


def record_post_reads(
    workspace: Workspace, post_ids: Iterable[str], *, subject: str, now: datetime
) -> Charge:
    """Add one call that showed these posts; X charges for each of them once on a UTC day.

    In the transaction that stores them, before the audit row, which says the same (`Charge.data`).
    """
    things = [f"post:{post_id}" for post_id in post_ids]
    return _record_reads(workspace, POST_READ, things, subject=subject, now=now)


def record_user_read(
    workspace: Workspace, x_user_id: str, *, subject: str, now: datetime
) -> Charge:
    """Add one call that showed this user; as `record_post_reads`."""
    things = [f"user:{x_user_id}"]
    return _record_reads(workspace, USER_READ, things, subject=subject, now=now)


def charge_look(
    workspace: Workspace, post_ids: Iterable[str], *, subject: str, actor: Actor, now: datetime
) -> None:
    """Put into ledger and audit log what a look at our own timeline cost; no budget stops one.

    Raises Busy.
    """
    with holding_nobody_up():
        charge = record_post_reads(workspace, post_ids, subject=subject, now=now)
        if charge.usd:
            audit.record(
                "posts.look",
                workspace=workspace,
                subject="account",
                actor=actor,
                now=now,
                data={"of": subject, **charge.data},
                counts=charge.counts,
            )


def charge_user_read(workspace: Workspace, x_user_id: str, *, actor: Actor, now: datetime) -> None:
    """The same for a call that told whose token it is, and of which nothing else is kept. Raises Busy."""
    with holding_nobody_up():
        charge = record_user_read(workspace, x_user_id, subject="account", now=now)
        if charge.usd:
            audit.record(
                "account.look_up",
                workspace=workspace,
                subject="account",
                actor=actor,
                now=now,
                data=charge.data,
                counts=charge.counts,
            )


def forget_billed_reads(*, now: datetime) -> int:
    """Delete what was charged for on days that are over; returns how many rows."""
    over = BilledRead.objects.filter(day__lt=utc_day(now - _BILLED_READS_KEPT))
    return over.delete()[0]


def _record_reads(
    workspace: Workspace, kind: str, things: list[str], *, subject: str, now: datetime
) -> Charge:
    told = _told(workspace, kind, subject, now)
    told |= {"unit_usd": price(kind, on=utc_day(now)), "things": things}
    return Charge(kind, *one_row(_ADD_READS, told))


def _told(workspace: Workspace, kind: str, subject: str, now: datetime) -> dict[str, object]:
    day = utc_day(now)
    return {"workspace": workspace.pk, "at": now, "day": day, "kind": kind, "subject": subject}

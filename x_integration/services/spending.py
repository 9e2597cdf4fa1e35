"""The spend ledger: what X charges for each call, added up by workspace, UTC day and kind."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from django.db import connection

from revfirst.db import one_row
from workspaces.counters import Count
from workspaces.models import Workspace
from x_integration.models import BilledRead
from x_integration.prices import POST_READ, price, utc_day

_BILLED_READS_KEPT = timedelta(days=2)
_ADD = """INSERT INTO x_integration_spend AS spend (workspace_id, day, kind, calls, usd)
    VALUES (%s, %s, %s, 1, %s)
    ON CONFLICT (workspace_id, day, kind)
    DO UPDATE SET calls = spend.calls + 1, usd = spend.usd + EXCLUDED.usd"""
# In the order of the things, so that no two readers of the same ones wait for each other.
_ADD_READS = """WITH billed AS (
        INSERT INTO x_integration_billedread (day, thing)
        SELECT %(day)s, thing FROM unnest(%(things)s::text[]) AS thing ORDER BY thing
        ON CONFLICT DO NOTHING RETURNING 1
    ), charge AS (
        SELECT count(*) * %(usd)s::numeric AS usd FROM billed
    ), added AS (
        INSERT INTO x_integration_spend AS spend (workspace_id, day, kind, calls, usd)
        SELECT %(workspace)s, %(day)s, %(kind)s, 1, usd FROM charge WHERE usd > 0
        ON CONFLICT (workspace_id, day, kind)
        DO UPDATE SET calls = spend.calls + 1, usd = spend.usd + EXCLUDED.usd
    )
    SELECT usd FROM charge"""


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


def record_spend(workspace: Workspace, kind: str, usd: Decimal, *, now: datetime) -> None:
    """Add one call of `kind` to the day's row; in the transaction that settles or stores it.

    Call it before the audit row, whose `usd` and `kind` say the same.
    """
    with connection.cursor() as cursor:
        cursor.execute(_ADD, [workspace.pk, utc_day(now), kind, usd])


def record_post_reads(workspace: Workspace, post_ids: Iterable[str], *, now: datetime) -> Charge:
    """Add one call that showed these posts; X charges for each of them once on a UTC day.

    In the transaction that stores them, before the audit row, which says the same (`Charge.data`).
    """
    told = {
        "workspace": workspace.pk,
        "day": utc_day(now),
        "kind": POST_READ,
        "usd": price(POST_READ, on=utc_day(now)),
        "things": [f"post:{post_id}" for post_id in post_ids],
    }
    return Charge(POST_READ, one_row(_ADD_READS, told)[0])


def forget_billed_reads(*, now: datetime) -> int:
    """Delete what was charged for on days that are over; returns how many rows."""
    removed, _ = BilledRead.objects.filter(day__lt=utc_day(now - _BILLED_READS_KEPT)).delete()
    return removed

"""The spend ledger: what X charges for each call, added up by workspace, UTC day and kind."""

from datetime import UTC, datetime
from decimal import Decimal

from django.db.models import F

from workspaces.models import Workspace
from x_integration.models import Spend

POST_READ, POST_READ_USD = (
    "post_read",
    Decimal("0.005"),
)  # of 22 August 2026 (docs/X-API.md, Prices)


def record_spend(workspace: Workspace, kind: str, usd: Decimal, *, now: datetime) -> None:
    """Add one call of `kind` to the day's row; in the transaction that settles or stores it.

    Call it before the audit row, whose `usd` and `kind` say the same.
    """
    day = now.astimezone(UTC).date()
    found = Spend.objects.filter(workspace=workspace, day=day, kind=kind)
    if not found.update(calls=F("calls") + 1, usd=F("usd") + usd):
        row = Spend(workspace=workspace, day=day, kind=kind)
        Spend.objects.bulk_create([row], ignore_conflicts=True)
        found.update(calls=F("calls") + 1, usd=F("usd") + usd)

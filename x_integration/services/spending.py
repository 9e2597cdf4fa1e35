"""The spend ledger: what X charges for each call, added up by workspace, UTC day and kind."""

from datetime import UTC, datetime
from decimal import Decimal

from django.db import connection

from workspaces.models import Workspace

POST_READ, POST_READ_USD = "post_read", Decimal("0.005")
"""Of one post by its id, as of 22 August 2026 (docs/X-API.md, Limits and prices)."""
_ADD = """INSERT INTO x_integration_spend AS spend (workspace_id, day, kind, calls, usd)
    VALUES (%s, %s, %s, 1, %s)
    ON CONFLICT (workspace_id, day, kind)
    DO UPDATE SET calls = spend.calls + 1, usd = spend.usd + EXCLUDED.usd"""


def record_spend(workspace: Workspace, kind: str, usd: Decimal, *, now: datetime) -> None:
    """Add one call of `kind` to the day's row; in the transaction that settles or stores it.

    Call it before the audit row, whose `usd` and `kind` say the same.
    """
    day = now.astimezone(UTC).date()
    with connection.cursor() as cursor:
        cursor.execute(_ADD, [workspace.pk, day, kind, usd])

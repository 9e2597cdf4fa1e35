"""Many connected accounts in a moment: each its own workspace, person at X and live grant."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from math import floor

from django.db import connection
from django.utils import timezone

from workspaces.models import Workspace
from x_integration.client import TokenPair
from x_integration.models import XAccount
from x_integration.services.pairs import token_columns
from x_integration.simulator.process import SimulatorProcess

AT_ONCE = 1000  # rows


def seed_accounts(simulator: SimulatorProcess, expiries: Mapping[int, datetime]) -> None:
    """An account for every key, which will be its primary key, whose token expires at the value."""
    now = timezone.now()
    wanted = [
        {"username": f"bench{pk}", "expires_in": floor((at - now).total_seconds())}
        for pk, at in expiries.items()
    ]
    granted = simulator.control("POST", "/grants/bulk", {"grants": wanted})
    workspaces = [
        Workspace(slug=f"bench-{pk}", name=f"Bench {pk}", created_at=now) for pk in expiries
    ]
    accounts = [
        XAccount(
            pk=pk,
            workspace=workspace,
            x_user_id=pair["user_id"],
            username=pair["username"],
            connected_at=now,
            token_version=1,
            **{**_columns(pair, now), "expires_at": at},
        )
        for (pk, at), workspace, pair in zip(expiries.items(), workspaces, granted, strict=True)
    ]
    Workspace.objects.bulk_create(workspaces, batch_size=AT_ONCE)
    XAccount.objects.bulk_create(accounts, batch_size=AT_ONCE)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")  # autovacuum would, a minute later


def _columns(pair: Mapping[str, str], now: datetime) -> dict[str, object]:
    granted = TokenPair(
        access_token=pair["access_token"],
        refresh_token=pair["refresh_token"],
        expires_in=timedelta(0),
        scope=pair["scope"],
        token_type=pair["token_type"],
    )
    return token_columns(granted, now=now)

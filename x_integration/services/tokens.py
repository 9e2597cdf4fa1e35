"""Access tokens: handed out while they live, renewed once at a time, never overwritten by older ones.

X's refresh tokens are single-use: two renewals at once kill the connection. Whoever renews holds a
lease on the row (a guarded UPDATE); the new pair is stored only where `token_version` is still the
one that was read, and before it is used.
"""

from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q

from workspaces import audit
from workspaces.actors import Actor
from workspaces.counters import Count
from workspaces.models import Workspace
from workspaces.services import check_operator
from x_integration.client import TokenPair, XClient
from x_integration.errors import NoAccessToken, Undecryptable, XGrantRefused, XReadFailed
from x_integration.models import XAccount
from x_integration.services.connect import token_columns

LEASE = timedelta(seconds=120)
RENEW_AHEAD = timedelta(minutes=15)


def get_workspace_x_access_token(
    workspace: Workspace, *, now: datetime, x: XClient | None = None
) -> str | None:
    """A live access token, renewed when it is about to expire; None when none can be had.

    When the renewal fails, a token that is still valid is good enough.
    """
    account = XAccount.objects.filter(workspace=workspace, revoked_at=None).first()
    if account is None:
        return None
    fresh_until = now + timedelta(seconds=settings.X_REFRESH_SKEW_SECONDS)
    if not account.access_token_valid(fresh_until):
        refresh_workspace_x_tokens(workspace, now=now, x=x)
        account = XAccount.objects.get(pk=account.pk)
    if account.revoked_at is not None or not account.access_token_valid(now):
        return None
    return account.access_token.open() if account.access_token else None


def require_workspace_x_access_token(
    workspace: Workspace, *, now: datetime, x: XClient | None = None
) -> str:
    """As `get_workspace_x_access_token`, but raises NoAccessToken."""
    token = get_workspace_x_access_token(workspace, now=now, x=x)
    if token is None:
        raise NoAccessToken
    return token


def refresh_workspace_x_tokens(
    workspace: Workspace, *, now: datetime, x: XClient | None = None
) -> str:
    """Renew the pair now; returns the outcome that is counted in `x_token_refresh_total`."""
    account = XAccount.objects.filter(workspace=workspace, revoked_at=None).first()
    if account is None or account.refresh_token is None:
        return "skipped_no_refresh_token"
    if not settings.X_AUTO_REFRESH_ENABLED:
        return "skipped_disabled"
    if not account.can_auto_refresh or not _take_lease(account, now=now):
        return "skipped_locked"
    return _renew(account, x=x or XClient(), now=now)


def _take_lease(account: XAccount, *, now: datetime) -> bool:
    free = Q(refresh_leased_until=None) | Q(refresh_leased_until__lte=now)
    row = XAccount.objects.filter(free, pk=account.pk, token_version=account.token_version)
    return bool(row.filter(revoked_at=None).update(refresh_leased_until=now + LEASE))


def _renew(account: XAccount, *, x: XClient, now: datetime) -> str:
    try:
        pair = x.refresh_token(account.refresh_token.open() if account.refresh_token else "")
    except XGrantRefused:
        return _settle(account, "refused", now=now)
    except (XReadFailed, Undecryptable) as error:
        return _settle(account, "unknown", now=now, error=error.code)
    return _settle(account, "success", now=now, pair=pair)


def _settle(
    account: XAccount,
    outcome: str,
    *,
    now: datetime,
    pair: TokenPair | None = None,
    error: str = "",
) -> str:
    """Store what came of the renewal, if nobody stored a newer pair or revoked in the meantime."""
    columns: dict[str, Any] = {
        "refresh_leased_until": None,
        "last_refresh_error": error,
        "updated_at": now,
    }
    if outcome == "refused":
        columns |= {"reauthorization_required_at": now, "last_refresh_error": "refused"}
    if pair is not None:
        columns |= token_columns(pair, now=now)
        columns |= {"token_version": F("token_version") + 1, "last_refresh_at": now}
    with transaction.atomic(durable=True):
        row = XAccount.objects.filter(pk=account.pk, token_version=account.token_version)
        stored = row.filter(revoked_at=None).update(**columns)
        audit.record(
            "token.refresh",
            workspace=account.workspace,
            subject="account",
            actor=Actor.worker(),
            now=now,
            data={"outcome": outcome, "stored": bool(stored), "was": account.token_version},
            counts=[Count("x_token_refresh_total", {"outcome": outcome})],
        )
    return outcome


def due_for_renewal(now: datetime) -> list[XAccount]:
    """Connected accounts whose token expires soon, the most urgent first."""
    return list(
        XAccount.objects.filter(
            expires_at__lte=now + RENEW_AHEAD,
            revoked_at=None,
            reauthorization_required_at=None,
            refresh_token__isnull=False,
        )
        .exclude(refresh_leased_until__gt=now)
        .select_related("workspace")
        .order_by("expires_at")
    )


def revoke_workspace_x_tokens(
    workspace: Workspace, *, actor: Actor, now: datetime, x: XClient | None = None
) -> bool:
    """Forget the tokens here, then tell X; says whether X confirmed. Raises NotAllowed.

    Ours go first: whatever X answers, nothing of ours uses them any more.
    """
    if actor.user:
        check_operator(actor.user, workspace)
    with transaction.atomic(durable=True):
        account = XAccount.objects.select_for_update().filter(workspace=workspace).first()
        if account is None or account.revoked_at is not None:
            return False
        held = [account.refresh_token, account.access_token]
        XAccount.objects.filter(pk=account.pk).update(
            revoked_at=now,
            access_token=None,
            refresh_token=None,
            refresh_leased_until=None,
            updated_at=now,
        )
        audit.record("account.revoke", workspace=workspace, subject="account", actor=actor, now=now)
    client = x or XClient()
    try:
        for secret in filter(None, held):
            client.revoke_token(secret.open())
    except (XReadFailed, Undecryptable):
        return False
    return True

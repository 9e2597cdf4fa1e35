"""Connecting an account: OAuth 2.0 with PKCE (docs/X-API.md, Connecting)."""

from __future__ import annotations

import hashlib
import secrets
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NoReturn
from urllib.parse import urlencode

from django.conf import settings
from django.db import IntegrityError, transaction

from workspaces import audit
from workspaces.actors import Actor
from workspaces.models import User, Workspace
from workspaces.services import check_operator
from x_integration.client import TokenPair, XClient
from x_integration.crypto import Secret, keyed_hash
from x_integration.errors import ConnectFailed
from x_integration.models import OAuthState, XAccount

DEFAULT_SCOPE = "tweet.read tweet.write users.read offline.access"
STATE_LIFE = timedelta(minutes=10)


@dataclass(frozen=True)
class Authorization:
    """Where to send the person, and what comes back with them."""

    authorize_url: str = field(repr=False)  # the state stands in it
    state: str = field(repr=False)
    expires_in: int
    scope: str


def begin_authorization(workspace: Workspace, *, user: User, now: datetime) -> Authorization:
    """Start connecting the workspace's account. Raises WorkspaceNotFound or NotAllowed."""
    check_operator(user, workspace)
    state, verifier = secrets.token_urlsafe(32), secrets.token_urlsafe(64)
    OAuthState.objects.create(
        state_hash=_digest(state),
        workspace=workspace,
        user=user,
        code_verifier=Secret.seal(verifier),
        created_at=now,
        expires_at=now + STATE_LIFE,
    )
    challenge = urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    query = {
        "response_type": "code",
        "client_id": settings.X_CLIENT_ID,
        "redirect_uri": settings.X_REDIRECT_URI,
        "scope": DEFAULT_SCOPE,
        "state": state,
        "code_challenge": challenge,
        "code_challenge_method": "S256",
    }
    url = f"{settings.X_AUTHORIZE_URL}?{urlencode(query)}"
    return Authorization(url, state, int(STATE_LIFE.total_seconds()), DEFAULT_SCOPE)


def complete_authorization(
    *, state: str, code: str, x: XClient, now: datetime, visitor: User | None = None
) -> XAccount:
    """Exchange the code and store the account. Raises ConnectFailed, NotAllowed or XReadFailed.

    The state is used up before X is asked, whatever comes of it. `visitor` is who is signed in at
    the browser that came back, if anybody is: somebody else's link must not connect their account.
    """
    row = _take_state(state, now=now)
    check_operator(row.user, row.workspace)
    if visitor is not None and visitor.pk != row.user_id:
        _refuse(row, "another_person", "somebody else began this connection", now=now)
    if not code:
        _refuse(row, "consent_denied", "consent was not given", now=now)
    pair = x.exchange_code(code, verifier=row.code_verifier.open() if row.code_verifier else "")
    if XAccount.PUBLISH_SCOPE not in pair.scope.split():
        _refuse(row, "missing_scope", f"X did not grant {XAccount.PUBLISH_SCOPE}", now=now)
    x_user_id, username = x.me(pair.access_token)
    try:
        return _store(row, pair, x_user_id=x_user_id, username=username, now=now)
    except IntegrityError:
        why = "this X account is connected in another workspace"
        _refuse(row, "live_elsewhere", why, now=now)
    except _AnotherAccount as error:
        why = f"this workspace belongs to @{error}, and somebody else signed in"
        _refuse(row, "another_account", why, now=now)


def _take_state(state: str, *, now: datetime) -> OAuthState:
    found = OAuthState.objects.filter(state_hash=_digest(state))
    if not found.filter(used_at=None, expires_at__gt=now).update(used_at=now):
        raise ConnectFailed("This connection attempt is unknown, used or expired: start again.")
    return found.select_related("workspace", "user").get()


class _AnotherAccount(Exception):
    """Somebody signed in at X as another account than the workspace's."""


def _refuse(row: OAuthState, code: str, why: str, *, now: datetime) -> NoReturn:
    with transaction.atomic(durable=True):
        audit.record(
            "account.connect_refused",
            workspace=row.workspace,
            subject="account",
            actor=Actor.operator(row.user, door="api"),
            now=now,
            data={"reason": code},
        )
    raise ConnectFailed(f"The account was not connected: {why}.")


def _store(
    row: OAuthState, pair: TokenPair, *, x_user_id: str, username: str, now: datetime
) -> XAccount:
    with transaction.atomic(durable=True):
        Workspace.objects.select_for_update(no_key=True).get(pk=row.workspace_id)
        before = XAccount.objects.select_for_update().filter(workspace=row.workspace).first()
        if before and before.x_user_id != x_user_id:
            raise _AnotherAccount(before.username)
        account, _ = XAccount.objects.update_or_create(
            workspace=row.workspace,
            defaults={
                "x_user_id": x_user_id,
                "username": username,
                "connected_at": now,
                "token_version": before.token_version + 1 if before else 1,
                "refresh_leased_until": None,
                "last_refresh_error": "",
                "revoked_at": None,
                **token_columns(pair, now=now),
            },
        )
        audit.record(
            "account.connect",
            workspace=row.workspace,
            subject="account",
            actor=Actor.operator(row.user, door="api"),
            now=now,
            data={"token_version": account.token_version, "scope": _asked_and_granted(pair)},
        )
    return account


def _asked_and_granted(pair: TokenPair) -> str:
    """Words of ours that X granted: the audit log keeps none of X's."""
    granted = pair.scope.split()
    return " ".join(word for word in DEFAULT_SCOPE.split() if word in granted)


def token_columns(pair: TokenPair, *, now: datetime) -> dict[str, Any]:
    """The columns that a new pair changes; a missing refresh token leaves the stored one alone."""
    columns: dict[str, Any] = {
        "access_token": Secret.seal(pair.access_token),
        "access_token_hash": keyed_hash(pair.access_token),
        "expires_at": now + pair.expires_in,
        "token_type": pair.token_type,
        "reauthorization_required_at": None,
        "updated_at": now,
    }
    if pair.scope:
        columns["scope"] = pair.scope
    if pair.refresh_token:
        columns["refresh_token"] = Secret.seal(pair.refresh_token)
        columns["refresh_token_hash"] = keyed_hash(pair.refresh_token)
    return columns


def _digest(state: str) -> str:
    return hashlib.sha256(state.encode()).hexdigest()

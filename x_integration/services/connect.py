"""Connecting an account: OAuth 2.0 with PKCE (docs/X-API.md, Connecting)."""

from __future__ import annotations

import hashlib
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.db import DatabaseError, IntegrityError, OperationalError, transaction

from revfirst.db import wait_for_locks_at_most
from revfirst.errors import RevFirstError
from revfirst.wait import wait_until
from workspaces import audit
from workspaces.actors import Actor
from workspaces.models import AuditChain, AuditEvent, User, Workspace
from workspaces.services import (
    LOCK_SECONDS_OF_OTHERS,
    LOCK_SECONDS_WITH_A_WORKSPACE,
    check_operator,
    end_alarms,
)
from x_integration.client import TokenPair, XClient
from x_integration.crypto import Secret
from x_integration.errors import ConnectFailed, XUnauthorized
from x_integration.models import OAuthState, XAccount
from x_integration.services.accounts import ACCOUNT_HELD
from x_integration.services.pairs import token_columns
from x_integration.services.renewal import OF_THE_TOKENS, revoke_at_x
from x_integration.services.spending import charge_user_read, record_user_read

DEFAULT_SCOPE = "tweet.read tweet.write users.read offline.access"
STATE_LIFE = timedelta(minutes=10)
REFUSALS_PER_MINUTE = 30
_KEEP_SECONDS = 8.0


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

    The state is used up before X is asked, whatever comes of it, and every try that fails is audited.
    `visitor` is who is signed in at the browser that came back, if anybody is: somebody else's link
    must not connect their account.
    """
    row = _take_state(state, now=now)
    try:
        return _complete(row, code, x=x, now=now, visitor=visitor)
    except RevFirstError as error:
        _audit_refusal(error.code, row, now=now)
        raise
    except Exception:
        with suppress(DatabaseError):
            _audit_refusal("error", row, now=now)
        raise


def _complete(
    row: OAuthState, code: str, *, x: XClient, now: datetime, visitor: User | None
) -> XAccount:
    check_operator(row.user, row.workspace)
    if visitor is not None and visitor.pk != row.user_id:
        raise _failed("another_person", "somebody else began this connection")
    if not code:
        raise _failed("consent_denied", "consent was not given at X")
    pair = x.exchange_code(code, verifier=row.code_verifier.open() if row.code_verifier else "")
    if not pair.scope:  # it may be left out where it is what was asked for (RFC 6749, 5.1)
        pair = replace(pair, scope=DEFAULT_SCOPE)
    if XAccount.PUBLISH_SCOPE not in pair.scope.split():
        raise _failed("missing_scope", f"X did not grant {XAccount.PUBLISH_SCOPE}")
    x_user_id, username = x.me(pair.access_token)
    store = partial(_store, row, pair, x_user_id=x_user_id, username=username, now=now)
    try:
        return _stored(store, pair, x_user_id=x_user_id, username=username, x=x)
    except Exception:
        with suppress(RevFirstError, DatabaseError):  # X has charged for it all the same
            charge_user_read(row.workspace, x_user_id, actor=_who(row), now=now)
        raise


def _stored(
    store: Callable[[], XAccount], pair: TokenPair, *, x_user_id: str, username: str, x: XClient
) -> XAccount:
    """The account, connected. Raises ConnectFailed for one that must not be."""
    try:
        return _in_spite_of_locks(store)
    except _AnotherAccount as error:
        if not XAccount.objects.live().filter(x_user_id=x_user_id).exists():
            revoke_at_x(x, pair.refresh_token, pair.access_token)  # nobody here will use them
        why = f"this workspace belongs to @{error}, and @{username} signed in at X"
        raise _failed("another_account", why) from None
    except IntegrityError as error:
        if "x_account_live_once" not in str(error):
            raise
        why = "this X account is connected in another workspace; disconnect it there first"
        raise _failed("live_elsewhere", why) from None


class _AnotherAccount(Exception):
    """Somebody signed in at X as another account than the workspace's."""


def _failed(code: str, why: str) -> ConnectFailed:
    return ConnectFailed(f"The account was not connected: {why}.", code=code)


def _take_state(state: str, *, now: datetime) -> OAuthState:
    """Use the state up. Raises ConnectFailed, audited, for one that is unknown, used or too old."""
    found = OAuthState.objects.filter(state_hash=_digest(state)).select_related("workspace", "user")
    if found.filter(used_at=None, expires_at__gt=now).update(used_at=now):
        return found.get()
    row = found.first()
    if row is None:
        error = _failed("unknown_state", "this attempt is unknown; start again")
    elif row.used_at:
        error = _failed("used_state", "this attempt was used already; start again")
    else:
        error = _failed("expired_state", "this attempt is older than ten minutes; start again")
    _audit_refusal(error.code, row, now=now)
    raise error


def _audit_refusal(code: str, row: OAuthState | None, *, now: datetime) -> None:
    """Who failed to connect what, and why; a state that nobody made belongs to the system's log.

    Strangers may send us as many as they like: of a minute, `REFUSALS_PER_MINUTE` are kept.
    """
    chain = str(row.workspace_id) if row else AuditChain.SYSTEM
    if _refusals(chain, since=now - timedelta(minutes=1)) >= REFUSALS_PER_MINUTE:
        return
    with transaction.atomic(durable=True):
        wait_for_locks_at_most(LOCK_SECONDS_OF_OTHERS)
        audit.record(
            "account.connect_refused",
            workspace=row.workspace if row else None,
            subject="account",
            actor=_who(row) if row else Actor("stranger", "api"),
            now=now,
            data={"reason": code},
        )


def _refusals(chain: str, *, since: datetime) -> int:
    refused = AuditEvent.objects.filter(chain=chain, type="account.connect_refused")
    return refused.filter(at__gt=since).count()


def forget_old_states(*, now: datetime) -> int:
    """Remove attempts to connect that ended a day ago or more; returns how many."""
    removed, _ = OAuthState.objects.filter(expires_at__lt=now - timedelta(days=1)).delete()
    return removed


def _in_spite_of_locks(store: Callable[[], XAccount]) -> XAccount:
    """Store the pair, which comes once; while a row is held that it needs, again, for a few seconds."""
    stored, failed = list[XAccount](), list[OperationalError]()

    def done() -> bool:
        try:
            stored.append(store())
        except OperationalError as error:
            failed.append(error)
        return bool(stored)

    if not wait_until(done, seconds=_KEEP_SECONDS, every=0.2):
        raise failed[-1]
    return stored[0]


def _store(
    row: OAuthState, pair: TokenPair, *, x_user_id: str, username: str, now: datetime
) -> XAccount:
    with transaction.atomic(durable=True):
        wait_for_locks_at_most(LOCK_SECONDS_OF_OTHERS)
        Workspace.objects.select_for_update(no_key=True).get(pk=row.workspace_id)
        wait_for_locks_at_most(LOCK_SECONDS_WITH_A_WORKSPACE)
        before = XAccount.objects.select_for_update().filter(workspace=row.workspace).first()
        if before and before.x_user_id != x_user_id:
            raise _AnotherAccount(before.username)
        mended = before is not None and before.held_reason == XUnauthorized.code
        account, _ = XAccount.objects.update_or_create(
            workspace=row.workspace,
            defaults={
                "x_user_id": x_user_id,
                "username": username,
                "connected_at": now,
                "token_version": before.token_version + 1 if before else 1,
                "refresh_leased_until": None,
                "revoked_at": None,
                **({"held_at": None, "held_reason": ""} if mended else {}),
                **_without_refresh_token(pair),
                **token_columns(pair, now=now),
            },
        )
        end_alarms(*OF_THE_TOKENS, workspace=row.workspace, now=now)
        if mended:
            end_alarms(ACCOUNT_HELD, workspace=row.workspace, now=now)
        charge = record_user_read(row.workspace, x_user_id, subject="account", now=now)
        audit.record(
            "account.connect",
            workspace=row.workspace,
            subject="account",
            actor=_who(row),
            now=now,
            data={
                "token_version": account.token_version,
                "scope": _asked_and_granted(pair),
                "hold_lifted": mended,
                **charge.data,
            },
            counts=charge.counts,
        )
    return account


def _who(row: OAuthState) -> Actor:
    return Actor.operator(row.user, door="api")


def _without_refresh_token(pair: TokenPair) -> dict[str, Any]:
    """A new consent without a refresh token has none: the one before belongs to another consent."""
    return {} if pair.refresh_token else {"refresh_token": None, "refresh_token_hash": ""}


def _asked_and_granted(pair: TokenPair) -> str:
    """Words of ours that X granted: the audit log keeps none of X's."""
    granted = pair.scope.split()
    return " ".join(word for word in DEFAULT_SCOPE.split() if word in granted)


def _digest(state: str) -> str:
    return hashlib.sha256(state.encode()).hexdigest()

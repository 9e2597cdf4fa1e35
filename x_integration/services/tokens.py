"""Access tokens: handed out while they live, renewed when they are needed, given up for good."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, TypeVar

from django.conf import settings
from django.db import transaction
from django.db.models import Q

from revfirst.batch import Patience
from revfirst.clock import Clock, ticking
from revfirst.prepared import Prepared
from revfirst.wait import wait_out
from workspaces import audit
from workspaces.actors import Actor
from workspaces.models import Workspace
from workspaces.services import check_operator, end_alarms
from x_integration.client import XClient
from x_integration.crypto import Secret
from x_integration.errors import NoAccessToken, Undecryptable, XUnauthorized
from x_integration.models import XAccount
from x_integration.services.accounts import hold_account
from x_integration.services.bursts import burst_is_on, check_for_burst, note_unauthorized
from x_integration.services.rates import remember_rates
from x_integration.services.renewal import (
    OF_THE_TOKENS,
    attempt_renewal,
    note_skip,
    refresh_workspace_x_tokens,
    revoke_at_x,
    why_no_renewal,
)

WAIT_SECONDS = 30  # for whoever renews: a call of 25 s, and a margin
SHORT_WAIT_SECONDS = 2  # with a token in hand that still lives
_ASK_EVERY = 0.1  # seconds
Result = TypeVar("Result")


def get_workspace_x_access_token(
    workspace: Workspace, *, now: datetime, x: XClient | None = None, wait: bool = True
) -> str | None:
    """A live access token, renewed when it is about to expire; None when none can be had.

    Whoever finds somebody else renewing waits for them, at most `WAIT_SECONDS`, and uses their pair;
    the worker's tasks do not wait (`wait=False`). When nothing newer can be had, a token that is
    still valid is good enough.
    """
    clock, at = ticking(now), now
    while account := _live_account(workspace, at):
        fresh_until = at + timedelta(seconds=settings.X_REFRESH_SKEW_SECONDS)
        if account.access_token_valid(fresh_until) or not _may_renew(account, at):
            return _opened(account, at)
        outcome = "skipped_locked"
        if not account.renewal_is_leased(at):
            outcome = attempt_renewal(account, now=at, x=x)
        if outcome == "skipped_locked":
            note_skip(account, outcome, now=at)
            patience = SHORT_WAIT_SECONDS if account.access_token_valid(at) else WAIT_SECONDS
            if not wait or at > now + timedelta(seconds=patience):
                return _opened(account, at)
            wait_out(_ASK_EVERY)
        at = clock()
    return None


def require_workspace_x_access_token(
    workspace: Workspace, *, now: datetime, x: XClient | None = None, wait: bool = True
) -> str:
    """As `get_workspace_x_access_token`, but raises NoAccessToken."""
    token = get_workspace_x_access_token(workspace, now=now, x=x, wait=wait)
    if token is None:
        raise NoAccessToken
    return token


_LIVE_ACCOUNT = Prepared(
    lambda workspace_id, at: (
        XAccount.objects.live()
        .filter(workspace_id=workspace_id)
        .saying_if_free(at)
        .select_related("workspace")
    )
)


def _live_account(workspace: Workspace, at: datetime) -> Any:
    """The account, which knows in `is_free` whether it may be renewed; None when there is none."""
    return _LIVE_ACCOUNT.first(workspace_id=workspace.pk, at=at)


def _opened(account: XAccount, at: datetime) -> str | None:
    if account.access_token is None or not account.access_token_valid(at):
        return None
    return account.access_token.open()


def _may_renew(account: Any, at: datetime) -> bool:
    """Whether a renewal may bring a token now; what stands against it for good is noted once."""
    if account.renewal_is_leased(at):
        return True
    if why_not := why_no_renewal(account):
        if account.reauthorization_required_at is None:  # a refusal was told when it came
            note_skip(account, why_not, now=at)
        return False
    held = account.held_reason == XUnauthorized.code  # another token was tried already
    return bool(account.is_free and not held)


# --- when X does not accept one -------------------------------------------------------------------


def with_access_token(
    workspace: Workspace,
    call: Callable[[str], Result],
    *,
    x: XClient,
    actor: Actor,
    clock: Clock,
    patience: Patience | None = None,
) -> Result:
    """What `call` brings with a live token. One 401 leads to one renewal and one more call.

    For reading, which may be repeated. Never waits for somebody else's renewal, and begins none when
    `patience` is over. Raises NoAccessToken, XUnauthorized, and what `call` raises.
    """
    token = require_workspace_x_access_token(workspace, now=clock(), x=x, wait=False)
    try:
        return _remembering_rates(workspace, call, token, x=x, clock=clock)
    except XUnauthorized:
        fresh = token_after_unauthorized(
            workspace, token, x=x, actor=actor, clock=clock, patience=patience
        )
        if fresh is None:
            raise
    try:
        return _remembering_rates(workspace, call, fresh, x=x, clock=clock)
    except XUnauthorized:
        give_up_after_unauthorized(workspace, fresh, actor=actor, now=clock())
        raise


def _remembering_rates(
    workspace: Workspace, call: Callable[[str], Result], token: str, *, x: XClient, clock: Clock
) -> Result:
    x.take_rates()  # what is left of another account's
    try:
        return call(token)
    finally:
        rates, account = x.take_rates(), XAccount.objects.filter(workspace=workspace)
        if rates and (account_id := account.values_list("pk", flat=True).first()):
            remember_rates(account_id, rates, now=clock())


def token_after_unauthorized(
    workspace: Workspace,
    token: str,
    *,
    x: XClient,
    actor: Actor,
    clock: Clock,
    patience: Patience | None = None,
) -> str | None:
    """Another token than `token`, to which X answered 401: a newer one, or one renewed now.

    None when there is none, when `patience` is over, and when X answers 401 to everybody. A token
    that was renewed a moment ago and is not taken holds the account: another would not be either.
    """
    note_unauthorized(workspace, token, actor=actor, now=clock())
    account = _live_account(workspace, clock())
    if account is None or burst_is_on() or not (patience is None or patience.left()):
        return None
    if account.holds(token) and account.was_renewed_lately(clock()):
        give_up_after_unauthorized(workspace, token, actor=actor, now=clock())
        return None
    if account.holds(token):
        refresh_workspace_x_tokens(workspace, now=clock(), x=x)
        check_for_burst(actor=actor, now=clock())
        account.refresh_from_db()
    return None if account.holds(token) or account.revoked_at else _opened(account, clock())


def give_up_after_unauthorized(
    workspace: Workspace, token: str, *, actor: Actor, now: datetime
) -> None:
    """X answered 401 to a renewed token too: hold the account, unless X does so to everybody."""
    note_unauthorized(workspace, token, actor=actor, now=now)
    account = _live_account(workspace, now)
    if account is not None and account.holds(token) and not burst_is_on():
        # A newer pair is another's business, and a burst takes the rejection back.
        still = Q(token_version=account.token_version, access_token_rejected_at__isnull=False)
        hold_account(account, reason=XUnauthorized.code, actor=actor, now=now, only=still)


# --- for good -------------------------------------------------------------------------------------


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
            access_token_hash="",
            refresh_token=None,
            refresh_token_hash="",
            refresh_leased_until=None,
            updated_at=now,
        )
        end_alarms(*OF_THE_TOKENS, workspace=workspace, now=now)
        audit.record("account.revoke", workspace=workspace, subject="account", actor=actor, now=now)
    tokens = [_readable(secret) for secret in held]
    return revoke_at_x(x or XClient(), *tokens) and None not in tokens


def _readable(secret: Secret | None) -> str | None:
    """What is in it; blank for a token that never was, None for one that no key opens."""
    try:
        return secret.open() if secret else ""
    except Undecryptable:
        return None

"""Renewing tokens: once at a time, never with a token that is spent, never over a newer pair.

X's refresh tokens are single-use, and one that comes back kills the connection (docs/X-API.md,
Connecting). A lock in Redis keeps a stampede away; a lease on the row (a guarded UPDATE) and the
`token_version` that was read decide. The pair is stored before anybody uses it.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeVar

from django.conf import settings
from django.db import Error as DatabaseProblem
from django.db import OperationalError, connection, transaction
from django.utils import timezone

from revfirst.db import outside_transaction, wait_for_locks_at_most
from revfirst.errors import RevFirstError
from revfirst.wait import wait_out
from workspaces import audit
from workspaces.actors import Actor
from workspaces.counters import Count
from workspaces.models import AuditEvent
from workspaces.services import (
    LOCK_SECONDS_OF_OTHERS,
    check_operator,
    end_alarms,
    raise_alarm,
)
from x_integration.client import TokenPair, XClient
from x_integration.crypto import hash_matches
from x_integration.errors import XClientRefused, XGrantRefused, XReadFailed, XTokenUnspent
from x_integration.locks import alone
from x_integration.models import XAccount, XAccountQuerySet
from x_integration.services.pairs import token_columns
from x_integration.transport import begins_before

if TYPE_CHECKING:
    from collections.abc import Callable

    from workspaces.models import Workspace

LEASE_SECONDS, BEGIN_SECONDS = 120, 30  # a call that has not begun by then is not made
_KEEP_SECONDS = 8
_BACK_OFF = (30, 60, 120, 240, 300)  # seconds
_MANY_FAILURES = 6
_HOPELESS_WHY = {
    "skipped_no_refresh_token": "connect the account again",
    "skipped_disabled": "X_AUTO_REFRESH_ENABLED is off",
}
TOKEN_REFUSED, CLIENT_REFUSED = "token_refused", "x_client_refused"  # alarms, as the next three
NOT_RENEWABLE, RENEWAL_FAILS = "token_not_renewable", "renewal_fails"
MAY_NOT_POST = "missing_scope"
OF_THE_TOKENS = (TOKEN_REFUSED, NOT_RENEWABLE, RENEWAL_FAILS, MAY_NOT_POST)
Kept = TypeVar("Kept")
logger = logging.getLogger(__name__)


def refresh_workspace_x_tokens(
    workspace: Workspace, *, now: datetime, x: XClient | None = None
) -> str:
    """Renew the pair now; returns the outcome, which is audited and counted.

    `success`; `refused`: X no longer honours the refresh token, a person has to connect again;
    `failed`: X certainly did not renew; `unknown`: nobody knows whether it did; `skipped_locked`:
    somebody is renewing, or did a moment ago; `skipped_disabled`; `skipped_no_refresh_token`: there
    is none that X may take. Never raises for what X does. Asks X at once, also where the schedule
    would wait after a renewal that brought nothing.
    """
    account = XAccount.objects.filter(workspace=workspace).select_related("workspace").first()
    outcome = why_no_renewal(account)
    if account is not None and not outcome:
        outcome = attempt_renewal(account, now=now, x=x, patient=False)
    if outcome.startswith("skipped"):
        with transaction.atomic(durable=True):
            was = account.token_version if account else 0
            _record(workspace, outcome, now=now, was=was)
    return outcome


def renew_by_hand(workspace: Workspace, *, actor: Actor, now: datetime) -> str:
    """Renew for an operator; the outcome, or `skipped_unsure` where it may end a token that lives.

    Raises NotAllowed or WorkspaceNotFound.
    """
    if actor.user:
        check_operator(actor.user, workspace)
    account = XAccount.objects.live().filter(workspace=workspace).first()
    if account is not None and may_be_spent(account, now=now):
        return "skipped_unsure"
    return refresh_workspace_x_tokens(workspace, now=now)


def may_be_spent(account: XAccount, *, now: datetime) -> bool:
    """Whether X may have renewed the last time without our knowing, and the pause for it lasts."""
    if account.refresh_not_before is None or account.refresh_not_before <= now:
        return False
    renewals = AuditEvent.objects.filter(chain=str(account.workspace_id), type="token.refresh")
    tried = renewals.exclude(data__outcome__startswith="skipped").order_by("-seq")
    return tried.values_list("data__outcome", flat=True).first() == "unknown"


def why_no_renewal(account: XAccount | None) -> str:
    """The outcome of a renewal that cannot even be tried; blank when it can."""
    if account is None or not account.can_refresh:
        return "skipped_no_refresh_token"
    return "" if settings.X_AUTO_REFRESH_ENABLED else "skipped_disabled"


def attempt_renewal(
    account: XAccount, *, now: datetime, x: XClient | None = None, patient: bool = True
) -> str:
    """One renewal of the row as it was read, or `skipped_locked`, which is not recorded here."""
    outside_transaction()
    seconds = settings.X_REFRESH_LOCK_TTL_SECONDS
    with alone(f"x-refresh:{account.pk}", seconds=seconds) as nobody_else:
        begun = monotonic()
        if not nobody_else or not _take_lease(account, now=now, patient=patient):
            return "skipped_locked"
        return _Renewal(account, now, begin_before=begun + BEGIN_SECONDS).run(x or XClient())


def note_skip(account: XAccount, outcome: str, *, now: datetime) -> None:
    """Record that nothing was renewed, once per outcome and pair: callers may ask each second.

    Where nothing ever will be, a person is told.
    """
    noted = f"{outcome}:{account.token_version}"
    if account.noted_skip == noted:
        return
    # Where somebody holds the row for long, the next one notes it.
    with suppress(OperationalError), transaction.atomic(durable=True):
        wait_for_locks_at_most(LOCK_SECONDS_OF_OTHERS)
        row = XAccount.objects.filter(pk=account.pk).exclude(noted_skip=noted)
        if not row.update(noted_skip=noted):
            return
        if why := _HOPELESS_WHY.get(outcome):
            detail = f"The token of @{account.username} ends and is not renewed: {why}."
            raise_alarm(NOT_RENEWABLE, detail=detail, workspace=account.workspace, now=now)
        _record(account.workspace, outcome, now=now, was=account.token_version)


def _record(workspace: Workspace, outcome: str, *, now: datetime, was: int, **data: Any) -> None:
    audit.record(
        "token.refresh",
        workspace=workspace,
        subject="account",
        actor=Actor.worker(),
        now=now,
        data={"outcome": outcome, "was": was, **data},
        counts=[Count("x_token_refresh_total", {"outcome": outcome})],
    )


def _take_lease(account: XAccount, *, now: datetime, patient: bool) -> bool:
    """Whether this account is now ours to renew; `account` knows the lease then.

    Only if nobody renewed, or tried to, since it was read. The lease lasts from this very moment,
    however old the `now` is that the caller goes by.
    """
    until = max(now, timezone.now()) + timedelta(seconds=LEASE_SECONDS)
    row = XAccount.objects.free_to_renew(now, patient=patient).filter(
        pk=account.pk,
        token_version=account.token_version,
        refresh_failures=account.refresh_failures,
    )
    try:
        with transaction.atomic(durable=True):
            wait_for_locks_at_most(LOCK_SECONDS_OF_OTHERS)
            taken = row.update(refresh_leased_until=until)
    except OperationalError:  # somebody holds the row for long
        return False
    account.refresh_leased_until = until
    return bool(taken)


@dataclass
class _Renewal:
    """One call to X with the refresh token that was read, and what is made of the answer."""

    account: XAccount
    now: datetime
    begin_before: float  # on time.monotonic()

    def run(self, x: XClient) -> str:
        """Call X and settle; returns the outcome, whatever goes wrong at X or on the way."""
        try:
            pair = self._ask(x)
        except XGrantRefused:
            return self._keep(self._refused)
        except XTokenUnspent as error:
            nothing = partial(self._nothing_came, "failed", error, self._back_off(error.retry_at))
            return self._keep(nothing)
        except Exception as error:
            if not isinstance(error, RevFirstError):
                logger.exception("renewal_broke", extra={"account_id": self.account.pk})
            nothing = partial(self._nothing_came, "unknown", error, self._not_while_it_lives())
            return self._keep(nothing)
        if not self._keep(partial(self._store, pair)):
            self._drop(pair, x)
        return "success"

    def _ask(self, x: XClient) -> TokenPair:
        secret = self.account.refresh_token
        with begins_before(self.begin_before):
            pair = x.refresh_token(secret.open() if secret else "")
        if not pair.access_token.strip():
            raise XReadFailed("X granted a blank token.", code="x_token_broken")
        return pair

    def _keep(self, write: Callable[..., Kept]) -> Kept:
        """Write down what X said, whatever the database does meanwhile: it cannot be asked again.

        The last try leaves the audit row out (`audited=False`): a pair that is not kept is lost.
        """
        until, last_try = monotonic() + _KEEP_SECONDS, False
        while True:
            try:
                with transaction.atomic(durable=True):
                    wait_for_locks_at_most(LOCK_SECONDS_OF_OTHERS)
                    return write(audited=not last_try)
            except DatabaseProblem:
                logger.exception("renewal_not_written", extra={"account_id": self.account.pk})
                if last_try:
                    raise
            connection.close()
            wait_out(0.5)
            last_try = monotonic() > until

    def _back_off(self, retry_at: datetime | None = None) -> datetime:
        """30 s, 1 min, 2 min … 5 min; later when X says so, but for at most a quarter of an hour."""
        pause = _BACK_OFF[min(self.account.refresh_failures, len(_BACK_OFF) - 1)]
        earliest, latest = self.now + timedelta(seconds=pause), self.now + timedelta(minutes=15)
        return min(max(retry_at or earliest, earliest), latest)

    def _not_while_it_lives(self) -> datetime:
        """The refresh token may be spent, and one that comes back ends the tokens that still live.

        So it is tried once more when the access token is about to end anyway.
        """
        if not self.account.access_token_valid(self.now) or self.account.expires_at is None:
            return self._back_off()
        skew = timedelta(seconds=settings.X_REFRESH_SKEW_SECONDS)
        return max(self.account.expires_at - skew, self._back_off())

    def _ours(self) -> XAccountQuerySet:
        """The row, while nobody stored a newer pair, revoked, or took the lease over."""
        return XAccount.objects.live().filter(
            pk=self.account.pk,
            token_version=self.account.token_version,
            refresh_leased_until=self.account.refresh_leased_until,
        )

    def _nothing_came(
        self, outcome: str, error: Exception, after: datetime, *, audited: bool
    ) -> str:
        code = error.code if isinstance(error, RevFirstError) else "error"
        failures = min(self.account.refresh_failures + 1, 30_000)
        stored = self._ours().update(
            refresh_leased_until=None,
            refresh_failures=failures,
            refresh_not_before=after,
            last_refresh_error=code[:60],
            updated_at=self.now,
        )
        if isinstance(error, XClientRefused):
            raise_alarm(CLIENT_REFUSED, detail=str(error), now=self.now)
        elif failures >= _MANY_FAILURES:
            self._alarm(RENEWAL_FAILS, f"was not renewed {failures} times in a row ({code})")
        if audited:
            self._audit(outcome, stored=bool(stored), code=code)
        return outcome

    def _refused(self, *, audited: bool) -> str:
        """Believe X only if the row is still the one that was read: a newer pair proves it wrong."""
        believed = self._ours().update(
            refresh_leased_until=None,
            reauthorization_required_at=self.now,
            last_refresh_error="refused",
            updated_at=self.now,
        )
        if believed:
            self._alarm(TOKEN_REFUSED, "was refused by X: connect again")
        if audited:
            self._audit("refused", stored=bool(believed))
        return "refused"

    def _store(self, pair: TokenPair, *, audited: bool) -> bool:
        """Store the pair where `token_version` is the one that was read; whether it stands there."""
        account = self.account
        row = XAccount.objects.select_for_update(no_key=True).get(pk=account.pk)
        if self._stands_in(row, pair):
            return True  # the try before was committed, and its answer lost
        stored = row.token_version == account.token_version and row.revoked_at is None
        if stored:
            columns = token_columns(pair, now=self.now) | {"last_refresh_at": self.now}
            columns["token_version"] = account.token_version + 1
            if row.refresh_leased_until == account.refresh_leased_until:
                columns["refresh_leased_until"] = None
            else:  # somebody else tried in the meantime: what X said to them stays
                del columns["reauthorization_required_at"]
            XAccount.objects.filter(pk=account.pk).update(**columns)
            self._end_alarms(pair.scope or row.scope)
        if audited:
            self._audit("success", stored=stored)
        return stored

    def _stands_in(self, row: XAccount, pair: TokenPair) -> bool:
        return row.token_version == self.account.token_version + 1 and hash_matches(
            pair.access_token, row.access_token_hash
        )

    def _end_alarms(self, scope: str) -> None:
        end_alarms(CLIENT_REFUSED, now=self.now)
        end_alarms(*OF_THE_TOKENS, workspace=self.account.workspace, now=self.now)
        if XAccount.PUBLISH_SCOPE not in scope.split():
            self._alarm(MAY_NOT_POST, "may not post any more: connect again")

    def _alarm(self, kind: str, what: str) -> None:
        detail = f"The token of @{self.account.username} {what}."
        raise_alarm(kind, detail=detail, workspace=self.account.workspace, now=self.now)

    def _drop(self, pair: TokenPair, x: XClient) -> None:
        """Nobody will use this pair: revoked or replaced while X was asked. X may forget it."""
        if not XAccount.objects.live().filter(pk=self.account.pk).exists():
            revoke_at_x(x, pair.refresh_token, pair.access_token)

    def _audit(self, outcome: str, **data: Any) -> None:
        account = self.account
        _record(account.workspace, outcome, now=self.now, was=account.token_version, **data)


def revoke_at_x(x: XClient, *tokens: str | None) -> bool:
    """Tell X that these are not used any more; whether it took note of each."""
    confirmed = True
    for token in filter(None, tokens):
        try:
            x.revoke_token(token)
        except XReadFailed:
            confirmed = False
    return confirmed

"""Renewing tokens: once at a time, never with a token that is spent, never over a newer pair.

X's refresh tokens are single-use, and one that comes back kills the connection (docs/X-API.md,
Connecting). A lock in Redis keeps a stampede away; a lease on the row (a guarded UPDATE) and the
`token_version` that was read decide. The pair is stored before anybody uses it.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from time import monotonic
from typing import TYPE_CHECKING, Any
from zlib import crc32

from django.conf import settings
from django.db import DatabaseError, connection, transaction
from django.db.models import F, Q

from revfirst.batch import run_batch
from revfirst.db import outside_transaction, wait_for_locks_at_most
from revfirst.wait import wait_out
from workspaces import audit
from workspaces.actors import Actor
from workspaces.counters import Count
from workspaces.services import end_alarms, raise_alarm
from x_integration.client import TokenPair, XClient
from x_integration.crypto import hash_matches
from x_integration.errors import XClientRefused, XGrantRefused, XReadFailed, XTokenUnspent
from x_integration.locks import alone
from x_integration.models import XAccount
from x_integration.services.pairs import token_columns

if TYPE_CHECKING:
    from collections.abc import Callable

    from workspaces.models import Workspace

LEASE_SECONDS = 120
MIN_INTERVAL = timedelta(seconds=60)
"""Between two rotations of one account: a new token that does not work is not mended by another."""
RENEW_AHEAD, RENEW_SPREAD = timedelta(minutes=10), timedelta(minutes=10)
BATCH_SIZE = 2000
_KEEP_SECONDS = (
    28  # from the call's beginning: 25 s of beginning + 28 s + a last try end before 60 s
)
_BACK_OFF = (30, 60, 120, 240, 300)  # seconds
TOKEN_REFUSED, CLIENT_REFUSED = "token_refused", "x_client_refused"  # alarms
logger = logging.getLogger(__name__)


def refresh_workspace_x_tokens(
    workspace: Workspace, *, now: datetime, x: XClient | None = None
) -> str:
    """Renew the pair now; returns the outcome, which is audited and counted.

    `success`; `refused`: X no longer honours the refresh token, a person has to connect again;
    `failed`: X certainly did not renew; `unknown`: nobody knows whether it did; `skipped_locked`:
    somebody is renewing, or did a moment ago; `skipped_disabled`; `skipped_no_refresh_token`: there
    is none that X may take. Never raises for what X does.
    """
    account = XAccount.objects.filter(workspace=workspace).select_related("workspace").first()
    outcome = why_no_renewal(account) or attempt_renewal(account, now=now, x=x)  # type: ignore[arg-type]
    if outcome.startswith("skipped"):
        _record(workspace, account, outcome, now=now)
    return outcome


def why_no_renewal(account: XAccount | None) -> str:
    """The outcome of a renewal that cannot even be tried; blank when it can."""
    if account is None or not account.can_refresh:
        return "skipped_no_refresh_token"
    return "" if settings.X_AUTO_REFRESH_ENABLED else "skipped_disabled"


def attempt_renewal(account: XAccount, *, now: datetime, x: XClient | None = None) -> str:
    """One renewal of the row as it was read, or `skipped_locked`, which is not recorded here."""
    outside_transaction()
    seconds = settings.X_REFRESH_LOCK_TTL_SECONDS
    with alone(f"x-refresh:{account.pk}", seconds=seconds) as nobody_else:
        if not nobody_else or not _take_lease(account, now=now):
            return "skipped_locked"
        return _Renewal(account, now).run(x or XClient())


def note_skip(account: XAccount, outcome: str, *, now: datetime) -> None:
    """Record that nothing was renewed, once per outcome and pair: callers may ask each second."""
    noted = f"{outcome}:{account.token_version}"
    if account.noted_skip == noted:
        return
    with transaction.atomic(durable=True):
        row = XAccount.objects.filter(pk=account.pk).exclude(noted_skip=noted)
        if row.update(noted_skip=noted):
            _write(account.workspace, outcome, now=now, was=account.token_version)


def _record(workspace: Workspace, account: XAccount | None, outcome: str, *, now: datetime) -> None:
    with transaction.atomic(durable=True):
        _write(workspace, outcome, now=now, was=account.token_version if account else 0)


def _write(workspace: Workspace, outcome: str, *, now: datetime, was: int, **data: Any) -> None:
    audit.record(
        "token.refresh",
        workspace=workspace,
        subject="account",
        actor=Actor.worker(),
        now=now,
        data={"outcome": outcome, "was": was, **data},
        counts=[Count("x_token_refresh_total", {"outcome": outcome})],
    )


def _take_lease(account: XAccount, *, now: datetime) -> bool:
    """Whether this account is now ours to renew; `account` knows the lease then.

    Only if nobody renewed, or tried to, since it was read.
    """
    free = Q(refresh_leased_until=None) | Q(refresh_leased_until__lte=now)
    rested = Q(last_refresh_at=None) | Q(last_refresh_at__lte=now - MIN_INTERVAL)
    row = XAccount.objects.filter(
        free,
        rested,
        pk=account.pk,
        token_version=account.token_version,
        refresh_failures=account.refresh_failures,
        reauthorization_required_at=None,
        revoked_at=None,
    )
    account.refresh_leased_until = now + timedelta(seconds=LEASE_SECONDS)
    return bool(row.update(refresh_leased_until=account.refresh_leased_until))


@dataclass
class _Renewal:
    """One call to X with the refresh token that was read, and what is made of the answer."""

    account: XAccount
    now: datetime
    begun: float = field(default_factory=monotonic)

    def run(self, x: XClient) -> str:
        """Call X and settle; returns the outcome."""
        secret = self.account.refresh_token
        try:
            pair = x.refresh_token(secret.open() if secret else "")
        except XGrantRefused:
            return self._refused()
        except XTokenUnspent as error:
            return self._nothing_came("failed", error, after=self._back_off(error.retry_at))
        except XReadFailed as error:
            return self._nothing_came("unknown", error, after=self._not_while_it_lives())
        return self._store(pair, x)

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

    def _ours(self) -> Any:
        """The row, while nobody stored a newer pair, revoked, or took the lease over."""
        return XAccount.objects.filter(
            pk=self.account.pk,
            token_version=self.account.token_version,
            refresh_leased_until=self.account.refresh_leased_until,
            revoked_at=None,
        )

    def _nothing_came(self, outcome: str, error: XReadFailed, *, after: datetime) -> str:
        columns = {
            "refresh_leased_until": None,
            "refresh_failures": min(self.account.refresh_failures + 1, 1000),
            "refresh_not_before": after,
            "last_refresh_error": error.code[:60],
            "updated_at": self.now,
        }
        with transaction.atomic(durable=True):
            stored = self._ours().update(**columns)
            if isinstance(error, XClientRefused):
                raise_alarm(CLIENT_REFUSED, detail=str(error), now=self.now)
            self._audit(outcome, stored=bool(stored), code=error.code)
        return outcome

    def _refused(self) -> str:
        """Believe X only if the row is still the one that was read: a newer pair proves it wrong."""
        columns = {
            "refresh_leased_until": None,
            "reauthorization_required_at": self.now,
            "last_refresh_error": "refused",
            "updated_at": self.now,
        }
        with transaction.atomic(durable=True):
            believed = bool(self._ours().update(**columns))
            if believed:
                detail = f"X refused to renew the tokens of @{self.account.username}."
                raise_alarm(
                    TOKEN_REFUSED, detail=detail, workspace=self.account.workspace, now=self.now
                )
            self._audit("refused", stored=believed)
        return "refused"

    def _store(self, pair: TokenPair, x: XClient) -> str:
        """Keep the pair, whatever the database does meanwhile: the one before it is spent."""
        until, last_try = self.begun + _KEEP_SECONDS, False
        while True:
            try:
                stored = self._store_once(pair, audited=not last_try)
                break
            except DatabaseError:
                logger.exception("renewal_not_stored", extra={"account_id": self.account.pk})
                if last_try:
                    raise
            connection.close()
            wait_out(0.5)
            last_try = monotonic() > until
        if not stored:
            self._drop(pair, x)
        return "success"

    def _store_once(self, pair: TokenPair, *, audited: bool) -> bool:
        """Store the pair where `token_version` is the one that was read; whether it stands there.

        `audited=False` is the last resort of a broken audit log: a pair that is not kept is lost.
        """
        columns = token_columns(pair, now=self.now)
        columns |= {
            "token_version": F("token_version") + 1,
            "last_refresh_at": self.now,
            "refresh_leased_until": None,
        }
        account = self.account
        with transaction.atomic(durable=True):
            wait_for_locks_at_most(3)
            row = XAccount.objects.select_for_update(no_key=True).get(pk=account.pk)
            if hash_matches(pair.access_token, row.access_token_hash):
                return True  # the try before was committed, and its answer lost
            stored = row.token_version == account.token_version and row.revoked_at is None
            if stored and row.refresh_leased_until != account.refresh_leased_until:
                # Somebody else tried in the meantime: what X said to them is kept.
                for kept in ("reauthorization_required_at", "refresh_leased_until"):
                    del columns[kept]
            if stored:
                XAccount.objects.filter(pk=account.pk).update(**columns)
                end_alarms(TOKEN_REFUSED, workspace=account.workspace, now=self.now)
                end_alarms(CLIENT_REFUSED, now=self.now)
            if audited:
                self._audit("success", stored=stored)
        return stored

    def _drop(self, pair: TokenPair, x: XClient) -> None:
        """Nobody will use this pair: revoked or replaced while X was asked. X may forget it."""
        if not XAccount.objects.filter(pk=self.account.pk, revoked_at=None).exists():
            revoke_at_x(x, pair.refresh_token, pair.access_token)

    def _audit(self, outcome: str, **data: Any) -> None:
        _write(
            self.account.workspace,
            outcome,
            now=self.now,
            was=self.account.token_version,
            **data,
        )


def revoke_at_x(x: XClient, *tokens: str | None) -> bool:
    """Tell X that these are not used any more; whether it took note of each."""
    confirmed = True
    for token in filter(None, tokens):
        try:
            x.revoke_token(token)
        except XReadFailed:
            confirmed = False
    return confirmed


# --- ahead of expiry ------------------------------------------------------------------------------


def renew_at(account: XAccount) -> datetime | None:
    """UTC instant to renew from: 10 to 20 min before expiry, spread by account (X: 2 h of life)."""
    if account.expires_at is None:
        return None
    share = crc32(str(account.pk).encode()) % 1000 / 1000
    return account.expires_at - RENEW_AHEAD - share * RENEW_SPREAD


def due_for_renewal(now: datetime) -> list[XAccount]:
    """Connected accounts whose token is to be renewed now, the most urgent first."""
    soon = Q(expires_at__lte=now + RENEW_AHEAD + RENEW_SPREAD)
    free = Q(refresh_leased_until=None) | Q(refresh_leased_until__lte=now)
    patient = Q(refresh_not_before=None) | Q(refresh_not_before__lte=now)
    rested = Q(last_refresh_at=None) | Q(last_refresh_at__lte=now - MIN_INTERVAL)
    rows = XAccount.objects.filter(
        soon | Q(expires_at=None),
        free,
        patient,
        rested,
        revoked_at=None,
        reauthorization_required_at=None,
        refresh_token__isnull=False,
    )
    by_urgency = rows.order_by(F("expires_at").asc(nulls_first=True), "pk")
    at = [(account, renew_at(account)) for account in by_urgency.only("pk", "expires_at")]
    return [account for account, instant in at if instant is None or instant <= now]


def renew_batch(*, clock: Callable[[], datetime]) -> tuple[int, int]:
    """Renew what is due, several at once: (begun, left for another batch)."""
    if not settings.X_AUTO_REFRESH_ENABLED:
        return 0, 0
    due = [account.pk for account in due_for_renewal(clock())]
    now_due, later = due[:BATCH_SIZE], due[BATCH_SIZE:]
    left = run_batch(
        now_due,
        lambda pk, x: _renew_if_still_due(pk, now=clock(), x=x),
        tool=XClient,
        concurrency=settings.RENEW_CONCURRENCY,
    )
    return len(now_due) - left, left + len(later)


def _renew_if_still_due(account_id: int, *, now: datetime, x: XClient) -> None:
    """Another batch, or somebody who needed the token, may have been here first."""
    account = XAccount.objects.select_related("workspace").get(pk=account_id)
    instant = renew_at(account)
    if account.renewal_is_leased(now) or (instant is not None and instant > now):
        return
    if why_not := why_no_renewal(account):
        note_skip(account, why_not, now=now)
    else:
        attempt_renewal(account, now=now, x=x)

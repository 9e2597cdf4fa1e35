"""Renewing ahead of expiry: which accounts are due, and many of them in one batch."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from zlib import crc32

from django.conf import settings
from django.db.models import F, Q

from revfirst.batch import run_batch
from x_integration.client import XClient
from x_integration.locks import alone
from x_integration.models import XAccount
from x_integration.services.renewal import attempt_renewal, note_skip, why_no_renewal

if TYPE_CHECKING:
    from revfirst.clock import Clock

RENEW_AHEAD, RENEW_SPREAD = timedelta(minutes=10), timedelta(minutes=10)
# A batch begins for 15 s; a call of 25 s, 8 s of keeping and a last try end before the task's 60 s.
BATCH_SIZE, BATCH_SECONDS, _TASK_SECONDS = 2000, 15, 60
_HOPELESS = timedelta(minutes=15)


def renew_at(account: XAccount) -> datetime | None:
    """UTC instant to renew from: 10 to 20 min before expiry, spread by account (X: 2 h of life)."""
    if account.expires_at is None:
        return None
    share = crc32(str(account.pk).encode()) % 1000 / 1000
    return account.expires_at - RENEW_AHEAD - share * RENEW_SPREAD


def due_for_renewal(now: datetime) -> list[XAccount]:
    """Connected accounts whose token is to be renewed now, the most urgent first."""
    soon = Q(expires_at=None) | Q(expires_at__lte=now + RENEW_AHEAD + RENEW_SPREAD)
    rows = XAccount.objects.free_to_renew(now).filter(soon)
    by_urgency = rows.order_by(F("expires_at").asc(nulls_first=True), "pk")
    at = [(account, renew_at(account)) for account in by_urgency.only("pk", "expires_at")]
    return [account for account, instant in at if instant is None or instant <= now]


def renew_batch(*, clock: Clock) -> tuple[int, int]:
    """Renew what is due, several at once: (begun, left for another batch). One batch at a time."""
    if not settings.X_AUTO_REFRESH_ENABLED:
        return 0, 0
    with alone("x-renew-batch", seconds=_TASK_SECONDS) as nobody_else:
        if not nobody_else:
            return 0, 0
        due = [account.pk for account in due_for_renewal(clock())]
        now_due, later = due[:BATCH_SIZE], due[BATCH_SIZE:]
        left = run_batch(
            now_due,
            lambda pk, x: _renew_if_still_due(pk, now=clock(), x=x),
            tool=XClient,
            concurrency=settings.RENEW_CONCURRENCY,
            seconds=BATCH_SECONDS,
        )
    return len(now_due) - left, left + len(later)


def _renew_if_still_due(account_id: int, *, now: datetime, x: XClient) -> None:
    """Another batch, or somebody who needed the token, may have been here first."""
    free = XAccount.objects.free_to_renew(now).filter(pk=account_id)
    account = free.select_related("workspace").first()
    if account is None or (renew_at(account) or now) > now:
        return
    if why_not := why_no_renewal(account):  # no key opens its refresh token
        note_skip(account, why_not, now=now)
        XAccount.objects.filter(pk=account_id).update(refresh_not_before=now + _HOPELESS)
    else:
        attempt_renewal(account, now=now, x=x)

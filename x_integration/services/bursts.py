"""401s: of one account, its token is to blame; of many at once, X is (docs/X-API.md, Connecting)."""

from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Q

from revfirst.db import wait_for_locks_at_most
from workspaces import audit
from workspaces.actors import Actor
from workspaces.models import SystemHold, Workspace
from workspaces.services import LOCK_SECONDS_OF_OTHERS, end_alarms, write_hold
from x_integration.errors import XUnauthorized
from x_integration.models import XAccount, XAccountQuerySet
from x_integration.services.accounts import ACCOUNT_HELD

MASS_401 = "mass_401"
WINDOW = timedelta(minutes=10)


def burst_is_on() -> bool:
    """Whether X answers 401 to so many that no single one is believed: until a person lifts it."""
    return SystemHold.objects.filter(kind=MASS_401, lifted_at=None).exists()


def note_unauthorized(workspace: Workspace, token: str, *, actor: Actor, now: datetime) -> None:
    """X answered 401 to `token`: if it is the stored one, it counts as no longer valid.

    When that happens to many accounts within ten minutes, and renewing does not help, everything is
    held, their tokens count as good again, and no account is disconnected or held for it.
    """
    account = XAccount.objects.live().filter(workspace=workspace).first()
    if account is None or not account.holds(token) or burst_is_on():
        return
    row = XAccount.objects.filter(pk=account.pk, token_version=account.token_version)
    with transaction.atomic(durable=True):
        wait_for_locks_at_most(LOCK_SECONDS_OF_OTHERS)
        # What was waited for, lest a living token be ended, is over.
        marks = {"access_token_rejected_at": now, "refresh_not_before": None, "updated_at": now}
        if row.filter(access_token_rejected_at=None).update(**marks):
            audit.record(
                "token.reject",
                workspace=workspace,
                subject="account",
                actor=actor,
                now=now,
                data={"token_version": account.token_version},
            )
    check_for_burst(actor=actor, now=now)


def check_for_burst(*, actor: Actor, now: datetime) -> None:
    """Blame X when many accounts were rejected lately that a renewal did not mend."""
    unmended = _rejected(now).filter(refresh_leased_until=None)
    if settings.X_AUTO_REFRESH_ENABLED:
        renewed = Q(last_refresh_at__gte=now - WINDOW)
        unmended = unmended.filter(renewed | Q(refresh_failures__gt=0) | Q(refresh_token=None))
    if burst_is_on() or unmended.count() >= many_of(XAccount.objects.live().count()):
        _blame_x(actor=actor, now=now)


def _rejected(now: datetime) -> XAccountQuerySet:
    """Accounts whose token X rejected lately, and did not refuse to renew: those are plainly dead."""
    lately = {"access_token_rejected_at__gte": now - WINDOW}
    return XAccount.objects.live().filter(reauthorization_required_at=None, **lately)


def many_of(accounts: int) -> int:
    """How many of so many make a burst: a tenth of them, at least three and at most ten.

    Two when there are no more; one account alone is never a burst.
    """
    return 2 if accounts <= 2 else min(max(accounts // 10, 3), 10)


def _blame_x(*, actor: Actor, now: datetime) -> None:
    """Hold everything, and take back what was held against each account."""
    with transaction.atomic(durable=True):
        wait_for_locks_at_most(LOCK_SECONDS_OF_OTHERS)
        locked = _rejected(now).select_for_update(no_key=True, of=("self",)).order_by("pk")
        accounts = list(locked.select_related("workspace"))
        ids = [account.pk for account in accounts]
        XAccount.objects.filter(pk__in=ids).update(access_token_rejected_at=None, updated_at=now)
        held = [account for account in accounts if account.held_reason == XUnauthorized.code]
        XAccount.objects.filter(pk__in=[account.pk for account in held]).update(
            held_at=None, held_reason=""
        )
        reason = "X answers 401 to many accounts at once."
        write_hold(MASS_401, reason=reason, actor=actor, now=now)
        for account in held:
            end_alarms(ACCOUNT_HELD, workspace=account.workspace, now=now)
            audit.record(
                "account.lift_hold",
                workspace=account.workspace,
                subject="account",
                actor=actor,
                now=now,
                data={"reason": MASS_401},
            )

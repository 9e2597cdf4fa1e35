"""401s: of one account, its token is to blame; of many at once, X is (docs/X-API.md, Connecting)."""

from datetime import datetime, timedelta

from django.db import transaction

from workspaces import audit
from workspaces.actors import Actor
from workspaces.models import SystemHold, Workspace
from workspaces.services import place_hold
from x_integration.models import XAccount

MASS_401 = "mass_401"
WINDOW = timedelta(minutes=10)


def burst_is_on() -> bool:
    """Whether X refuses so many at once that no single refusal is believed: until a person lifts it."""
    return SystemHold.objects.filter(kind=MASS_401, lifted_at=None).exists()


def note_unauthorized(workspace: Workspace, token: str, *, actor: Actor, now: datetime) -> None:
    """X answered 401 to `token`: if it is the stored one, it counts as no longer valid.

    When that happens to many accounts within ten minutes, everything is held, their tokens count as
    good again, and no account is disconnected for it.
    """
    account = XAccount.objects.filter(workspace=workspace, revoked_at=None).first()
    if account is None or not account.holds(token) or burst_is_on():
        return
    row = XAccount.objects.filter(pk=account.pk, token_version=account.token_version)
    with transaction.atomic(durable=True):
        noted = row.filter(access_token_rejected_at=None).update(
            access_token_rejected_at=now, refresh_not_before=None, updated_at=now
        )
        if noted:
            audit.record(
                "token.reject",
                workspace=workspace,
                subject="account",
                actor=actor,
                now=now,
                data={"token_version": account.token_version},
            )
    _check_for_burst(actor=actor, now=now)


def _check_for_burst(*, actor: Actor, now: datetime) -> None:
    live = XAccount.objects.filter(revoked_at=None)
    rejected = live.filter(access_token_rejected_at__gte=now - WINDOW)
    if rejected.count() < _many(live.count()):
        return
    place_hold(MASS_401, reason="X answers 401 to many accounts at once.", actor=actor, now=now)
    rejected.update(access_token_rejected_at=None, updated_at=now)


def _many(accounts: int) -> int:
    """How many of so many make a burst: a tenth of them, at least three and at most ten.

    Two when there are no more; one account alone is never a burst.
    """
    return 2 if accounts <= 2 else min(max(accounts // 10, 3), 10)

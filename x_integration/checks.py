"""Settings that contradict each other."""

from itertools import pairwise
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register

from x_integration.client import TOTAL_SECONDS
from x_integration.services.renewal import LEASE_SECONDS
from x_integration.services.renewal_schedule import RENEW_AHEAD


@register("x_integration")
def time_outs_are_in_order(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """A call ends before its lock, the lock before the task, the task before the lease, and so on."""
    engine: Any = settings.Q_CLUSTER
    order: list[tuple[str, int]] = [
        ("a call to X", TOTAL_SECONDS),
        ("X_REFRESH_LOCK_TTL_SECONDS", settings.X_REFRESH_LOCK_TTL_SECONDS),
        ("the task time-out", engine["timeout"]),
        ("the lease of a renewal", LEASE_SECONDS),
        ("the task engine's retry", engine["retry"]),
    ]
    return [
        Error(
            f"{shorter} ({short} s) must be shorter than {longer} ({long} s).",
            hint="X_REFRESH_LOCK_TTL_SECONDS is best left at 30.",
            id="x_integration.E001",
        )
        for (shorter, short), (longer, long) in pairwise(order)
        if short >= long
    ]


@register("x_integration")
def tokens_are_renewed_before_they_are_needed(
    app_configs: Any, **kwargs: Any
) -> list[CheckMessage]:
    """The scheduled renewal comes first, so that nobody who needs a token has to wait for one."""
    if RENEW_AHEAD.total_seconds() > settings.X_REFRESH_SKEW_SECONDS:
        return []
    ahead = int(RENEW_AHEAD.total_seconds())
    return [
        Error(
            f"X_REFRESH_SKEW_SECONDS must be below {ahead}, when the worker renews by itself.",
            hint="Set X_REFRESH_SKEW_SECONDS=300.",
            id="x_integration.E002",
        )
    ]

"""How often one caller may ask: per key, per person, and per address for strangers.

A count lives in the cache for as long as its window. Where the cache does not answer, everybody gets
in: a throttle that is down must not stop work; that is counted.
"""

from __future__ import annotations

import logging
from time import time
from typing import TYPE_CHECKING

from django_redis import get_redis_connection
from redis.exceptions import RedisError
from rest_framework.request import Request
from rest_framework.settings import api_settings
from rest_framework.throttling import SimpleRateThrottle

from revfirst.metrics import failed_open
from workspaces.models import ApiKey

if TYPE_CHECKING:
    from rest_framework.views import APIView  # which imports this module

logger = logging.getLogger(__name__)


class CallerThrottle(SimpleRateThrottle):
    """One count per caller and window, added to in one step, so that no process misses another's."""

    def __init__(self) -> None:
        self.left = 0.0

    def allow_request(self, request: Request, view: APIView) -> bool:
        """Whether this caller may ask now."""
        kind, who = self._caller(request)
        most, seconds = self.parse_rate(str(api_settings.DEFAULT_THROTTLE_RATES[kind]))
        if most is None or seconds is None:
            return True
        window, gone = divmod(time(), seconds)
        self.left = seconds - gone
        return self._count(f"throttle:{kind}:{who}:{int(window)}", seconds) <= most

    def wait(self) -> float:
        """Seconds until the next window."""
        return self.left

    def _caller(self, request: Request) -> tuple[str, str]:
        if isinstance(request.auth, ApiKey):
            return "key", str(request.auth.pk)
        if request.user and request.user.is_authenticated:
            return "user", str(request.user.pk)
        return "anon", self.get_ident(request)

    def _count(self, name: str, seconds: int) -> int:
        """How many have asked in this window, this one included; none where nobody can say."""
        try:
            steps = get_redis_connection("default").pipeline()
            steps.incr(name)
            steps.expire(name, seconds * 2)
            return int(steps.execute()[0])
        except (RedisError, OSError) as error:
            failed_open.labels("throttle").inc()
            logger.warning("throttle_failed_open", extra={"because": type(error).__name__})
            return 0

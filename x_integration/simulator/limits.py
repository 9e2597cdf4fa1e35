"""X's rate limits: so many requests per user, endpoint and window of 15 minutes."""

from dataclasses import dataclass

from x_integration.simulator.settings import Settings

WINDOW_SECONDS = 15 * 60


@dataclass(frozen=True, slots=True)
class Allowance:
    """What the x-rate-limit headers say."""

    limit: int
    remaining: int
    reset: int
    spent: bool

    def headers(self) -> dict[str, str]:
        return {
            "x-rate-limit-limit": str(self.limit),
            "x-rate-limit-remaining": str(self.remaining),
            "x-rate-limit-reset": str(self.reset),
        }


class RateLimits:
    """Counts in memory: a restarted simulator has forgotten, as far as a client may rely on it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._windows: dict[tuple[str, int], tuple[int, int]] = {}

    def take(self, endpoint: str, user_id: int, now_ms: int) -> Allowance:
        """Count one request. A spent allowance stays spent until the window's reset."""
        now = now_ms // 1000
        reset, used = self._windows.get((endpoint, user_id), (0, 0))
        if now >= reset:
            reset, used = now + WINDOW_SECONDS, 0
        limit = self._settings.limit_for(endpoint)
        spent = used >= limit
        self._windows[endpoint, user_id] = (reset, used if spent else used + 1)
        return Allowance(limit, max(0, limit - used - 1), reset, spent)

    def untouched(self, endpoint: str, now_ms: int) -> Allowance:
        """For a request that nobody can be charged for."""
        limit = self._settings.limit_for(endpoint)
        return Allowance(limit, limit, now_ms // 1000 + WINDOW_SECONDS, spent=False)

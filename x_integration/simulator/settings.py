"""What can be turned while the simulator runs, and the app that it knows."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

TIERS = ("self_serve", "enterprise")
DIALECTS = ("legacy", "new")

# Requests per user and 15 minutes (docs.x.com, "Rate limits").
RATE_LIMITS = {
    "POST /2/tweets": 100,
    "DELETE /2/tweets/{id}": 50,
    "GET /2/users/me": 75,
    "GET /2/users/{id}/mentions": 300,
    "GET /2/users/{id}/tweets": 900,
    "GET /2/tweets": 5000,
    "GET /2/tweets/search/recent": 300,
}
_LARGEST = 10**9


class BadSetting(ValueError):
    """The text says which setting cannot take which value."""


@dataclass(frozen=True, slots=True)
class Client:
    """The one registered app: a confidential client. No repr of the secret."""

    id: str
    secret: str = field(repr=False)
    redirect_uri: str


@dataclass(slots=True)
class Settings:
    """Changed through the control endpoint; a restart brings the defaults back."""

    access_tier: str = "self_serve"
    expires_in: int = 7200
    code_ttl_seconds: float = 30
    latency_ms: float = 0
    rate_limits: dict[str, int] = field(default_factory=dict)
    one_grant_per_user: bool = False
    ahead_seconds: float = 0
    shuffled_pages: bool = False
    repeats_across_pages: int = 0  # so many posts of a page stand on the page after it too
    bills_expanded_users: bool = False  # also posts in `includes`; X says nothing about either
    credit_usd: float | None = None  # None: without end

    def limit_for(self, endpoint: str) -> int:
        """Requests per window: the endpoint's own number, else "*", else X's."""
        for key in (endpoint, "*"):
            if key in self.rate_limits:
                return self.rate_limits[key]
        return RATE_LIMITS[endpoint]

    def change(self, changes: Mapping[str, Any]) -> None:
        """Take all of the changes or none. Raises BadSetting."""
        takers = {
            "access_tier": _tier,
            "expires_in": _seconds,
            "code_ttl_seconds": _positive,
            "latency_ms": _not_negative,
            "rate_limits": _rate_limits,
            "one_grant_per_user": _flag,
            "ahead_seconds": _not_negative,
            "shuffled_pages": _flag,
            "repeats_across_pages": _count,
            "bills_expanded_users": _flag,
            "credit_usd": _credit,
        }
        unknown = sorted(set(changes) - set(takers))
        if unknown:
            raise BadSetting(f"There is no setting {unknown[0]}; there are {', '.join(takers)}.")
        taken = {name: takers[name](name, value) for name, value in changes.items()}
        for name, value in taken.items():
            setattr(self, name, value)


def _tier(name: str, value: Any) -> str:
    if value not in TIERS:
        raise BadSetting(f"{name} must be {' or '.join(TIERS)}.")
    return str(value)


def _number(name: str, value: Any) -> int | float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not -_LARGEST <= value <= _LARGEST:  # nor NaN, which Python's JSON reads
        raise BadSetting(f"{name} must be a number.")
    return value  # type: ignore[no-any-return]


def _seconds(name: str, value: Any) -> int:
    if not isinstance(value, int):
        raise BadSetting(f"{name} must be a whole number of seconds.")
    return int(_positive(name, value))


def _positive(name: str, value: Any) -> int | float:
    if _number(name, value) <= 0:
        raise BadSetting(f"{name} must be above 0.")
    return _number(name, value)


def _not_negative(name: str, value: Any) -> int | float:
    if _number(name, value) < 0:
        raise BadSetting(f"{name} must not be below 0.")
    return _number(name, value)


def _credit(name: str, value: Any) -> int | float | None:
    return None if value is None else _not_negative(name, value)


def _count(name: str, value: Any) -> int:
    if not isinstance(value, int):
        raise BadSetting(f"{name} must be a whole number.")
    return int(_not_negative(name, value))


def _flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise BadSetting(f"{name} must be true or false.")
    return value


def _rate_limits(name: str, value: Any) -> dict[str, int]:
    if not isinstance(value, dict):
        raise BadSetting(f"{name} must be an object of endpoint and requests per 15 minutes.")
    for endpoint, limit in value.items():
        if endpoint != "*" and endpoint not in RATE_LIMITS:
            raise BadSetting(f"{name} knows * and {', '.join(RATE_LIMITS)}, not {endpoint}.")
        if isinstance(limit, bool) or not isinstance(limit, int) or limit < 0:
            raise BadSetting(f"{name}: {endpoint} needs a whole number that is not below 0.")
    return dict(value)

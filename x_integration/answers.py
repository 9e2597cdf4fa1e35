"""What an answer of X to a write means: the table of the design's section 4, as code."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from revfirst.storable import storable_text
from x_integration.errors import XNotSent, XOutcomeUnknown, XRejected, XUnauthorized

WriteError = XNotSent | XRejected | XOutcomeUnknown

# X's own words of 2026 (x-api facts, 0.1 and 4).
_SUMMON_RULE = (
    "only reply to or quote posts where you are mentioned",
    "not allowed because you have not been mentioned",
)
_ACCOUNT_TYPES = {
    "client-forbidden",
    "unsupported-authentication",
    "oauth1-permissions",
    "not-authorized-for-client",
}
# Whole words: an author who has blocked us is no reason to hold the account.
_ACCOUNT_WORDS = re.compile(r"\b(suspended|locked|required scope|missing scope|oauth2 scope)\b")


@dataclass(frozen=True)
class Problem:
    """An answer that is not a success, in the shapes that X uses (x-api facts, 4)."""

    status: int
    type: str  # the last path segment: two hosts occur in front of it
    words: str  # X's own, cut to 300 characters
    is_problem: bool  # whether the body was a JSON object that says something
    reset_at: datetime | None = None

    @classmethod
    def of(cls, status: int, body: Any, headers: Mapping[str, str], raw: bytes) -> Problem:
        """Read a problem from any of X's error shapes."""
        said = body if isinstance(body, dict) else {}
        errors = said.get("errors")
        first = errors[0] if isinstance(errors, list) and errors else {}
        nested = first if isinstance(first, dict) else {}
        words = said.get("detail") or nested.get("message") or said.get("title") or ""
        return cls(
            status=status,
            type=str(said.get("type") or nested.get("type") or "").rstrip("/").rsplit("/", 1)[-1],
            words=storable_text(str(words))[:300],
            is_problem=bool(said) and bool(words or said.get("type")),
            reset_at=_reset_at(headers),
        )


def write_error(problem: Problem) -> WriteError:
    """The error to raise for an answer to a write that did not bring a post id."""
    by_status = {401: _unauthorized, 402: _paused, 403: _forbidden, 429: _paused}
    if problem.status in by_status:
        return by_status[problem.status](problem)
    if problem.status == 400:
        return XRejected(_says(problem), code="invalid_request")
    refused = 400 < problem.status < 500 and problem.status != 408 and problem.is_problem
    if refused:
        code = "target_gone" if problem.status == 404 else f"x_{problem.status}"
        return XRejected(_says(problem), code=code)
    return XOutcomeUnknown(_says(problem), code=f"x_{problem.status}")


def _unauthorized(problem: Problem) -> WriteError:
    return XUnauthorized(_says(problem), counts=False)


def _paused(problem: Problem) -> WriteError:
    """402, 429 and the usage cap: nothing was executed, and it counts no tries."""
    code = "no_credits" if problem.status == 402 else "rate_limited"
    if problem.type == "usage-capped":
        code = "usage_capped"
    return XNotSent(_says(problem), code=code, retry_at=problem.reset_at, counts=False)


def _forbidden(problem: Problem) -> WriteError:
    words = problem.words.lower()
    if any(text in words for text in _SUMMON_RULE):
        return XRejected(_says(problem), code="summon_rule")
    if "duplicate content" in words:
        return XOutcomeUnknown(_says(problem), code="duplicate_content")
    if problem.type in _ACCOUNT_TYPES or _ACCOUNT_WORDS.search(words):
        code = problem.type.replace("-", "_") if problem.type in _ACCOUNT_TYPES else "x_account"
        return XNotSent(_says(problem), code=code, counts=False, holds_account=True)
    return XRejected(_says(problem), code="forbidden")


def _says(problem: Problem) -> str:
    return f"X answered {problem.status}: {problem.words or 'nothing that can be read'}"


def _reset_at(headers: Mapping[str, str]) -> datetime | None:
    reset = headers.get("x-rate-limit-reset", "")
    return (
        datetime.fromtimestamp(int(reset), UTC) if reset.isdecimal() and len(reset) < 12 else None
    )

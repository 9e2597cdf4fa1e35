"""What an answer of X to a write means: the table in docs/X-API.md, as code."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, quote_plus

from revfirst.logs import HIDDEN
from revfirst.storable import storable_text
from x_integration.errors import XNotSent, XOutcomeUnknown, XReadFailed, XRejected, XUnauthorized

WriteError = XNotSent | XRejected | XOutcomeUnknown

# X's own words of 2026 (docs/X-API.md, Rules of 2026 and Errors).
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
_ACCOUNT_WORDS = re.compile(
    r"\b(suspended|locked|(required|missing|insufficient|oauth2)[ _]scopes?)\b"
)
# The numbers of X's older errors: suspended, may not write, locked; a text that stands there already.
_ACCOUNT_NUMBERS = {64, 261, 326}
# The trouble is one target's, not ours: gone, protected, or closed to us.
_TARGET_WORDS = ("deleted or not visible", "blocked from")
_TARGET_TYPES = {"not-authorized-for-resource", "resource-not-found"}
_USAGE_CAPPED, TARGET_GONE = "usage-capped", "target_gone"
DUPLICATE_CONTENT = "duplicate_content"
_DUPLICATE_WORDS, _DUPLICATE_NUMBER = ("duplicate content", "status is a duplicate"), 187


@dataclass(frozen=True)
class Problem:
    """An answer that is not a success, in the shapes that X uses (docs/X-API.md, Errors)."""

    status: int
    type: str  # the last path segment: two hosts occur in front of it
    words: str  # X's own
    is_problem: bool  # whether the body was a JSON object that says something
    numbers: frozenset[int] = frozenset()
    reset_at: datetime | None = None

    @classmethod
    def of(
        cls, status: int, body: Any, headers: Mapping[str, str], *, sent: Iterable[str] = ()
    ) -> Problem:
        """Read a problem from any of X's error shapes; secrets that were `sent` are taken out of it."""
        said = body if isinstance(body, dict) else {}
        errors = said.get("errors")
        nested = (
            [each for each in errors if isinstance(each, dict)] if isinstance(errors, list) else []
        )
        kinds = [str(each["type"]) for each in (said, *nested) if each.get("type")]
        words = without_secrets(_words_of(said, nested), sent)
        return cls(
            status=status,
            type=kinds[0].rstrip("/").rsplit("/", 1)[-1] if kinds else "",
            words=storable_text(words)[:5000],
            is_problem=bool(said) and bool(words or said.get("type")),
            numbers=frozenset(each["code"] for each in nested if type(each.get("code")) is int),
            reset_at=reset_at(headers),
        )

    def says(self, *phrases: str) -> bool:
        """Whether one of the phrases stands in X's words."""
        return any(phrase in self.words.lower() for phrase in phrases)


def without_secrets(words: str, secrets: Iterable[str]) -> str:
    """X's words, where they repeat what we sent: as it is, or as it stands in a URL."""
    for secret in filter(None, secrets):
        for dress in {secret, quote(secret, safe=""), quote_plus(secret)}:
            words = words.replace(dress, HIDDEN)
    return words


def _words_of(said: Mapping[str, Any], nested: list[dict[str, Any]]) -> str:
    """Everything that X says, each text once; what a general text hides may be the point of it."""
    messages = [each.get("message") or each.get("detail") for each in nested]
    told = [said.get("detail"), *messages]
    if isinstance(said.get("error"), str):  # as OAuth says it
        told += [said["error"], said.get("error_description")]
    texts = [str(text) for text in told if text] or [str(said.get("title") or "")]
    return " ".join(dict.fromkeys(texts))


def write_error(problem: Problem) -> WriteError:
    """The error to raise for an answer to a write that did not bring a post id."""
    by_status = {401: _unauthorized, 402: _paused, 403: _forbidden, 429: _paused}
    if problem.status in by_status:
        return by_status[problem.status](problem)
    if problem.status == 400:
        return XRejected(_says(problem), code="invalid_request")
    refused = 400 < problem.status < 500 and problem.status != 408 and problem.is_problem
    if refused:
        code = TARGET_GONE if problem.status == 404 else f"x_{problem.status}"
        return XRejected(_says(problem), code=code)
    return XOutcomeUnknown(_says(problem), code=f"x_{problem.status}")


def read_error(status: int, body: Any, headers: Mapping[str, str]) -> XReadFailed:
    """The error to raise for an answer to a question that brought nothing."""
    code = f"x_read_{status}"
    if status == 402:
        code = "no_credits"
    elif Problem.of(status, body, headers).type == _USAGE_CAPPED:
        code = "usage_capped"
    return XReadFailed(f"X answered {status}.", code=code)


def _unauthorized(problem: Problem) -> WriteError:
    return XUnauthorized(_says(problem), counts=False)


def _paused(problem: Problem) -> WriteError:
    """402, 429 and the usage cap: nothing was executed, and it counts no tries."""
    code = "no_credits" if problem.status == 402 else "rate_limited"
    if problem.type == _USAGE_CAPPED:
        code = "usage_capped"
    return XNotSent(_says(problem), code=code, retry_at=problem.reset_at, counts=False)


def _forbidden(problem: Problem) -> WriteError:
    if problem.type == _USAGE_CAPPED:
        return _paused(problem)
    if problem.says(*_SUMMON_RULE):
        return XRejected(_says(problem), code="summon_rule")
    if problem.says(*_TARGET_WORDS) or problem.type in _TARGET_TYPES:
        return XRejected(_says(problem), code=TARGET_GONE)
    if problem.says(*_DUPLICATE_WORDS) or _DUPLICATE_NUMBER in problem.numbers:
        return XOutcomeUnknown(_says(problem), code=DUPLICATE_CONTENT)
    known = problem.type in _ACCOUNT_TYPES
    told = _ACCOUNT_WORDS.search(problem.words.lower()) or _ACCOUNT_NUMBERS & problem.numbers
    if known or told:
        code = problem.type.replace("-", "_") if known else "x_account"
        return XNotSent(_says(problem), code=code, counts=False, holds_account=True)
    return XRejected(_says(problem), code="forbidden")


def _says(problem: Problem) -> str:
    return f"X answered {problem.status}: {problem.words[:300] or 'nothing that can be read'}"


_MOST_CALLS = 1_000_000_000  # of one window; nobody is allowed more


@dataclass(frozen=True)
class Rate:
    """X's rate limit of one account and endpoint: how many calls are left until `reset_at` (UTC)."""

    limit: int
    remaining: int
    reset_at: datetime


def reset_at(headers: Mapping[str, str]) -> datetime | None:
    """When X's window ends, or None when the header is missing or no instant."""
    reset = _number(headers, "reset")
    return None if reset is None else datetime.fromtimestamp(reset, UTC)


def rate_of(headers: Mapping[str, str], *, spent: bool = False) -> Rate | None:
    """The rate limit as the headers have it, or None when they do not say it.

    A `spent` one has nothing left, whatever the header says: X has just refused for it.
    """
    limit, remaining, reset = (_number(headers, part) for part in ("limit", "remaining", "reset"))
    if reset is None or (remaining is None and not spent):
        return None
    left = 0 if spent else min(remaining or 0, _MOST_CALLS)
    return Rate(min(limit or 0, _MOST_CALLS), left, datetime.fromtimestamp(reset, UTC))


def _number(headers: Mapping[str, str], part: str) -> int | None:
    text = headers.get(f"x-rate-limit-{part}", "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 11 else None

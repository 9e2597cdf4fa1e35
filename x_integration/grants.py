"""What X's token endpoint answers: a pair of tokens, or why there is none (docs/X-API.md, Connecting)."""

from __future__ import annotations

import re
from base64 import b64encode
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.conf import settings

from revfirst.storable import storable_text
from x_integration.answers import reset_at, without_secrets
from x_integration.errors import XClientRefused, XGrantRefused, XReadFailed, XTokenUnspent

if TYPE_CHECKING:
    from collections.abc import Mapping

    from x_integration.transport import Answer

_TOKEN = re.compile(r"[\x21-\x7e]+")
_LONGEST_LIFE_SECONDS = 366 * 24 * 3600


@dataclass(frozen=True)
class TokenPair:
    """What X's token endpoint grants. `refresh_token` is None when X sent none or a blank one."""

    access_token: str = field(repr=False)
    refresh_token: str | None = field(repr=False)
    expires_in: timedelta
    scope: str
    token_type: str


def refresh_error(answer: Answer, form: Mapping[str, str]) -> XGrantRefused | XReadFailed:
    """What an answer that renewed nothing means (docs/X-API.md, Connecting).

    X says `invalid_request` for a dead grant and for a bad request alike, so the error and its
    description are read together.
    """
    status, said = answer.status, oauth_error(answer, form)
    body = answer.json if isinstance(answer.json, dict) else {}
    error, words = str(body.get("error")), str(body.get("error_description")).lower()
    dead = error == "invalid_grant" or (error == "invalid_request" and "token was invalid" in words)
    if status == 400 and dead:
        return XGrantRefused(f"X refused the refresh token ({said}).")
    if status == 401 or error in ("invalid_client", "unauthorized_client"):
        return XClientRefused(f"X did not accept our client id and secret ({status}).")
    code, sentence = f"x_token_{status}", f"X did not renew the tokens ({said})."
    if 400 <= status < 500 and status != 408:
        return XTokenUnspent(sentence, code=code, retry_at=reset_at(answer.headers))
    return XReadFailed(sentence, code=code)


def token_pair(answer: Answer) -> TokenPair:
    """The granted pair; `expires_in` may come as text, a refresh token may be missing or blank.

    What is no token is never stored, and nothing beside the tokens may keep a pair from being
    stored: the one before it is spent.
    """
    body = answer.json if isinstance(answer.json, dict) else {}
    access = _token(body.get("access_token"))
    if access is None:
        raise XReadFailed("X granted tokens that cannot be read.", code="x_token_broken")
    return TokenPair(
        access_token=access,
        refresh_token=_token(body.get("refresh_token")),
        expires_in=_life(body.get("expires_in")),
        scope=storable_text(str(body.get("scope") or ""))[:500],
        token_type=storable_text(str(body.get("token_type") or "bearer"))[:20],
    )


def _token(value: Any) -> str | None:
    """A token, or None when it is missing, blank or nothing that a header could carry."""
    token = value.strip() if isinstance(value, str) else ""
    return token if _TOKEN.fullmatch(token) else None


def _life(value: Any) -> timedelta:
    """How long an access token lives; two hours, as X documents, when X does not say it."""
    text = str(value)
    seconds = int(text) if text.isascii() and text.isdecimal() and len(text) < 12 else 0
    return timedelta(seconds=min(seconds or 7200, _LONGEST_LIFE_SECONDS))


def oauth_error(answer: Answer, form: Mapping[str, str]) -> str:
    """X's own words, cut: `400 invalid_request: Value passed for the token was invalid.`

    What we sent is taken out of them: it may be a code or a token.
    """
    body = answer.json if isinstance(answer.json, dict) else {}
    said = [str(body[key]) for key in ("error", "error_description") if body.get(key)]
    ours = f"{settings.X_CLIENT_ID}:{settings.X_CLIENT_SECRET}"
    sent = [
        form[name] for name in form.keys() & {"code", "code_verifier", "refresh_token", "token"}
    ]
    sent += [settings.X_CLIENT_SECRET, b64encode(ours.encode()).decode()]
    said = [storable_text(without_secrets(words, sent)) for words in said]
    return f"{answer.status} {': '.join(words[:120] for words in said)}".strip()

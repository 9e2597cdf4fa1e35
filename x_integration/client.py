"""The only code that talks to X: one request per call, a deadline, and typed outcomes.

The client sorts every answer to a write into executed (a value comes back), XNotSent, XRejected or
XOutcomeUnknown, by the table in docs/X-API.md. It never retries a write, follows no
redirect, and begins with `outside_transaction()`.
"""

from __future__ import annotations

import json
import re
import time
from base64 import b64encode
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.cookiejar import DefaultCookiePolicy
from typing import TYPE_CHECKING, Any

import requests
from django.conf import settings

from revfirst.db import outside_transaction
from revfirst.storable import storable_text
from x_integration.answers import (
    Problem,
    Rate,
    rate_of,
    reset_at,
    without_secrets,
    write_error,
)
from x_integration.errors import (
    ConnectFailed,
    XClientRefused,
    XGrantRefused,
    XNotSent,
    XOutcomeUnknown,
    XReadFailed,
    XTokenUnspent,
    XUnauthorized,
)
from x_integration.payloads import FIELDS, Page, Post, is_id, parse_page
from x_integration.transport import Flight, Transport, in_flight

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

CONNECT_SECONDS, READ_SECONDS, TOTAL_SECONDS = 5, 20, 25
MAX_BODY_BYTES = 8_000_000
MAX_PAGES = 1000
CREATE_POST = "POST /2/tweets"
_TOKEN = re.compile(r"[\x21-\x7e]+")
_ID_IN_PATH = re.compile(r"(?<=[a-z])/[0-9]+(?=/|$)")  # the version comes after nothing
_LONGEST_LIFE_SECONDS = 366 * 24 * 3600


@dataclass(frozen=True)
class TokenPair:
    """What X's token endpoint grants. `refresh_token` is None when X sent none or a blank one."""

    access_token: str = field(repr=False)
    refresh_token: str | None = field(repr=False)
    expires_in: timedelta
    scope: str
    token_type: str


@dataclass(frozen=True)
class Answer:
    """A complete HTTP answer; `json` is None when the body is not JSON."""

    status: int
    json: Any = field(repr=False)  # tokens travel in it
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


class XClient:
    """X over HTTP. One instance per thread: a `requests.Session` keeps its connections."""

    def __init__(self, session: requests.Session | None = None) -> None:
        """`session` is for tests and pools; it is told to read no proxies or .netrc.

        It keeps no cookies either: one client speaks for many accounts.
        """
        self._rates: dict[str, Rate] = {}
        self._session = session or requests.Session()
        self._session.trust_env = False
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))
        for scheme in ("https://", "http://"):
            self._session.mount(scheme, Transport())

    def create_post(
        self, text: str, *, in_reply_to: str | None, access_token: str, begin_before: float
    ) -> str:
        """Publish and return the new post's id.

        `begin_before` is on `time.monotonic()`: a request that has not begun by then is not sent.
        Raises XNotSent (XUnauthorized for a 401), XRejected or XOutcomeUnknown.
        """
        outside_transaction()
        body: dict[str, Any] = {"text": text}
        if in_reply_to:
            body["reply"] = {"in_reply_to_tweet_id": in_reply_to}
        flight = Flight(time.monotonic() + TOTAL_SECONDS, begin_before)
        flight.check_can_begin()
        try:
            answer = self._call(*CREATE_POST.split(), token=access_token, flight=flight, json=body)
        except requests.RequestException as error:
            raise _lost_write(error, flight) from None
        post_id = _created_id(answer)
        if post_id is None:
            problem = Problem.of(answer.status, answer.json, answer.headers, sent=[access_token])
            raise write_error(problem)
        return post_id

    def take_rates(self) -> dict[str, Rate]:
        """What X's rate headers said since this was last asked, by endpoint (`GET /2/users/{id}/tweets`).

        They belong to the account whose token was used: whoever calls for one account takes them after it.
        """
        taken, self._rates = self._rates, {}
        return taken

    def me(self, access_token: str) -> tuple[str, str]:
        """The id and the username of the account that the token belongs to. Raises XReadFailed."""
        data = self._read("/2/users/me", access_token).get("data")
        known = data if isinstance(data, dict) else {}
        user_id, username = str(known.get("id", "")), str(known.get("username", ""))
        if not is_id(user_id) or not re.fullmatch(r"\w{1,50}", username):
            raise XReadFailed("X did not say whose token this is.")
        return user_id, username

    def post(self, post_id: str, *, access_token: str) -> Post | None:
        """One post, or None when X does not show it to us. Raises XReadFailed."""
        query = {"ids": post_id, **FIELDS[settings.X_FIELD_DIALECT]}
        page = parse_page({"meta": {}, **self._read("/2/tweets", access_token, query)})
        return next((post for post in page.posts if post.id == post_id), None)

    def mentions(self, user_id: str, *, access_token: str, since_id: str = "") -> Iterator[Page]:
        """Pages of posts that mention the user, newest first; X shows 800. Raises XReadFailed."""
        params = {"max_results": "100", **({"since_id": since_id} if since_id else {})}
        return self._pages(f"/2/users/{user_id}/mentions", params, access_token)

    def timeline(self, user_id: str, *, access_token: str, start_time: datetime) -> Iterator[Page]:
        """Pages of the user's own posts since `start_time` (UTC), newest first; X shows 3,200.

        Raises XReadFailed.
        """
        since = start_time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        params = {"max_results": "100", "start_time": since}
        return self._pages(f"/2/users/{user_id}/tweets", params, access_token)

    def exchange_code(self, code: str, *, verifier: str) -> TokenPair:
        """Turn the callback's code (good for 30 s) into tokens. Raises ConnectFailed, XReadFailed."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": settings.X_REDIRECT_URI,
            "code_verifier": verifier,
        }
        answer = self._token_call(settings.X_TOKEN_URL, form)
        if answer.status != 200:
            raise ConnectFailed(f"X did not accept the code ({_oauth_error(answer, form)}).")
        return _token_pair(answer)

    def refresh_token(self, refresh_token: str) -> TokenPair:
        """Rotate the tokens.

        Raises XGrantRefused (dead grant), XTokenUnspent (certainly not renewed; XClientRefused when
        our own credentials are wrong) or XReadFailed (nobody knows whether the token is spent).
        """
        form = {"grant_type": "refresh_token", "refresh_token": refresh_token}
        answer = self._token_call(settings.X_TOKEN_URL, form)
        if 200 <= answer.status < 300:
            return _token_pair(answer)
        raise _refresh_error(answer, form)

    def revoke_token(self, token: str) -> None:
        """Tell X that the token is no longer used. Raises XReadFailed."""
        form = {"token": token}
        answer = self._token_call(settings.X_REVOKE_URL, form)
        if answer.status != 200:
            raise XReadFailed(f"X did not revoke ({_oauth_error(answer, form)}).")

    def _pages(self, path: str, params: dict[str, str], token: str) -> Iterator[Page]:
        """Every page: only a missing `next_token` is the end, a short page is not."""
        query, turned = {**params, **FIELDS[settings.X_FIELD_DIALECT]}, set[str]()
        while True:
            page = parse_page(self._read(path, token, query))
            yield page
            if not page.next_token:
                return
            if page.next_token in turned or len(turned) >= MAX_PAGES:
                raise XReadFailed("X sent pages that have no end.", code="x_broken_page")
            turned.add(page.next_token)
            query["pagination_token"] = page.next_token

    def _read(self, path: str, token: str, params: dict[str, str] | None = None) -> Any:
        outside_transaction()
        try:
            answer = self._call("GET", path, token=token, params=params)
        except requests.RequestException as error:
            raise XReadFailed(f"X did not answer ({type(error).__name__}).") from None
        if answer.status == 401:
            raise XUnauthorized("X did not accept the access token.")
        if answer.status != 200 or not isinstance(answer.json, dict):
            raise XReadFailed(f"X answered {answer.status}.", code=f"x_read_{answer.status}")
        return answer.json

    def _token_call(self, url: str, form: dict[str, str]) -> Answer:
        outside_transaction()
        basic = (settings.X_CLIENT_ID, settings.X_CLIENT_SECRET)
        flight = Flight(time.monotonic() + TOTAL_SECONDS)
        try:
            flight.check_can_begin()
            return self._send("POST", url, data=form, auth=basic, flight=flight)
        except XNotSent as error:
            raise XTokenUnspent("It was too late to ask X.", code="lease_ran_out") from error
        except requests.RequestException as error:
            if flight.unsent:
                raise XTokenUnspent("X could not be reached.", code="x_unreachable") from None
            raise XReadFailed(
                f"X's token endpoint did not answer ({type(error).__name__}).", code="x_token_lost"
            ) from None

    def _call(self, method: str, path: str, *, token: str, **parts: Any) -> Answer:
        headers = {"Authorization": f"Bearer {token}"}
        answer = self._send(method, settings.X_API_BASE_URL + path, headers=headers, **parts)
        if rate := rate_of(answer.headers, spent=answer.status == 429):
            self._rates[endpoint_of(method, path)] = rate
        return answer

    def _send(self, method: str, url: str, *, flight: Flight | None = None, **parts: Any) -> Answer:
        """One request and its whole answer within the deadline."""
        with (
            in_flight(flight or Flight(time.monotonic() + TOTAL_SECONDS)),
            self._session.request(
                method,
                url,
                timeout=(CONNECT_SECONDS, READ_SECONDS),
                allow_redirects=False,
                stream=True,
                **parts,
            ) as response,
        ):
            body = b""
            for chunk in response.iter_content(65_536):
                body += chunk
                if len(body) > MAX_BODY_BYTES:
                    raise requests.RequestException("The answer is too large.")
            return Answer(response.status_code, _json(body), response.headers, body)


def endpoint_of(method: str, path: str) -> str:
    """The name under which X counts such calls: `GET /2/users/{id}/tweets` of anybody's."""
    return f"{method} {_ID_IN_PATH.sub('/{id}', path)}"


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _created_id(answer: Answer) -> str | None:
    if not 200 <= answer.status < 300 or not isinstance(answer.json, dict):
        return None
    data = answer.json.get("data")
    post_id = str(data.get("id")) if isinstance(data, dict) else ""
    return post_id if is_id(post_id) else None


def _lost_write(error: requests.RequestException, flight: Flight) -> XNotSent | XOutcomeUnknown:
    """No answer: proven not sent when it ended before the request began (DNS, refusal, TLS)."""
    if flight.unsent:
        return XNotSent("X could not be reached.", code="x_unreachable")
    return XOutcomeUnknown(f"The answer was lost ({type(error).__name__}).", code="x_answer_lost")


def _refresh_error(answer: Answer, form: Mapping[str, str]) -> XGrantRefused | XReadFailed:
    """What an answer that renewed nothing means (docs/X-API.md, Connecting).

    X says `invalid_request` for a dead grant and for a bad request alike, so the error and its
    description are read together.
    """
    status, said = answer.status, _oauth_error(answer, form)
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


def _token_pair(answer: Answer) -> TokenPair:
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


def _oauth_error(answer: Answer, form: Mapping[str, str]) -> str:
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

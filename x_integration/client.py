"""The only code that talks to X: one request per call, a deadline, and typed outcomes.

The client sorts every answer to a write into executed (a value comes back), XNotSent, XRejected or
XOutcomeUnknown, by the table in docs/X-API.md. It never retries a write, follows no
redirect, and begins with `outside_transaction()`.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from http.cookiejar import DefaultCookiePolicy
from typing import TYPE_CHECKING, Any

import requests
from django.conf import settings

from revfirst.db import outside_transaction
from x_integration.answers import Problem, Rate, rate_of, read_error, write_error
from x_integration.errors import (
    ConnectFailed,
    XNotSent,
    XOutcomeUnknown,
    XReadFailed,
    XTokenUnspent,
    XUnauthorized,
)
from x_integration.grants import TokenPair, oauth_error, refresh_error, token_pair
from x_integration.payloads import FIELDS, Page, Post, is_id, parse_page
from x_integration.snowflakes import first_id_at
from x_integration.transport import Answer, Flight, Transport, in_flight

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["CREATE_POST", "LOOK_UP", "Answer", "TokenPair", "Window", "XClient", "endpoint_of"]
CONNECT_SECONDS, READ_SECONDS, TOTAL_SECONDS = 5, 20, 25
MAX_BODY_BYTES = 8_000_000
MAX_PAGES = 1000
CREATE_POST, LOOK_UP = "POST /2/tweets", "GET /2/tweets"
LARGEST_PAGE = 100
SEARCHED_BACK = timedelta(days=7) - timedelta(minutes=5)
_ID_IN_PATH = re.compile(r"(?<=[a-z])/[0-9]+(?=/|$)")  # the version comes after nothing


@dataclass(frozen=True)
class Window:
    """Which posts to show: ids strictly between two, and how many on a page, asked before each."""

    since_id: str = ""
    until_id: str = ""
    page_size: Callable[[], int] = lambda: LARGEST_PAGE

    @property
    def params(self) -> dict[str, str]:
        """What X is told of it, but for the page."""
        ids = {"since_id": self.since_id, "until_id": self.until_id}
        return {name: post_id for name, post_id in ids.items() if post_id}


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

    def rate(self, endpoint: str) -> Rate | None:
        """What X's headers said last of the endpoint, since they were taken."""
        return self._rates.get(endpoint)

    def me(self, access_token: str) -> tuple[str, str]:
        """The id and the username of the account that the token belongs to. Raises XReadFailed."""
        data = self._read("/2/users/me", access_token).get("data")
        known = data if isinstance(data, dict) else {}
        user_id, username = str(known.get("id", "")), str(known.get("username", ""))
        if not is_id(user_id) or not re.fullmatch(r"\w{1,50}", username):
            raise XReadFailed("X did not say whose token this is.")
        return user_id, username

    def post(self, post_id: str, *, access_token: str) -> Post | None:
        """One post, or None when X does not show it to everybody. Raises XReadFailed."""
        page = self.posts([post_id], access_token=access_token)
        return next((post for post in page.public_posts if post.id == post_id), None)

    def posts(self, post_ids: Iterable[str], *, access_token: str) -> Page:
        """At most a hundred posts by their ids, and which of them X shows no longer. Raises XReadFailed."""
        query = {"ids": ",".join(post_ids), **FIELDS[settings.X_FIELD_DIALECT]}
        body = self._read(LOOK_UP.split()[1], access_token, query)
        return parse_page({"meta": {}, **body}, sent=[access_token])

    def mentions(
        self, user_id: str, window: Window | None = None, *, access_token: str
    ) -> Iterator[Page]:
        """Pages of posts that mention the user, newest first; X shows 800. Raises XReadFailed."""
        path = f"/2/users/{user_id}/mentions"
        return self._pages(path, {}, access_token, window or Window())

    def search(
        self, query: str, window: Window, *, access_token: str, now: datetime
    ) -> Iterator[Page]:
        """Pages of posts of the last seven days that match, newest first. Raises XReadFailed.

        X refuses to be asked for what is older.
        """
        since = max(int(window.since_id or 0), first_id_at(now - SEARCHED_BACK))
        within = replace(window, since_id=str(since))
        return self._pages("/2/tweets/search/recent", {"query": query}, access_token, within)

    def timeline(self, user_id: str, *, access_token: str, start_time: datetime) -> Iterator[Page]:
        """Pages of the user's own posts since `start_time` (UTC), newest first; X shows 3,200.

        Raises XReadFailed.
        """
        since = start_time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return self._pages(f"/2/users/{user_id}/tweets", {"start_time": since}, access_token)

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
            raise ConnectFailed(f"X did not accept the code ({oauth_error(answer, form)}).")
        return token_pair(answer)

    def refresh_token(self, refresh_token: str) -> TokenPair:
        """Rotate the tokens.

        Raises XGrantRefused (dead grant), XTokenUnspent (certainly not renewed; XClientRefused when
        our own credentials are wrong) or XReadFailed (nobody knows whether the token is spent).
        """
        form = {"grant_type": "refresh_token", "refresh_token": refresh_token}
        answer = self._token_call(settings.X_TOKEN_URL, form)
        if 200 <= answer.status < 300:
            return token_pair(answer)
        raise refresh_error(answer, form)

    def revoke_token(self, token: str) -> None:
        """Tell X that the token is no longer used. Raises XReadFailed."""
        form = {"token": token}
        answer = self._token_call(settings.X_REVOKE_URL, form)
        if answer.status != 200:
            raise XReadFailed(f"X did not revoke ({oauth_error(answer, form)}).")

    def _pages(
        self, path: str, params: dict[str, str], token: str, window: Window | None = None
    ) -> Iterator[Page]:
        """Every page: only a missing `next_token` is the end, a short page is not.

        With a `window` they are read to be stored.
        """
        is_stored_next, window = window is not None, window or Window()
        query = {**params, **window.params, **FIELDS[settings.X_FIELD_DIALECT]}
        turned = set[str]()
        while True:
            query["max_results"] = str(window.page_size())
            body = self._read(path, token, query)
            page = parse_page(body, sent=[token], is_stored_next=is_stored_next)
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
            raise read_error(answer.status, answer.json, answer.headers)
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

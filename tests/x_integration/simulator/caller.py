"""Speaks to the simulator's X endpoints as an app would, with nothing of ours in between."""

import base64
import hashlib
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

import requests

from x_integration.simulator.process import SimulatorProcess, TokenPair

SCOPE = "tweet.read tweet.write users.read offline.access"
VERIFIER = "v" * 64


@dataclass
class Caller:
    """One account's app."""

    simulator: SimulatorProcess
    tokens: TokenPair

    @property
    def id(self) -> str:
        return self.tokens.user_id

    def call(
        self, method: str, path: str, *, timeout: float = 10, **options: Any
    ) -> requests.Response:
        return requests.request(
            method,
            self.simulator.base_url + path,
            headers=self.tokens.headers,
            timeout=timeout,
            **options,
        )

    def get(self, path: str, **params: Any) -> requests.Response:
        """Underscores before `fields` stand for the dot: tweet_fields="lang"."""
        query = {name.replace("_fields", ".fields"): value for name, value in params.items()}
        return self.call("GET", path, params=query)

    def post(self, text: str, **body: Any) -> requests.Response:
        return self.call("POST", "/2/tweets", json={"text": text, **body})

    def reply(self, text: str, to: str) -> requests.Response:
        return self.post(text, reply={"in_reply_to_tweet_id": to})

    def delete(self, post_id: str) -> requests.Response:
        return self.call("DELETE", f"/2/tweets/{post_id}")

    def mentions(self, **params: Any) -> dict[str, Any]:
        return dict(self.get(f"/2/users/{self.id}/mentions", **params).json())

    def timeline(self, **params: Any) -> dict[str, Any]:
        return dict(self.get(f"/2/users/{self.id}/tweets", **params).json())


def consent_form(simulator: SimulatorProcess, **changes: str) -> dict[str, str]:
    """A valid request for consent, with changes."""
    digest = hashlib.sha256(VERIFIER.encode()).digest()
    form = {
        "response_type": "code",
        "client_id": simulator.client_id,
        "redirect_uri": simulator.redirect_uri,
        "scope": SCOPE,
        "state": "some-state",
        "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
        "code_challenge_method": "S256",
    }
    return form | changes


def decide(
    simulator: SimulatorProcess, user: str, decision: str = "allow", **changes: str
) -> requests.Response:
    """Press a button on the consent page."""
    form = consent_form(simulator, **changes) | {"user": user, "decision": decision}
    url = f"{simulator.base_url}/i/oauth2/authorize"
    return requests.post(url, data=form, allow_redirects=False, timeout=10)


def redirected(answer: requests.Response) -> dict[str, str]:
    """The parameters of a redirect."""
    query = parse_qs(urlsplit(answer.headers["Location"]).query)
    return {name: values[0] for name, values in query.items()}


def code_for(simulator: SimulatorProcess, user: str, **changes: str) -> str:
    return redirected(decide(simulator, user, **changes))["code"]


def ask_token(
    simulator: SimulatorProcess, *, basic: bool = True, path: str = "token", **form: str
) -> requests.Response:
    """POST /2/oauth2/token, or another path beside it."""
    return post_token_form(simulator, path, form, basic=basic)


def post_token_form(
    simulator: SimulatorProcess, path: str, form: dict[str, str], *, basic: bool = True
) -> requests.Response:
    auth = (simulator.client_id, simulator.client_secret) if basic else None
    url = f"{simulator.base_url}/2/oauth2/{path}"
    return requests.post(url, data=form, auth=auth, timeout=10)


def exchange(simulator: SimulatorProcess, code: str, **changes: str) -> requests.Response:
    form = {"grant_type": "authorization_code", "code": code, "code_verifier": VERIFIER}
    form |= {"redirect_uri": simulator.redirect_uri, **changes}
    return post_token_form(simulator, "token", form)


def refresh(simulator: SimulatorProcess, refresh_token: str | None) -> requests.Response:
    return ask_token(simulator, grant_type="refresh_token", refresh_token=refresh_token or "")

"""OAuth 2.0 with PKCE as X does it: the consent page and the token endpoint."""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Mapping
from urllib.parse import urlencode

from werkzeug.wrappers import Response

from x_integration.simulator.calls import Call, Route
from x_integration.simulator.grants import SCOPES, Code, IssuedTokens, TokenInvalid
from x_integration.simulator.pages import views
from x_integration.simulator.problems import Refusal, invalid_client, json_answer, oauth_error

_ASKED = (
    "response_type",
    "client_id",
    "redirect_uri",
    "scope",
    "state",
    "code_challenge",
    "code_challenge_method",
)
_MAX_STATE = 500


class _Wrong(Exception):
    """A request for consent that X would not show to a person; the text says why."""


def authorize_page(call: Call) -> Response:
    """The page on which a person says yes or no."""
    try:
        asked = _read_consent_request(call, call.query)
    except _Wrong as error:
        return views.consent_refused(str(error))
    return views.consent(call, asked)


def authorize(call: Call) -> Response:
    """The person's answer: a redirect with a code, or with access_denied."""
    form = call.request.form
    try:
        asked = _read_consent_request(call, form)
        user = call.simulator.state.world.user_named(form.get("user", ""))
        if form.get("decision") not in ("allow", "cancel"):
            raise _Wrong("The decision must be allow or cancel.")
        if form["decision"] == "cancel":
            return _redirect(asked, {"error": "access_denied", "state": asked["state"]})
        if user is None:
            raise _Wrong("There is no such user on this simulator.")
    except _Wrong as error:
        return views.consent_refused(str(error))
    code = call.simulator.state.grants.issue_code(
        user.id,
        asked["scope"],
        asked["redirect_uri"],
        asked["code_challenge"],
        call.now + int(call.simulator.settings.code_ttl_seconds * 1000),
    )
    return _redirect(asked, {"state": asked["state"], "code": code})


def _redirect(asked: Mapping[str, str], answer: dict[str, str]) -> Response:
    joint = "&" if "?" in asked["redirect_uri"] else "?"
    target = asked["redirect_uri"] + joint + urlencode(answer)
    return Response(b"", status=302, headers={"Location": target, "Cache-Control": "no-store"})


def _read_consent_request(call: Call, source: Mapping[str, str]) -> dict[str, str]:
    """The parameters of a valid request. Raises _Wrong: X shows its error page, never a redirect."""
    asked = {name: source.get(name, "") for name in _ASKED}
    client = call.simulator.client
    unknown = [scope for scope in asked["scope"].split() if scope not in SCOPES]
    objections = (
        (asked["client_id"] != client.id, "client_id is not the app's."),
        (asked["redirect_uri"] != client.redirect_uri, "redirect_uri is not the registered one."),
        (asked["response_type"] != "code", "response_type must be code."),
        (not asked["scope"].split(), "scope is missing."),
        (bool(unknown), "scope holds a word that X does not know."),
        (not 0 < len(asked["state"]) <= _MAX_STATE, "state must have 1 to 500 characters."),
        (asked["code_challenge_method"] != "S256", "code_challenge_method must be S256."),
        (
            not re.fullmatch(r"[A-Za-z0-9_-]{43}", asked["code_challenge"]),
            "code_challenge must be a SHA-256 in base64url without padding.",
        ),
    )
    for applies, objection in objections:
        if applies:
            raise _Wrong(objection)
    return asked


# --- the token endpoint -------------------------------------------------------------------------


def token(call: Call) -> Response:
    """Exchange a code, or rotate a refresh token."""
    _check_client(call)
    granted = _required(call, "grant_type")
    if granted == "authorization_code":
        return _tokens_answer(_exchange(call))
    if granted == "refresh_token":
        return _tokens_answer(_refresh(call))
    raise oauth_error(
        400,
        "unsupported_grant_type",
        f"Value passed for the grant type was invalid: {granted[:40]}.",
    )


def revoke(call: Call) -> Response:
    """Revoke a token; one that is unknown is as good as revoked (RFC 7009, 2.2)."""
    _check_client(call)
    call.simulator.state.grants.revoke(_required(call, "token"))
    return _uncached(json_answer({"revoked": True}))


def _exchange(call: Call) -> IssuedTokens:
    redirect_uri = _required(call, "redirect_uri")
    verifier = _required(call, "code_verifier")
    code = _required(call, "code")
    grants, settings = call.simulator.state.grants, call.simulator.settings
    try:
        known = grants.code(code, call.now)
        _check_verifier(known, verifier)
    except TokenInvalid:
        raise oauth_error(
            400, "invalid_request", "Value passed for the authorization code was invalid."
        ) from None
    if known.redirect_uri != redirect_uri:
        raise oauth_error(
            400,
            "invalid_request",
            "Value passed for the redirect uri did not match the uri of the authorization code.",
        )
    return grants.grant(
        known.user_id,
        known.scope,
        now=call.now,
        expires_in=settings.expires_in,
        code=code,
        alone=settings.one_grant_per_user,
    )


def _check_verifier(code: Code, verifier: str) -> None:
    digest = hashlib.sha256(verifier.encode()).digest()
    challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    if not re.fullmatch(r"[A-Za-z0-9._~-]{43,128}", verifier) or challenge != code.challenge:
        raise TokenInvalid


def _refresh(call: Call) -> IssuedTokens:
    refresh_token = _required(call, "refresh_token")
    try:
        return call.simulator.state.grants.rotate(
            refresh_token, now=call.now, expires_in=call.simulator.settings.expires_in
        )
    except TokenInvalid:
        raise oauth_error(
            400, "invalid_request", "Value passed for the token was invalid."
        ) from None


def _check_client(call: Call) -> None:
    """Basic authentication of the confidential client. Raises Refusal (401)."""
    scheme, _, encoded = call.request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "basic":
        raise oauth_error(401, "unauthorized_client", "Missing valid authorization header")
    try:
        given = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        given = b""
    client = call.simulator.client
    if not hmac.compare_digest(given, f"{client.id}:{client.secret}".encode()):
        raise invalid_client()


def _required(call: Call, name: str) -> str:
    if value := call.request.form.get(name, ""):
        return value
    raise _missing(name)


def _missing(name: str) -> Refusal:
    return oauth_error(400, "invalid_request", f"Missing required parameter [{name}].")


def _tokens_answer(issued: IssuedTokens) -> Response:
    body: dict[str, str | int] = {
        "token_type": "bearer",
        "expires_in": issued.expires_in,
        "access_token": issued.access_token,
        "scope": issued.scope,
    }
    if issued.refresh_token is not None:
        body["refresh_token"] = issued.refresh_token
    return _uncached(json_answer(body))


def _uncached(answer: Response) -> Response:
    answer.headers["Cache-Control"] = "no-store"
    return answer


ROUTES = [
    Route("GET", "/i/oauth2/authorize", authorize_page),
    Route("POST", "/i/oauth2/authorize", authorize),
    Route("POST", "/2/oauth2/token", token),
    Route("POST", "/2/oauth2/revoke", revoke),
]

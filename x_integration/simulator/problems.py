"""X's refusals, with X's own texts.

Where X's specification and what is seen on the wire differ, the wire wins: most 401, 403 and 429
bodies are `about:blank` problems, which the specification does not list.
"""

import json
from http import HTTPStatus
from typing import Any

from werkzeug.wrappers import Response

SUMMON_TEXT = "You can only reply to or quote posts where you are mentioned or are the author."
REPLY_SETTINGS_TEXT = (
    "Reply to this conversation is not allowed because you have not been mentioned or otherwise "
    "engaged by the author of the post you are replying to."
)
TARGET_GONE_TEXT = "You attempted to reply to a Tweet that is deleted or not visible to you."
DUPLICATE_TEXT = "You are not allowed to create a Tweet with duplicate content."
SUSPENDED_TEXT = "Your account is suspended and is not permitted to access this feature."
CASHTAG_TEXT = "You are not allowed to create a Post with more than one cashtag."
DELETE_TEXT = "You are not authorized to delete this Tweet."
_STATUSES = {status.value for status in HTTPStatus}
_INVALID_DETAIL = "One or more parameters to your request was invalid."


class Refusal(Exception):
    """An answer other than 2xx, to be sent as it is."""

    def __init__(
        self, status: int, body: dict[str, Any], content_type: str = "application/problem+json"
    ) -> None:
        super().__init__(status)
        self.status, self.body, self.content_type = status, body, content_type

    def response(self) -> Response:
        return json_answer(self.body, self.status, self.content_type)


def json_answer(
    body: Any, status: int = 200, content_type: str = "application/json; charset=utf-8"
) -> Response:
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    return Response(text, status=status, content_type=content_type)


def problem_type(name: str, dialect: str) -> str:
    """The `type` of a problem: both hosts occur, the older one beside the older words."""
    host = "api.x.com" if dialect == "new" else "api.twitter.com"
    return f"https://{host}/2/problems/{name}"


def blank(status: int, title: str, detail: str | None = None) -> Refusal:
    """The most frequent shape on the wire."""
    body = {"title": title, "detail": detail or title, "type": "about:blank", "status": status}
    return Refusal(status, body)


def unauthorized() -> Refusal:
    return blank(401, "Unauthorized")


def forbidden(detail: str = "Forbidden") -> Refusal:
    """Without a detail of its own: the token lacks a scope."""
    return blank(403, "Forbidden", detail)


def too_many_requests() -> Refusal:
    return blank(429, "Too Many Requests")


def server_error(status: int) -> Refusal:
    """5xx as a problem; the edge in front of it may also send a page, or nothing."""
    return blank(status, HTTPStatus(status).phrase if status in _STATUSES else "Error")


def no_credits(*, dialect: str) -> Refusal:
    """402, without a `status` in its body: reported, and missing from X's own table of codes."""
    body = {
        "title": "CreditsDepleted",
        "detail": "Your enrolled account [1] does not have any credits to fulfill this request.",
        "type": problem_type("credits", dialect),
    }
    return Refusal(402, body)


def usage_capped(*, dialect: str) -> Refusal:
    """429 for the whole app until the month's end."""
    body = {
        "title": "UsageCapExceeded",
        "detail": "Usage cap exceeded: Monthly product cap",
        "type": problem_type("usage-capped", dialect),
        "period": "Monthly",
        "scope": "Product",
    }
    return Refusal(429, body)


def invalid_client() -> Refusal:
    """The token endpoint's 401: an app that X does not know, or a wrong secret."""
    return oauth_error(401, "invalid_client", "Value passed for the client was invalid.")


def invalid_request(
    message: str, parameters: dict[str, list[str]] | None = None, *, dialect: str
) -> Refusal:
    """400 with X's list of what was wrong."""
    error: dict[str, Any] = {"message": message}
    if parameters:
        error["parameters"] = parameters
    body = {
        "errors": [error],
        "title": "Invalid Request",
        "detail": _INVALID_DETAIL,
        "type": problem_type("invalid-request", dialect),
    }
    return Refusal(400, body)


def not_found(kind: str, parameter: str, value: str, *, dialect: str) -> dict[str, Any]:
    """One entry for `errors`: kind is "user" or "tweet", which stays X's word in both dialects."""
    return {
        "value": value,
        "detail": f"Could not find {kind} with {parameter}: [{value}].",
        "title": "Not Found Error",
        "resource_type": kind,
        "parameter": parameter,
        "resource_id": value,
        "type": problem_type("resource-not-found", dialect),
    }


def not_authorized(kind: str, parameter: str, value: str, *, dialect: str) -> dict[str, Any]:
    """One entry for `errors`: it is there, and it is protected."""
    return {
        "value": value,
        "detail": f"Sorry, you are not authorized to see the {kind} with {parameter}: [{value}].",
        "title": "Authorization Error",
        "resource_type": kind,
        "parameter": parameter,
        "resource_id": value,
        "section": "data",
        "type": problem_type("not-authorized-for-resource", dialect),
    }


def oauth_error(status: int, error: str, description: str) -> Refusal:
    """The token endpoint's own shape (RFC 6749, 5.2)."""
    body = {"error": error, "error_description": description}
    return Refusal(status, body, "application/json; charset=utf-8")

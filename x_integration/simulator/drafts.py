"""The body of POST /2/tweets: read as strictly as X's schema is, refused in the manner of its validator."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from x_integration.simulator.problems import Refusal, invalid_request

_SNOWFLAKE = re.compile(r"[0-9]{1,19}")
REPLY_SETTINGS = ("following", "mentionedUsers", "subscribers", "verified")
_BOOLEANS = {"made_with_ai", "paid_partnership"}
# X knows these; nothing on this machine stands behind them.
_NOT_SIMULATED = {
    "card_uri",
    "community_id",
    "direct_message_deep_link",
    "edit_options",
    "for_super_followers_only",
    "geo",
    "media",
    "nullcast",
    "poll",
    "share_with_followers",
}
_REPLY_FIELDS = {"in_reply_to_tweet_id", "exclude_reply_user_ids", "auto_populate_reply_metadata"}


@dataclass(frozen=True, slots=True)
class Draft:
    """A post that somebody wants to make."""

    text: str
    reply_to: int | None
    excluded: tuple[int, ...]
    quotes: int | None
    reply_settings: str


def read_draft(content_type: str, body: bytes, *, dialect: str) -> Draft:
    """The draft in a request body. Raises Refusal (400) for everything X's schema forbids."""
    return _Reader(dialect).read(content_type, body)


class _Reader:
    def __init__(self, dialect: str) -> None:
        self._dialect = dialect

    def read(self, content_type: str, body: bytes) -> Draft:
        fields = self._object(content_type, body)
        checks: dict[str, Callable[[str, Any], None]] = {
            "text": self._text,
            "reply": self._reply,
            "quote_tweet_id": self._snowflake,
            "reply_settings": self._reply_setting,
            **dict.fromkeys(_BOOLEANS, self._boolean),
            **dict.fromkeys(_NOT_SIMULATED, self._not_simulated),
        }
        for name, value in fields.items():
            if name not in checks:
                raise self._undefined(f"$.{name}")
            checks[name](f"$.{name}", value)
        reply = fields.get("reply", {})
        return Draft(
            text=fields.get("text", ""),
            reply_to=int(reply["in_reply_to_tweet_id"]) if reply else None,
            excluded=tuple(
                int(each) for each in reply.get("exclude_reply_user_ids", ()) if _is_id(each)
            ),
            quotes=int(fields["quote_tweet_id"]) if "quote_tweet_id" in fields else None,
            reply_settings=fields.get("reply_settings", "everyone"),
        )

    def _object(self, content_type: str, body: bytes) -> dict[str, Any]:
        if content_type != "application/json":
            raise self._refuse("Requests with bodies must have content-type of application/json.")
        try:
            fields = json.loads(body)
        except (ValueError, RecursionError):
            raise self._refuse("The request body is not valid JSON.") from None
        if not isinstance(fields, dict):
            raise self._refuse("$: is of another type than the expected object")
        return fields

    def _text(self, where: str, value: Any) -> None:
        if not isinstance(value, str):
            raise self._wrong_type(where, value, "string")
        try:
            value.encode()
        except UnicodeEncodeError:
            raise self._refuse(f"{where}: is not valid Unicode") from None

    def _boolean(self, where: str, value: Any) -> None:
        if not isinstance(value, bool):
            raise self._wrong_type(where, value, "boolean")

    def _snowflake(self, where: str, value: Any) -> None:
        if not isinstance(value, str):
            raise self._wrong_type(where, value, "string")
        if not _is_id(value):
            raise self._refuse(
                f"{where}: does not match the regex pattern ^[0-9]{{1,19}}$", {where: [value]}
            )

    def _reply_setting(self, where: str, value: Any) -> None:
        if value not in REPLY_SETTINGS:
            raise self._refuse(
                f"{where}: does not have a value in the enumeration [{', '.join(REPLY_SETTINGS)}]",
                {where: [str(value)]},
            )

    def _reply(self, where: str, value: Any) -> None:
        if not isinstance(value, dict):
            raise self._wrong_type(where, value, "object")
        for name in value:
            if name not in _REPLY_FIELDS:
                raise self._undefined(f"{where}.{name}")
        if "in_reply_to_tweet_id" not in value:
            raise self._refuse(f"{where}.in_reply_to_tweet_id: is missing but it is required")
        self._snowflake(f"{where}.in_reply_to_tweet_id", value["in_reply_to_tweet_id"])
        excluded = value.get("exclude_reply_user_ids", [])
        name = f"{where}.exclude_reply_user_ids"
        if not isinstance(excluded, list):
            raise self._wrong_type(name, excluded, "array")
        for number, each in enumerate(excluded):
            if not isinstance(each, str):
                raise self._wrong_type(f"{name}[{number}]", each, "string")
        automatic = "auto_populate_reply_metadata"
        if automatic in value:
            self._boolean(f"{where}.{automatic}", value[automatic])

    def _not_simulated(self, where: str, value: Any) -> None:
        raise self._refuse(f"{where}: the local X simulator has nothing behind this field")

    def _undefined(self, where: str) -> Refusal:
        return self._refuse(
            f"{where}: is not defined in the schema and the schema does not allow additional properties"
        )

    def _wrong_type(self, where: str, value: Any, expected: str) -> Refusal:
        return self._refuse(f"{where}: {_json_type(value)} found, {expected} expected")

    def _refuse(self, message: str, parameters: dict[str, list[str]] | None = None) -> Refusal:
        return invalid_request(message, parameters, dialect=self._dialect)


def _json_type(value: Any) -> str:
    """What JSON calls the value."""
    names = {bool: "boolean", str: "string", list: "array", dict: "object", int: "integer"}
    return names.get(type(value), "null" if value is None else "number")


def _is_id(value: str) -> bool:
    return _SNOWFLAKE.fullmatch(value) is not None and value.isascii()

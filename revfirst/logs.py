"""One log line is one JSON object: a constant event plus what `extra` says, without secrets."""

import json
import logging
import re
from datetime import UTC, datetime
from typing import Any

_STANDARD = set(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_SECRET_NAME = re.compile(
    r"authorization|cookie|token|secret|passw(or)?d|verifier|(api|encryption|internal)[_-]?key|"
    r"^code$|^dsn$",
    re.IGNORECASE,
)
# In running text a credential is known by what stands before it. Bounded: no text takes long to read.
_URL_PASSWORD = re.compile(
    r"(?P<name>\b[a-z][a-z0-9+.-]{0,20}://[^\s:/@]{0,200}:)[^\s/]+(?=@)", re.IGNORECASE
)
_COOKIES = re.compile(r"""(?P<name>\bcookie["'\\]*\s*[=:]\s*["']?)[^\r\n"']+""", re.IGNORECASE)
_SECRET_VALUE = re.compile(
    r"""
    (?P<name>
        (?: \b authorization ["'\\]* \s* [=:] \s* ["'\\]* (?: (?:bearer|basic) \s+ )?
          | \b (?:bearer|basic) \s+
          | \b [\w-]{0,40} (?: token | secret | passw(?:or)?d | verifier
                             | (?:api|secret|encryption|internal)[_-]?key ) ["'\\]* \s* [=:] \s*
          | \b (?:code|state) =     # of a callback's query string
          | /bot \d+ :              # of an address at Telegram
        )
        (?P<quote> \\*["'] )?
    )
    (?(quote) (?: (?!(?P=quote)) (?: \\. | [^\\] ) )*
            | (?: [^\s"'\\&,;)}\]] | ,(?=\w) )+
    )
    """,
    re.IGNORECASE | re.VERBOSE | re.DOTALL,
)
_API_KEY = re.compile(r"(?P<name>\brf_[0-9a-f]{8}_)[\w-]+")
HIDDEN = "[hidden]"


def redact(text: str) -> str:
    """`text` without the values of credentials that it names (query strings and headers too)."""
    for pattern in (_URL_PASSWORD, _COOKIES, _API_KEY, _SECRET_VALUE):
        text = pattern.sub(rf"\g<name>{HIDDEN}", text)
    return text


def redact_value(name: str, value: Any, *, secret: bool = False) -> Any:
    """`value` as it may be logged under `name`, looking into dicts and lists.

    Every text inside is hidden when the name, or one around it, is that of a credential.
    """
    secret = secret or bool(_SECRET_NAME.search(name))
    if isinstance(value, dict):
        return {
            str(key): redact_value(str(key), inner, secret=secret) for key, inner in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [redact_value(name, inner, secret=secret) for inner in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    if secret:
        return HIDDEN
    return redact(value) if isinstance(value, str) else value


class JsonFormatter(logging.Formatter):
    """`{"at", "level", "logger", "event", …extra, "error"?}` in one line."""

    def format(self, record: logging.LogRecord) -> str:
        """The line for `record`; what JSON cannot hold is printed as text."""
        line: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": redact(record.getMessage()),
        }
        for name, value in vars(record).items():
            if name not in _STANDARD and not name.startswith("_"):
                line[name] = redact_value(name, value)
        if record.exc_info:
            line["error"] = redact(self.formatException(record.exc_info))
        return json.dumps(line, ensure_ascii=False, default=lambda value: redact(str(value)))

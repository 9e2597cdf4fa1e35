"""One log line is one JSON object: a constant event plus what `extra` says, without secrets."""

import json
import logging
import re
from datetime import UTC, datetime
from typing import Any

_STANDARD = set(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_SECRET_NAME = re.compile(
    r"authorization|cookie|token|secret|password|passwd|api_?key|^code$|code_verifier|^dsn$",
    re.IGNORECASE,
)
_SECRET_VALUE = re.compile(
    r"(?P<name>\b(?:bearer|basic)\s+|"
    r"[\"']?\b(?:access_token|refresh_token|client_secret|code_verifier|password|token)[\"']?\s*[=:]\s*|"
    r"\b(?:code|state)=)"  # of a callback's query string
    r"[\"']?[^\s\"'&,;)}]+",
    re.IGNORECASE,
)
_URL_PASSWORD = re.compile(
    r"(?P<name>\b[a-z][a-z0-9+.-]*://[^\s:/@]*:)[^\s@/]+(?=@)", re.IGNORECASE
)
HIDDEN = "[hidden]"


def redact(text: str) -> str:
    """`text` without the values of credentials that it names (query strings and headers too)."""
    return _SECRET_VALUE.sub(rf"\g<name>{HIDDEN}", _URL_PASSWORD.sub(rf"\g<name>{HIDDEN}", text))


def redact_value(name: str, value: Any) -> Any:
    """`value` as it may be logged under `name`, looking into dicts and lists."""
    if _SECRET_NAME.search(name) and isinstance(value, str | bytes):
        return HIDDEN
    if isinstance(value, dict):
        return {str(key): redact_value(str(key), inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [redact_value(name, inner) for inner in value]
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

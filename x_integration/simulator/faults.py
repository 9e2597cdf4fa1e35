"""What can go wrong on purpose: one class a kind, hung on a method and a path.

A new kind is one class with `name`, its fields, and `answer`; the decorator registers it.
"""

import json
import re
import threading
from collections.abc import Callable
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, ClassVar, TypeVar

from werkzeug.wrappers import Response

from x_integration.simulator.instants import now_ms
from x_integration.simulator.limits import WINDOW_SECONDS, Allowance
from x_integration.simulator.problems import (
    DUPLICATE_TEXT,
    SUSPENDED_TEXT,
    Refusal,
    forbidden,
    invalid_client,
    json_answer,
    no_credits,
    server_error,
    too_many_requests,
    unauthorized,
    usage_capped,
)

_LIMIT = 100  # what a spent window says that it had; the number is no promise


@dataclass(frozen=True, slots=True)
class Visit:
    """A request that meets a fault: where to, in whose words, how to do its work, how to wait."""

    path: str
    dialect: str
    work: Callable[[], Response]
    pause: Callable[[float], None]  # milliseconds


class HangUp(Exception):
    """Close the connection without an answer."""


class BadFault(ValueError):
    """The text says what is wrong with a fault that somebody asked for."""


class Fault:
    """Stands between a request and its work."""

    name: ClassVar[str]

    def answer(self, visit: Visit) -> Response:
        """Answer in place of the work, before it or after it."""
        raise NotImplementedError


KINDS: dict[str, type[Fault]] = {}
_F = TypeVar("_F", bound=type[Fault])


def kind(cls: _F) -> _F:
    """Make a fault known under its name."""
    KINDS[cls.name] = cls
    return cls


@kind
@dataclass
class Delay(Fault):
    """The answer comes late; the work is done after the wait."""

    name: ClassVar[str] = "delay"
    ms: float

    def answer(self, visit: Visit) -> Response:
        visit.pause(self.ms)
        return visit.work()


@kind
@dataclass
class SlowAnswer(Fault):
    """The work is done at once, and its answer comes late."""

    name: ClassVar[str] = "slow_answer"
    ms: float

    def answer(self, visit: Visit) -> Response:
        done = visit.work()
        visit.pause(self.ms)
        return done


@kind
@dataclass
class Status(Fault):
    """Another answer in place of the work."""

    name: ClassVar[str] = "status"
    status: int
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)

    def answer(self, visit: Visit) -> Response:
        return self.made()

    def made(self) -> Response:
        """The given answer; no body at all where none was given."""
        if self.body is None:
            answer = Response(b"", status=self.status, content_type="text/plain")
        else:
            answer = json_answer(self.body, self.status)
        answer.headers.update(self.headers)
        return answer


@kind
@dataclass
class StatusAfter(Status):
    """The work is done, and the answer denies it."""

    name: ClassVar[str] = "status_after"

    def answer(self, visit: Visit) -> Response:
        visit.work()
        return self.made()


@kind
@dataclass
class LostAnswer(Fault):
    """The work is done, and nobody hears of it."""

    name: ClassVar[str] = "lost_answer"

    def answer(self, visit: Visit) -> Response:
        visit.work()
        raise HangUp


@kind
@dataclass
class Drop(Fault):
    """The connection closes and nothing was done."""

    name: ClassVar[str] = "drop"

    def answer(self, visit: Visit) -> Response:
        raise HangUp


@kind
@dataclass
class Html(Fault):
    """The edge answers with a page; nothing was done, unless `after` says so."""

    name: ClassVar[str] = "html"
    status: int = 503
    after: bool = False

    def answer(self, visit: Visit) -> Response:
        if self.after:
            visit.work()
        page = "<!DOCTYPE html><title>Over capacity</title><h1>Something went wrong</h1>"
        return Response(page, status=self.status, content_type="text/html; charset=utf-8")


@kind
@dataclass
class Truncate(Fault):
    """The work is done; the answer breaks off in the middle."""

    name: ClassVar[str] = "truncate"

    def answer(self, visit: Visit) -> Response:
        whole = visit.work()
        body = whole.get_data()
        whole.set_data(body[: len(body) // 2])
        return whole


@kind
@dataclass
class EditAnswer(Fault):
    """The work is done; fields of its JSON answer are put in or are missing. Refusals pass as they are."""

    name: ClassVar[str] = "edit_answer"
    set: dict[str, Any] = field(default_factory=dict)
    without: list[str] = field(default_factory=list)

    def answer(self, visit: Visit) -> Response:
        done = visit.work()
        body = done.get_json(silent=True)
        if 200 <= done.status_code < 300 and isinstance(body, dict):
            edited = body | self.set
            kept = {name: value for name, value in edited.items() if name not in self.without}
            done.set_data(json.dumps(kept))
        return done


@kind
@dataclass
class Unauthorized(Fault):
    """X knows the token no longer, or at the token endpoint the app; nothing was done."""

    name: ClassVar[str] = "unauthorized"

    def answer(self, visit: Visit) -> Response:
        refusal = invalid_client() if visit.path.startswith("/2/oauth2/") else unauthorized()
        return refusal.response()


@kind
@dataclass
class RateLimited(Fault):
    """X says "too often", and when the window ends; nothing was done."""

    name: ClassVar[str] = "rate_limited"
    reset_in: float = WINDOW_SECONDS

    def answer(self, visit: Visit) -> Response:
        reset = int(now_ms() / 1000 + self.reset_in)
        answer = too_many_requests().response()
        answer.headers.update(Allowance(_LIMIT, 0, reset, spent=True).headers())
        return answer


class Denial(Fault):
    """One of X's own refusals in place of the work, or, where `after` can be said, in spite of it."""

    after: bool = False

    def answer(self, visit: Visit) -> Response:
        if self.after:
            visit.work()
        return self.refusal(visit).response()

    def refusal(self, visit: Visit) -> Refusal:
        """X's words."""
        raise NotImplementedError


@kind
@dataclass
class ServerError(Denial):
    """X is broken; whether the work was done before, only `after` tells."""

    name: ClassVar[str] = "server_error"
    status: int = 503
    after: bool = False

    def refusal(self, visit: Visit) -> Refusal:
        return server_error(self.status)


@kind
@dataclass
class Duplicate(Denial):
    """X says that this stands there already; with `after` it does since a moment ago."""

    name: ClassVar[str] = "duplicate"
    after: bool = False

    def refusal(self, visit: Visit) -> Refusal:
        return forbidden(DUPLICATE_TEXT)


@kind
@dataclass
class Suspended(Denial):
    """X lets this account write nothing. For a suspension that lasts: POST /control/users."""

    name: ClassVar[str] = "suspended"

    def refusal(self, visit: Visit) -> Refusal:
        return forbidden(SUSPENDED_TEXT)


@kind
@dataclass
class NoCredits(Denial):
    """The app has no money left, so nobody's request is served."""

    name: ClassVar[str] = "no_credits"

    def refusal(self, visit: Visit) -> Refusal:
        return no_credits(dialect=visit.dialect)


@kind
@dataclass
class UsageCapped(Denial):
    """The app's month is used up; the headers speak of a window that is not."""

    name: ClassVar[str] = "usage_capped"

    def answer(self, visit: Visit) -> Response:
        reset = int(now_ms() / 1000 + WINDOW_SECONDS)
        answer = super().answer(visit)
        answer.headers.update(Allowance(_LIMIT, _LIMIT - 1, reset, spent=False).headers())
        return answer

    def refusal(self, visit: Visit) -> Refusal:
        return usage_capped(dialect=visit.dialect)


@dataclass
class HungFault:
    """A fault where it hangs. `left` is None for one that stays until it is taken down."""

    number: int
    fault: Fault
    method: str
    path: str
    user: str | None
    left: int | None
    hits: int = 0

    def __post_init__(self) -> None:
        self._pattern = _pattern_of(self.path)

    def __str__(self) -> str:
        whose = f" of @{self.user}" if self.user else ""
        often = "until taken down" if self.left is None else f"{self.left} more"
        return f"{self.fault.name}: {self.method} {self.path}{whose}, {often}"

    def meets(self, method: str, path: str, user: str | None) -> bool:
        return (
            self.left != 0
            and self.method in ("*", method)
            and (self.user is None or self.user.lower() == (user or "").lower())
            and self._pattern.fullmatch(path) is not None
        )

    def described(self) -> dict[str, Any]:
        return {
            "id": self.number,
            "kind": self.fault.name,
            "method": self.method,
            "path": self.path,
            "user": self.user,
            "left": self.left,
            "hits": self.hits,
        }


class Faults:
    """The faults that hang, in the order in which they were hung. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._hung: list[HungFault] = []
        self._made = 0

    def hang(self, wish: dict[str, Any]) -> HungFault:
        """Hang what {"method", "path", "kind", "times"?, "user"?, …} describes. Raises BadFault.

        `times` defaults to 1; null means until taken down. `path` is a template such as
        /2/tweets/{id}, or a regular expression that has to match the whole path.
        """
        if not _is_encodable(wish):
            raise BadFault("A text of the fault is not valid Unicode.")
        wish = dict(wish)
        fault = _make(wish)
        method, path = wish.pop("method", "*"), wish.pop("path", None)
        times, user = wish.pop("times", 1), wish.pop("user", None)
        if wish:
            raise BadFault(f"The fault {fault.name} knows no {min(wish)}.")
        if not isinstance(path, str) or not path:
            raise BadFault("A fault needs a path.")
        if not isinstance(method, str) or not isinstance(user, str | None):
            raise BadFault("method and user must be texts.")
        if times is not None and (
            isinstance(times, bool) or not isinstance(times, int) or times < 1
        ):
            raise BadFault("times must be a whole number from 1 up, or null.")
        with self._lock:
            self._made += 1
            hung = HungFault(self._made, fault, method.upper(), path, user, times)
            self._hung.append(hung)
        return hung

    def meet(self, method: str, path: str, user: str | None) -> Fault | None:
        """The first fault for this request, used once."""
        if not self._hung:
            return None
        with self._lock:
            for hung in self._hung:
                if hung.meets(method, path, user):
                    hung.hits += 1
                    if hung.left is not None:
                        hung.left -= 1
                    return hung.fault
        return None

    def hanging(self) -> list[HungFault]:
        """All of them, used up ones too."""
        with self._lock:
            return list(self._hung)

    def described(self) -> list[dict[str, Any]]:
        return [hung.described() for hung in self.hanging()]

    def take_down(self) -> None:
        with self._lock:
            self._hung.clear()


def _make(wish: dict[str, Any]) -> Fault:
    """Take a fault's own fields out of the wish."""
    cls = KINDS.get(str(wish.pop("kind", "")))
    if cls is None:
        raise BadFault(f"kind must be one of {', '.join(sorted(KINDS))}.")
    given: dict[str, Any] = {}
    for each in fields(cls):  # type: ignore[arg-type]  # every registered kind is a dataclass
        if each.name in wish:
            given[each.name] = wish.pop(each.name)
        elif each.default is MISSING and each.default_factory is MISSING:
            raise BadFault(f"The fault {cls.name} needs {each.name}.")
    _check(cls.name, given)
    return cls(**given)


def _check(name: str, given: dict[str, Any]) -> None:
    for field_name, is_good, shape in _SHAPES:
        if field_name in given and not is_good(given[field_name]):
            raise BadFault(f"{field_name} of the fault {name} must be {shape}.")


def _is_encodable(wish: dict[str, Any]) -> bool:
    """Whether pages and answers can show all of it: JSON may hold halves of surrogate pairs."""
    try:
        json.dumps(wish, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_status(value: Any) -> bool:
    return type(value) is int and 200 <= value <= 599


def _is_up_to(most: int) -> Callable[[Any], bool]:
    return lambda value: type(value) in (int, float) and 0 <= value <= most


def _are_headers(value: Any) -> bool:
    return isinstance(value, dict) and all(
        isinstance(part, str) and not re.search(r"[\r\n]", part)
        for pair in value.items()
        for part in pair
    )


def _are_names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value)


_SHAPES: tuple[tuple[str, Callable[[Any], bool], str], ...] = (
    ("status", _is_status, "a number from 200 to 599"),
    ("ms", _is_up_to(600_000), "a number from 0 to 600000"),
    ("reset_in", _is_up_to(86_400), "a number of seconds from 0 to 86400"),
    ("headers", _are_headers, "an object of texts, each on one line"),
    ("after", lambda value: isinstance(value, bool), "true or false"),
    ("set", lambda value: isinstance(value, dict), "an object of fields and their values"),
    ("without", _are_names, "a list of fields' names"),
)


def _pattern_of(path: str) -> re.Pattern[str]:
    template = re.sub(r"\{[a-z_]+\}", "[^/]+", path)
    try:
        return re.compile(template)
    except re.error as error:
        raise BadFault(f"path is no regular expression: {error}.") from None

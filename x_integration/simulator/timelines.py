"""Pages of a timeline or a search: bounds, opaque tokens, newest first."""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from random import SystemRandom

from x_integration.simulator.instants import first_id_at, parse_instant, rfc3339
from x_integration.simulator.problems import Refusal, invalid_request
from x_integration.simulator.settings import Settings
from x_integration.simulator.world import ids_between

_TOKENS = ("pagination_token", "next_token")
PARAMETERS = (
    "max_results",
    "pagination_token",
    "since_id",
    "until_id",
    "start_time",
    "end_time",
)
RECENT_MS = 7 * 24 * 3600 * 1000
_LATEST = 1 << 63


@dataclass(frozen=True, slots=True)
class Window:
    """What a request wants to see: ids strictly between two ids, one page of them."""

    after: int
    before: int
    size: int
    cursor: tuple[str, int] | None
    owner: str


@dataclass(frozen=True, slots=True)
class Page:
    """Ids, newest first as a rule, and the tokens to the older and the newer page."""

    ids: list[int]
    next_token: str | None
    previous_token: str | None

    def meta(self) -> dict[str, object]:
        meta: dict[str, object] = {"result_count": len(self.ids)}
        if self.ids:
            meta |= {"newest_id": str(max(self.ids)), "oldest_id": str(min(self.ids))}
        if self.next_token:
            meta["next_token"] = self.next_token
        if self.previous_token:
            meta["previous_token"] = self.previous_token
        return meta


def read_window(query: Mapping[str, str], *, owner: str, dialect: str, smallest: int = 5) -> Window:
    """The window of a query; `owner` ties its tokens to one timeline. Raises Refusal (400)."""
    return _Reader(query, dialect, smallest).window(owner)


def read_recent_window(query: Mapping[str, str], *, owner: str, dialect: str, now: int) -> Window:
    """The window of a search: at most seven days, and an id wins over an instant. Raises Refusal (400)."""
    for by_id, by_time in (("since_id", "start_time"), ("until_id", "end_time")):
        if by_id in query:
            query = {name: value for name, value in query.items() if name != by_time}
    window = read_window(query, owner=owner, dialect=dialect, smallest=10)
    oldest = first_id_at(now - RECENT_MS)
    for name in ("since_id", "start_time"):
        if name in query and window.after < oldest - 1:
            raise invalid_request(
                f"'{name}' must be on or after '{rfc3339(now - RECENT_MS)}'",
                {name: [query[name]]},
                dialect=dialect,
            )
    return replace(window, after=max(window.after, oldest - 1))


def turn_page(ids: list[int], window: Window, settings: Settings) -> Page:
    """One page out of a timeline's rising ids, in such order as the settings ask for."""
    wanted = ids_between(ids, window.after, window.before)
    end = len(wanted)
    if window.cursor is not None:
        direction, edge = window.cursor
        end = len(ids_between(wanted, -1, edge))
        if direction == "p":  # the page just newer than the edge
            newer = len(ids_between(wanted, -1, edge + 1))
            end = min(len(wanted), newer + window.size)
        else:  # at least one post of a page is new, or the pages would have no end
            end = min(len(wanted), end + min(settings.repeats_across_pages, window.size - 1))
    start = max(0, end - window.size)
    shown = wanted[start:end][::-1]
    if settings.shuffled_pages:
        SystemRandom().shuffle(shown)
    older = _token("n", window.owner, wanted[start]) if start > 0 else None
    newer_token = _token("p", window.owner, wanted[end - 1]) if 0 < end < len(wanted) else None
    return Page(shown, older, newer_token)


def _token(direction: str, owner: str, edge: int) -> str:
    raw = f"{direction}:{owner}:{edge}".encode()
    return base64.b32hexencode(raw).decode().rstrip("=").lower()


class _Reader:
    def __init__(self, query: Mapping[str, str], dialect: str, smallest: int) -> None:
        self._query, self._dialect, self._smallest = query, dialect, smallest

    def window(self, owner: str) -> Window:
        start, end = self._instant("start_time"), self._instant("end_time")
        since, until = self._snowflake("since_id"), self._snowflake("until_id")
        if start is not None and end is not None and start >= end:
            raise self._refuse("start_time", "'start_time' must be earlier than 'end_time'")
        if since is not None and until is not None and since >= until:
            raise self._refuse("since_id", "'since_id' must be less than 'until_id'")
        after = max(since if since is not None else -1, first_id_at(start) - 1 if start else -1)
        before = min(
            until if until is not None else _LATEST,
            first_id_at(end) if end is not None else _LATEST,
        )
        return Window(after, before, self._size(), self._cursor(owner), owner)

    def _size(self) -> int:
        text = self._query.get("max_results", "10")
        is_number = re.fullmatch(r"[0-9]{1,9}", text, re.ASCII) is not None
        if not is_number or not self._smallest <= int(text) <= 100:
            raise self._refuse(
                "max_results",
                f"The `max_results` query parameter value [{text}] is not between "
                f"{self._smallest} and 100",
            )
        return int(text)

    def _snowflake(self, name: str) -> int | None:
        text = self._query.get(name)
        if text is None:
            return None
        if not re.fullmatch(r"[0-9]{1,19}", text, re.ASCII):
            raise self._refuse(
                name, f"The `{name}` query parameter value [{text}] does not match ^[0-9]{{1,19}}$"
            )
        return int(text)

    def _instant(self, name: str) -> int | None:
        text = self._query.get(name)
        if text is None:
            return None
        try:
            return parse_instant(text)
        except (ValueError, OverflowError):
            raise self._refuse(
                name, f"The `{name}` query parameter value [{text}] is not a valid date-time"
            ) from None

    def _cursor(self, owner: str) -> tuple[str, int] | None:
        name = next((name for name in _TOKENS if name in self._query), None)
        if name is None:
            return None
        token = self._query[name]
        try:
            padded = token.upper() + "=" * (-len(token) % 8)
            direction, holder, edge = base64.b32hexdecode(padded).decode().split(":")
            if direction in ("n", "p") and holder == owner:
                return direction, int(edge)
        except (ValueError, binascii.Error):
            pass
        raise self._refuse(name, f"The `{name}` query parameter value [{token}] is not valid")

    def _refuse(self, name: str, message: str) -> Refusal:
        value = self._query.get(name, "")
        return invalid_request(message, {name: [value]}, dialect=self._dialect)

"""When a workspace says something of its own: its time zone, its publish windows, the slots in them.

Pure: rows and instants are handed in. Local times become instants here and nowhere else; of a time that the
clocks show twice, the first is meant.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from publishing.errors import NotATime, NoTimeZone

DAY = timedelta(days=1)
APART = timedelta(minutes=30)
"""Two posts of our own lie at least so far apart."""
LEAD = timedelta(minutes=15)
"""A slot that we choose leaves somebody so much time to approve."""
ROOM = timedelta(minutes=5)
"""Before a window closes, so that the worker comes in time."""
MINUTES_A_DAY = 24 * 60
_YEARS = range(2000, 2200)
_MINUTE = timedelta(minutes=1)
_NEXT_WINDOWS, _WEEKS_AHEAD = 3, 15  # days: a window comes again within them, clocks or not
_SLOT_WITHIN = 60  # days


@dataclass(frozen=True)
class Window:
    """Hours of one weekday (0 is Monday), in minutes after local midnight."""

    weekday: int
    opens: int
    closes: int

    def __str__(self) -> str:
        return f"{_clock(self.opens)}–{_clock(self.closes)}"


@dataclass(frozen=True)
class Span:
    """A window on one day, as instants (UTC)."""

    opens: datetime
    closes: datetime

    def holds(self, instant: datetime) -> bool:
        """Whether something may be planned for then."""
        return self.opens <= instant <= self.closes - ROOM


@dataclass(frozen=True)
class Plan:
    """What a workspace has decided about its own posts. Without windows any time will do."""

    zone_name: str
    posts_per_day: int  # 0 is no target
    late: timedelta
    windows: tuple[Window, ...]

    @property
    def zone(self) -> tzinfo:
        """The rules of its clocks. Raises NoTimeZone where this host has none of that name."""
        return zone_called(self.zone_name)

    def local(self, instant: datetime) -> datetime:
        """The instant as its clocks show it."""
        return instant.astimezone(self.zone)

    def instant(self, day: date, at: time) -> datetime:
        """The instant (UTC) at which its clocks show that. Raises NotATime when they never do."""
        if day.year not in _YEARS:
            raise NotATime(f"Nothing can be planned for the year {day.year}.")
        wanted = datetime.combine(day, at.replace(second=0, microsecond=0, fold=0), self.zone)
        if not _exists(wanted):
            raise NotATime(
                f"There is no {at:%H:%M} on {day:%a %d %b %Y} in {self.zone_name}: "
                f"the clocks go forward to {_first_shown(wanted):%H:%M}."
            )
        return wanted.astimezone(UTC)

    def midnight(self, day: date) -> datetime:
        """The instant (UTC) at which the day begins there."""
        return self._bound(day, 0)

    def on(self, day: date) -> list[Window]:
        """The day's windows, the first one first."""
        found = (window for window in self.windows if window.weekday == day.weekday())
        return sorted(found, key=lambda window: window.opens)

    def spans(self, day: date) -> list[Span]:
        """The day's windows as instants; one that the clocks leave out is none."""
        found = (Span(self._bound(day, w.opens), self._bound(day, w.closes)) for w in self.on(day))
        return [span for span in found if span.opens < span.closes]

    def span_of(self, instant: datetime) -> Span | None:
        """The window in which something may be planned for then."""
        return next((s for s in self.spans(self.local(instant).date()) if s.holds(instant)), None)

    def until(self, instant: datetime) -> datetime:
        """When it is too late for what is planned for then: its window closed, or it is late by too much."""
        span, latest = self.span_of(instant), instant + self.late
        return min(span.closes, latest) if span else latest

    def next_windows(self, instant: datetime) -> str:
        """The windows that open next, in words."""
        day, told = self.local(instant).date(), list[str]()
        for ahead in range(_WEEKS_AHEAD):
            for span in self.spans(day + ahead * DAY):
                if span.opens > instant:
                    told.append(f"{self.local(span.opens):%a %d %b %H:%M}–{self._closing(span)}")
        return ", ".join(told[:_NEXT_WINDOWS])

    def slots(
        self, day: date, *, taken: Collection[datetime], after: datetime
    ) -> Iterator[datetime]:
        """The instants of the day, every half hour of each window, for which a post can still be planned."""
        for span in self.spans(day):
            slot = span.opens
            while span.holds(slot):
                if slot >= after and is_apart(slot, taken) and self._is_the_first(slot):
                    yield slot
                slot += APART

    def next_slot(self, *, taken: Collection[datetime], now: datetime) -> datetime | None:
        """The next free slot of the first day that has not reached its target; windows with the fewest
        posts come first."""
        today = self.local(now).date()
        for ahead in range(_SLOT_WITHIN):
            day = today + ahead * DAY
            planned = sum(self.local(instant).date() == day for instant in taken)
            if self.posts_per_day and planned >= self.posts_per_day:
                continue
            free = self.slots(day, taken=taken, after=now + LEAD)
            if best := min(free, key=lambda slot: (self._beside(slot, taken), slot), default=None):
                return best
        return None

    def in_words(self, instant: datetime) -> str:
        """The instant by its clocks and in UTC."""
        local = self.local(instant)
        there = f"{local:%a %d %b %Y %H:%M} {self.zone_name}"
        return there if self.zone_name == "UTC" else f"{there} ({utc_beside(local)})"

    def _beside(self, slot: datetime, taken: Collection[datetime]) -> int:
        span = self.span_of(slot)
        return sum(span.opens <= instant < span.closes for instant in taken) if span else 0

    def _is_the_first(self, slot: datetime) -> bool:
        """Whether its local time, typed by a person, means this instant."""
        return self.local(slot).fold == 0

    def _closing(self, span: Span) -> str:
        closes = self.local(span.closes)
        return f"{closes:%H:%M}" if closes.date() == self.local(span.opens).date() else "24:00"

    def _bound(self, day: date, minutes: int) -> datetime:
        """Where a window begins or ends; where the clocks leave that time out, what they show next."""
        local = datetime.combine(day, time(), self.zone) + timedelta(minutes=minutes)
        return _first_shown(local).astimezone(UTC)


def utc_beside(local: datetime) -> str:
    """The same instant in UTC; with its date where that is another."""
    utc = local.astimezone(UTC)
    return f"{utc:%H:%M} UTC" if utc.date() == local.date() else f"{utc:%a %d %b %H:%M} UTC"


def is_apart(instant: datetime, taken: Collection[datetime]) -> bool:
    """Whether it lies far enough from all of them."""
    return all(abs(instant - other) >= APART for other in taken)


@cache
def zones() -> frozenset[str]:
    """The names of time zones that a workspace may have: places, and UTC."""
    places = {name for name in available_timezones() if "/" in name}
    return frozenset({"UTC", *(name for name in places if not name.startswith("Etc/"))})


def zone_called(name: str) -> tzinfo:
    """The zone of that name. Raises NoTimeZone."""
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        raise NoTimeZone(f"This host knows no time zone {name}: install its tzdata.") from None


def _exists(local: datetime) -> bool:
    """Whether clocks ever show it."""
    back = local.astimezone(UTC).astimezone(local.tzinfo)
    return back.replace(tzinfo=None) == local.replace(tzinfo=None)


def _first_shown(local: datetime) -> datetime:
    """It, or where the clocks leave it out, the first whole minute that they show after it."""
    while not _exists(local):
        local += _MINUTE
    return local


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02d}:{minutes % 60:02d}"

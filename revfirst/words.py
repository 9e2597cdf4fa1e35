"""How pages say what rows hold: instants with their distance, codes in words, states in colour."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True)
class Note:
    """Something to know: how bad in colour and word, and a sentence."""

    tone: str  # good, wait, bad or quiet
    word: str
    sentence: str


def in_words(code: str) -> str:
    """`no_credits` as people read it."""
    return code.replace("_", " ")


def when(instant: datetime | None, now: datetime) -> str:
    """The instant in UTC and its distance, or that it is not known."""
    if instant is None:
        return "–"
    return f"{instant:%Y-%m-%d %H:%M} UTC, {distance(instant, now)}"


def distance(instant: datetime, now: datetime) -> str:
    """`in 1 h 12 min` or `3 min ago`."""
    span = _span(abs(instant - now))
    return f"in {span}" if instant > now else f"{span} ago"


def _span(span: timedelta) -> str:
    minutes = int(span.total_seconds()) // 60
    if minutes < 1:
        return "less than a minute"
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 48 * 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes // (24 * 60)} days"

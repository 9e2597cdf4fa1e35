"""What a post wants of us, and how much it matters: by a file that operators keep (docs/CANDIDATES.md)."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from django.conf import settings

from publishing import operator_files
from publishing.errors import NoRanking
from publishing.operator_files import mapping
from publishing.voice import folded, whole
from x_integration.models import SourcePost

INTENTS = ("promotion", "complaint", "question", "thanks")
"""In the order in which they are looked for; `mention` is what is none of them."""
MENTION = "mention"
PARTS = ("intent", "eligibility", "engagement", "recency")
"""Of a score, in the order in which they are shown."""
_QUESTION_MARK = re.compile(r"[?？؟]")
_LINKS = re.compile(r"https?://\S+")
_READ = 2000  # letters of a post: longer ones say early what they want
_MOST_POINTS = 100
_MOST_HEARD = 10**12  # a float takes it


@dataclass(frozen=True)
class Ranking:
    """The whole file. Points of None mean that such a post gets no proposal."""

    intent: Mapping[str, int | None]
    eligibility: Mapping[str, int | None]
    engagement_points: int
    engagement_full_at: int
    recency_points: int
    half_life_hours: int
    words: Mapping[str, Mapping[str, tuple[str, ...]]] = field(default_factory=dict)

    def intent_of(self, post: SourcePost) -> str:
        """What the post wants: one of INTENTS, or `mention`."""
        told = folded(_LINKS.sub(" ", post.text[:_READ]))
        for intent in INTENTS:
            if intent == "question" and _QUESTION_MARK.search(told):
                return intent
            if any(whole(word).search(told) for word in self._words(intent, post.lang)):
                return intent
        return MENTION

    def parts(self, post: SourcePost, intent: str, *, now: datetime) -> dict[str, int | None]:
        """The points of each part of the score; one of None rules the post out."""
        return {
            "intent": self.intent[intent],
            "eligibility": self._eligibility(post),
            "engagement": self._engagement(post),
            "recency": self._recency(post, now),
        }

    def _words(self, intent: str, language: str) -> tuple[str, ...]:
        known = self.words.get(intent, {})
        spoken = known.get(language.lower().partition("-")[0])
        return spoken if spoken is not None else sum(known.values(), ())

    def _eligibility(self, post: SourcePost) -> int | None:
        if post.may_be_answered and post.eligibility == SourcePost.Eligibility.NOT_SUMMONED:
            return self.eligibility[post.eligibility] or 0  # X takes it on this tier
        return self.eligibility[post.eligibility]

    def _engagement(self, post: SourcePost) -> int:
        heard = sum(weight * _count(post, *names) for weight, names in _ENGAGEMENT)
        share = math.log1p(heard) / math.log1p(self.engagement_full_at)
        return round(self.engagement_points * min(share, 1))

    def _recency(self, post: SourcePost, now: datetime) -> int:
        hours = max((now - post.posted_at).total_seconds(), 0) / 3600
        share: float = 0.5 ** (hours / self.half_life_hours)
        return round(self.recency_points * share)


_ENGAGEMENT = (
    (3, ("reply_count",)),
    (2, ("retweet_count", "repost_count")),  # X's two dialects
    (2, ("quote_count",)),
    (1, ("like_count",)),
)


def _count(post: SourcePost, *names: str) -> int:
    """One of X's public numbers; whatever is no number counts nothing."""
    metrics = post.payload.get("public_metrics") if isinstance(post.payload, dict) else None
    told = metrics if isinstance(metrics, dict) else {}
    found = next((told[name] for name in names if name in told), 0)
    return min(max(found, 0), _MOST_HEARD) if isinstance(found, int) else 0


def current() -> Ranking:
    """The ranking as the file has it now. Raises NoRanking, saying why, when it cannot be used."""
    path = Path(settings.CANDIDATES_FILE_PATH)
    try:
        return _read(path, *operator_files.seen(path))
    except operator_files.Unusable as error:
        raise NoRanking(str(error)) from None


@operator_files.read_once
def _read(path: Path, _changed: int, size: int) -> Ranking:
    ranking, problems = parse(operator_files.content_of(path, size=size))
    if problems:
        raise operator_files.Unusable(f"{path} cannot be used: {' '.join(problems)}")
    return ranking


def parse(found: Any) -> tuple[Ranking, list[str]]:
    """The ranking that the file's content means, and a sentence for each thing that is wrong with it."""
    problems: list[str] = []
    whole_file = mapping(found, "The file", {"weights", "intents"}, problems)
    weights = mapping(whole_file.get("weights"), '"weights"', set(_WEIGHTS), problems)
    points = {
        name: _points(name, weights.get(name), problems) for name in ("intent", "eligibility")
    }
    numbers = {
        name: _numbers(name, weights.get(name), problems) for name in ("engagement", "recency")
    }
    ranking = Ranking(
        intent=points["intent"],
        eligibility=points["eligibility"],
        engagement_points=numbers["engagement"]["points"],
        engagement_full_at=numbers["engagement"]["full_at"],
        recency_points=numbers["recency"]["points"],
        half_life_hours=numbers["recency"]["half_life_hours"],
        words=_all_words(whole_file.get("intents"), problems),
    )
    return ranking, problems


_WEIGHTS: dict[str, tuple[str, ...]] = {
    "intent": (*INTENTS, MENTION),
    "eligibility": tuple(SourcePost.Eligibility.values),
    "engagement": ("points", "full_at"),
    "recency": ("points", "half_life_hours"),
}


def _points(name: str, found: Any, problems: list[str]) -> dict[str, int | None]:
    """Each of the part's cases with its points; every one of them must be told."""
    given = mapping(found, f'"{name}"', set(_WEIGHTS[name]), problems)
    for case in _WEIGHTS[name]:
        value = given.get(case, ...)
        if value is not None and not _is_number(value, 0, _MOST_POINTS):
            problems.append(
                f'"{case}" of "{name}" must be a whole number from 0 to {_MOST_POINTS}, or null.'
            )
    return {case: given.get(case) for case in _WEIGHTS[name]}


def _numbers(name: str, found: Any, problems: list[str]) -> dict[str, int]:
    given, read = mapping(found, f'"{name}"', set(_WEIGHTS[name]), problems), {}
    for each in _WEIGHTS[name]:
        low, high = (0, _MOST_POINTS) if each == "points" else (1, 1_000_000)
        read[each] = given.get(each, ...)
        if not _is_number(read[each], low, high):
            problems.append(f'"{each}" of "{name}" must be a whole number from {low} to {high:,}.')
    return read


def _is_number(value: Any, low: int, high: int) -> bool:
    return type(value) is int and low <= value <= high


def _all_words(found: Any, problems: list[str]) -> dict[str, dict[str, tuple[str, ...]]]:
    words: dict[str, dict[str, tuple[str, ...]]] = {}
    for intent, languages in mapping(found, '"intents"', set(INTENTS), problems).items():
        words[intent] = {}
        if not isinstance(languages, dict):
            problems.append(f'"{intent}" must hold languages and their words.')
            continue
        for language, given in languages.items():
            listed: list[Any] = given if isinstance(given, list) else [None]
            if not isinstance(language, str) or not all(map(_is_word, listed)):
                problems.append(f'"{language}" of "{intent}" must be a list of words, in quotes.')
            else:
                words[intent][language.lower()] = tuple(listed)
    return words


def _is_word(value: Any) -> bool:
    return isinstance(value, str) and re.search(r"\w", value) is not None

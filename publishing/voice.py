"""The brand voice: what this team does not say, as a file that operators keep (docs/BRAND-VOICE.md)."""

import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from functools import lru_cache
from pathlib import Path
from typing import Any

from django.conf import settings

from publishing import operator_files
from publishing.errors import NoBrandVoice
from publishing.operator_files import mapping

EVERY_LANGUAGE = "*"
_LANGUAGE = re.compile(r"\*|[a-z]{2,3}(-[a-z0-9]{2,8})*")
_DOMAIN = re.compile(r"[\w-]+(\.[\w-]+)+")
_HANDLE = re.compile(r"@?[A-Za-z0-9_]{1,15}")


@dataclass(frozen=True)
class Rules:
    """What holds for a text in one language. None means no limit."""

    banned_terms: tuple[str, ...] = ()
    emoji_at_most: int | None = None
    sentence_words_at_most: int | None = None
    sentences_at_most: int | None = None
    links: bool | tuple[str, ...] = True  # all, none, or these hosts and what lies below them
    cashtags: bool = True
    hashtags_at_most: int | None = None
    mentions: tuple[str, ...] = ()  # names that may be called without having been asked for


@dataclass(frozen=True)
class Similarity:
    """When a text is too much like one of the latest."""

    alike_from: int = 100  # per cent
    letters_from: int = 40  # shorter ones resemble each other by nature


@dataclass(frozen=True)
class Voice:
    """The whole file."""

    languages: Mapping[str, Rules] = field(default_factory=lambda: {EVERY_LANGUAGE: Rules()})
    similarity: Similarity | None = None

    def rules(self, language: str) -> Rules:
        """Those of the language, of its first part ("pt" of "pt-BR"), or of every language."""
        name = language.lower()
        for known in (name, name.partition("-")[0]):
            if known in self.languages:
                return self.languages[known]
        return self.languages[EVERY_LANGUAGE]


def current() -> Voice:
    """The voice as the file has it now. Raises NoBrandVoice, saying why, when it cannot be used."""
    path = Path(settings.BRAND_VOICE_FILE_PATH)
    try:
        return _read(path, *operator_files.seen(path))
    except operator_files.Unusable as error:
        raise NoBrandVoice(str(error)) from None


@operator_files.read_once
def _read(path: Path, _changed: int, size: int) -> Voice:
    voice, problems = parse(operator_files.content_of(path, size=size))
    if problems:
        raise operator_files.Unusable(f"{path} cannot be used: {' '.join(problems)}")
    return voice


def parse(found: Any) -> tuple[Voice, list[str]]:
    """The voice that the file's content means, and a sentence for each thing that is wrong with it."""
    problems: list[str] = []
    whole = mapping(found, "The file", {"languages", "similarity"}, problems)
    languages = _languages(whole.get("languages"), problems)
    similarity = None
    if whole.get("similarity") is not None:
        similarity = Similarity(**_similarity(whole["similarity"], problems))
    return Voice(languages, similarity), problems


def _languages(found: Any, problems: list[str]) -> dict[str, Rules]:
    """Each language begins with the rules of every language; banned terms and names are added to those."""
    if not isinstance(found, dict) or EVERY_LANGUAGE not in found:
        problems.append('"languages" must name languages, and "*" for every language among them.')
        return {EVERY_LANGUAGE: Rules()}
    general = _rules(EVERY_LANGUAGE, found[EVERY_LANGUAGE], Rules(), problems)
    languages = {EVERY_LANGUAGE: general}
    for name, rules in found.items():
        if not (isinstance(name, str) and _LANGUAGE.fullmatch(name.lower())):
            problems.append(
                f'"{name}" is no language: write a tag such as pt, in quotes if need be.'
            )
        elif name != EVERY_LANGUAGE:
            languages[name.lower()] = _rules(name, rules, general, problems)
    return languages


def _rules(language: str, found: Any, general: Rules, problems: list[str]) -> Rules:
    names = {each.name for each in fields(Rules)}
    given = mapping(found, f'The language "{language}"', names, problems)
    read: dict[str, Any] = {each: getattr(general, each) for each in names}
    for name, value in given.items():
        take, wanted = _READERS[name]
        taken = take(value)
        if taken is _BAD:
            problems.append(f'"{name}" of "{language}" must be {wanted}.')
        else:
            read[name] = read[name] + taken if name in {"banned_terms", "mentions"} else taken
    return Rules(**read)


def _similarity(found: Any, problems: list[str]) -> dict[str, int]:
    bounds = {"alike_from": (50, 100), "letters_from": (0, 1000)}
    read: dict[str, int] = {}
    for name, value in mapping(found, '"similarity"', set(bounds), problems).items():
        low, high = bounds[name]
        if type(value) is int and low <= value <= high:
            read[name] = value
        else:
            problems.append(f'"{name}" must be a whole number from {low} to {high}.')
    return read


_BAD = object()


def _most(value: Any) -> Any:
    good = value is None or (type(value) is int and 0 <= value <= 1000)
    return value if good else _BAD


def _flag(value: Any) -> Any:
    return value if isinstance(value, bool) else _BAD


def _list_of(pattern: re.Pattern[str], tidy: Callable[[str], str]) -> Callable[[Any], Any]:
    def take(value: Any) -> Any:
        if value is None:
            return ()
        if not isinstance(value, list):
            return _BAD
        good = all(isinstance(each, str) and pattern.fullmatch(each.strip()) for each in value)
        return tuple(tidy(each.strip()) for each in value) if good else _BAD

    return take


_hosts = _list_of(_DOMAIN, str.lower)


def _links(value: Any) -> Any:
    return value if isinstance(value, bool) else _hosts(value) or _BAD


def _name(text: str) -> str:
    return text.removeprefix("@").lower()


_NUMBER = "a whole number from 0 to 1000, or null for no limit"
_READERS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "banned_terms": (
        _list_of(re.compile(r".*\w.*"), str),
        'a list of words, each in quotes if it is "no" or 1',
    ),
    "emoji_at_most": (_most, _NUMBER),
    "sentence_words_at_most": (_most, _NUMBER),
    "sentences_at_most": (_most, _NUMBER),
    "links": (_links, "true, false or a list of hosts such as cafe.example"),
    "cashtags": (_flag, "true or false"),
    "hashtags_at_most": (_most, _NUMBER),
    "mentions": (_list_of(_HANDLE, _name), "a list of @names, in quotes"),
}


_ACCENTS = re.compile("[\u0300-\u036f\u064b-\u0652]")  # of Latin letters, and Arabic vowel signs


def folded(text: str) -> str:
    """The text without regard to case, accents and width."""
    apart = unicodedata.normalize("NFKD", text)
    kept = _ACCENTS.sub("", apart)
    return unicodedata.normalize("NFC", kept.casefold())


_NO_BLANKS = r"\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff"  # Thai, kana, Han: written without blanks


@lru_cache(maxsize=2000)
def whole(term: str) -> re.Pattern[str]:
    """What finds `term` in a folded text, as whole words where words have blanks between them."""
    words = r"\s+".join(map(re.escape, folded(term).split()))
    edge = rf"[^\W{_NO_BLANKS}]"
    before = rf"(?<!{edge})" if re.match(edge, folded(term).strip()) else ""
    after = rf"(?!{edge})" if re.match(edge, folded(term).strip()[-1:]) else ""
    return re.compile(before + words + after)

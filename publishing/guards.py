"""The guards: what keeps a text from a person's eyes, each with a sentence for who wrote it.

Pure: what they compare with is handed in. The first ones decide whether a text is read at all.
"""

import re
import unicodedata
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from rapidfuzz import fuzz, process

from publishing.text import (
    LIMIT,
    LONGEST,
    emoji_in,
    links_in,
    names_in,
    symbols_in,
    tags_in,
    weighted_length,
    without_links,
)
from publishing.voice import Rules, Similarity, folded, whole


@dataclass(frozen=True)
class Case:
    """A text, the rules that it is held against, and what was said before."""

    text: str
    rules: Rules
    asked_for: Collection[str] = ()  # names that the answered post makes ours to mention
    similarity: Similarity | None = None
    latest: Sequence[str] = ()


@dataclass(frozen=True)
class Guard:
    """`objection` returns what is wrong, as a sentence, or nothing."""

    name: str
    objection: Callable[[Case], str]


@dataclass(frozen=True)
class Objection:
    """Which guard objects, and its sentence."""

    guard: str
    sentence: str


def objections(case: Case, *, guards: Sequence[Guard] | None = None) -> Iterator[Objection]:
    """What every guard has against the text, in their order; of one that cannot be read, one thing only."""
    for guard in READABLE:
        if sentence := guard.objection(case):
            yield Objection(guard.name, sentence)
            return
    for guard in GUARDS if guards is None else guards:
        if sentence := guard.objection(case):
            yield Objection(guard.name, sentence)


# --- Can it be read? ----------------------------------------------------------------------------

_TURNING = re.compile("[\u202a-\u202e\u2066-\u2069]")
# Marks of direction and joiners are part of writing Arabic, Hebrew, Hindi and emoji; alone they are nothing.
_OF_WRITING = frozenset("\u200c\u200d\u200e\u200f\u061c")
_BLANKS = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")  # letters that show nothing
_FLAG = re.compile("\U0001f3f4[\U000e0030-\U000e0039\U000e0061-\U000e007a]{1,6}\U000e007f")
_UNUSUAL = re.compile("[^ -~]")  # the rest is written, and shows
_MOST_MARKS = 8
_PILED = re.compile(rf"[\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff]{{{_MOST_MARKS + 1}}}")


def _size(case: Case) -> str:
    too_long = len(case.text) > LONGEST
    return f"The text is far too long: X takes {LIMIT} characters." if too_long else ""


def _storable(case: Case) -> str:
    """Control characters, halves of surrogate pairs and what is no character."""
    for character in _UNUSUAL.findall(case.text):
        kind = unicodedata.category(character)
        is_nothing = kind == "Cn" and (
            ord(character) & 0xFFFE == 0xFFFE or "\ufdd0" <= character <= "\ufdef"
        )
        if kind == "Cs" or is_nothing or (kind == "Cc" and character not in "\n\t"):
            return f"The text holds a character that cannot be published (U+{ord(character):04X})."
    return ""


def _turning(case: Case) -> str:
    if found := _TURNING.search(case.text):
        point = ord(found[0])
        return f"The text holds a mark that turns the direction of writing around (U+{point:04X})."
    return ""


def _there(case: Case) -> str:
    return "" if any(map(_shows, case.text)) else "There is no text."


def _shows(character: str) -> bool:
    if character.isspace() or character in _BLANKS or "\ufe00" <= character <= "\ufe0f":
        return False
    return unicodedata.category(character) not in {"Cf", "Cc"}


def _hidden(case: Case) -> str:
    for character in _UNUSUAL.findall(_FLAG.sub("", case.text)):
        is_format = unicodedata.category(character) == "Cf" and character not in _OF_WRITING
        if character in _BLANKS or (is_format and not "\u0600" <= character <= "\u08e2"):
            return f"The text holds an invisible character (U+{ord(character):04X})."
    return ""


def _piled(case: Case) -> str:
    many = _PILED.search(unicodedata.normalize("NFC", case.text))
    return f"The text piles more than {_MOST_MARKS} accents on one letter." if many else ""


READABLE = (
    Guard("size", _size),
    Guard("unstorable", _storable),
    Guard("direction", _turning),
    Guard("empty", _there),
    Guard("invisible", _hidden),
    Guard("accents", _piled),
)


# --- Would X take it, and would we say it? ------------------------------------------------------


def _length(case: Case) -> str:
    length = weighted_length(case.text)
    return (
        f"The text is too long: {length} of {LIMIT} characters as X counts."
        if length > LIMIT
        else ""
    )


def _banned(case: Case) -> str:
    text = folded(case.text)
    found = [term for term in case.rules.banned_terms if whole(term).search(text)]
    return f"The brand voice does not say {_listed(found)}." if found else ""


def _listed(words: Sequence[str]) -> str:
    return ", ".join(f"“{word}”" for word in words)


def _too_many(count: int, most: int | None, what: str) -> str:
    if most is None or count <= most:
        return ""
    return f"The text has {count} {what}; the brand voice takes {most}."


def _emoji(case: Case) -> str:
    return _too_many(len(emoji_in(case.text)), case.rules.emoji_at_most, "emoji")


_END = re.compile(r"(?<![.!?…؟])[.!?…؟]++(?=\s|$)|[。！？]+|\n+")
_CJK = "\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
_WORD = re.compile(rf"[{_CJK}]{{1,2}}|[^\W{_CJK}]+(?:['’-][^\W{_CJK}]+)*")  # two signs make a word


@lru_cache(maxsize=100)
def _sentences(text: str) -> list[int]:
    """How many words each sentence has; a link is no word."""
    parts = _END.split(without_links(text))
    return [count for part in parts if (count := len(_WORD.findall(part)))]


def _number_of_sentences(case: Case) -> str:
    return _too_many(len(_sentences(case.text)), case.rules.sentences_at_most, "sentences")


def _length_of_sentences(case: Case) -> str:
    most, longest = case.rules.sentence_words_at_most, max(_sentences(case.text), default=0)
    if most is None or longest <= most:
        return ""
    return f"A sentence has {longest} words; the brand voice takes {most}."


def _links(case: Case) -> str:
    allowed = case.rules.links
    found = [link.host for link in links_in(case.text)]
    if allowed is True or not found:
        return ""
    if allowed is False:
        return f"The brand voice takes no links: {_listed(found)}."
    strange = [host for host in found if not _lies_below(host.lower(), allowed)]
    return f"The brand voice takes no links to {_listed(strange)}." if strange else ""


def _lies_below(host: str, allowed: Collection[str]) -> bool:
    return any(host == each or host.endswith(f".{each}") for each in allowed)


def _cashtags(case: Case) -> str:
    found = symbols_in(case.text)
    if len(found) > 1:
        return f"X takes one cashtag: the text has {len(found)}."
    if found and not case.rules.cashtags:
        return f"The brand voice takes no cashtags: ${found[0]}."
    return ""


def _hashtags(case: Case) -> str:
    return _too_many(len(tags_in(case.text)), case.rules.hashtags_at_most, "hashtags")


def _mentions(case: Case) -> str:
    """X forbids to call people who did not ask for it (docs/X-API.md, Rules of 2026)."""
    mine = {*case.rules.mentions, *(name.lower() for name in case.asked_for)}
    strangers = [f"@{name}" for name in names_in(case.text) if name not in mine]
    return f"Nobody there asked to be mentioned: {', '.join(strangers)}." if strangers else ""


def _similar(case: Case) -> str:
    rule, text = case.similarity, _plain(case.text)
    if rule is None or len(text) < rule.letters_from:
        return ""
    best = process.extractOne(
        text, map(_plain, case.latest), scorer=fuzz.ratio, score_cutoff=rule.alike_from
    )
    return f"It is {int(best[1])} % like one of the latest texts: “{best[0]}”." if best else ""


@lru_cache(maxsize=2000)
def _plain(text: str) -> str:
    """What is compared; the latest texts are much the same from one claim to the next."""
    return " ".join(folded(text).split())


OF_THE_TEXT = (
    Guard("length", _length),
    Guard("banned_terms", _banned),
    Guard("emoji", _emoji),
    Guard("sentences", _number_of_sentences),
    Guard("sentence_length", _length_of_sentences),
    Guard("links", _links),
    Guard("cashtags", _cashtags),
    Guard("hashtags", _hashtags),
)
MENTIONS, SIMILARITY = Guard("mentions", _mentions), Guard("similarity", _similar)
GUARDS = (*OF_THE_TEXT, MENTIONS, SIMILARITY)

"""Who asks to be left alone? Read off the words of a post, in any of our languages.

Where the line is:
- a message that is only a stop word, apart from @names, links, emoji, signs and polite words, is a plea;
  so is a sentence that is only a stop word with a "please";
- a stop word whose object is what we do (replying, writing to me, tagging me) is a plea wherever it stands,
  or, where it could as well be a complaint that we do not answer, at the beginning of a clause only;
- a stop word in other company is none: "I can't stop drinking it", "the bus stop".

People write "stop" in any language, so the language of the post is not asked. When in doubt, somebody is left
alone: that costs us a reply, and a person can take it back.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise, product
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

from django.conf import settings

from publishing import operator_files
from publishing.errors import NoOptOutWords
from publishing.voice import folded

OURS = Path(__file__).with_name("pleas.yaml")
KINDS = ("please", "polite", "alone", "anywhere", "at_first", "unless")
_READ = 1000  # letters at either end of a text: what lies between is not read
_MOST_WAYS = 5000  # of saying one thing: each / multiplies them

Words = tuple[str, ...]


@dataclass
class Node:
    """What may follow the words that lead here, and which kinds of sayings end here."""

    after: dict[str, "Node"] = field(default_factory=dict)
    kinds: set[str] = field(default_factory=set)


class Said(NamedTuple):
    """The words of a text, and the places where a clause and where a sentence begins."""

    words: Words
    clauses: frozenset[int]
    sentences: frozenset[int]


def asks_to_be_left_alone(text: str) -> bool:
    """Whether the text asks for no more replies, in linear time."""
    said, found = _read(_ends(text)), dict[str, list[range]]()
    for kind, place in _sayings(said, _sayings_known()):
        found.setdefault(kind, []).append(place)
    return _asks_us(said, found) or _says_nothing_else(said, found)


def _ends(text: str) -> str:
    return text if len(text) <= 2 * _READ else f"{text[:_READ]}\n{text[-_READ:]}"


def _asks_us(said: Said, found: Mapping[str, list[range]]) -> bool:
    """Whether what we do is to stop, and no other words around it turn that into something else."""
    turned = _places(found, "unless")
    begins = said.clauses | {place.stop for place in _all(found, "please", "polite")}
    asked = [*_all(found, "anywhere"), *(p for p in _all(found, "at_first") if p.start in begins)]
    return any(turned.isdisjoint(place) for place in asked)


def _says_nothing_else(said: Said, found: Mapping[str, list[range]]) -> bool:
    """Whether the message, or a sentence with a "please", is only a stop word."""
    stops, pleases = _places(found, "alone"), _places(found, "please")
    covered = stops | pleases | _places(found, "polite")
    if stops and len(covered) == len(said.words):
        return True
    bounds = sorted({0, *said.sentences, len(said.words)})
    for start, end in pairwise(bounds):
        sentence = range(start, end)
        if covered.issuperset(sentence) and not (
            stops.isdisjoint(sentence) or pleases.isdisjoint(sentence)
        ):
            return True
    return False


def _all(found: Mapping[str, list[range]], *kinds: str) -> Iterator[range]:
    return (place for kind in kinds for place in found.get(kind, ()))


def _places(found: Mapping[str, list[range]], kind: str) -> set[int]:
    return {index for place in found.get(kind, ()) for index in place}


# --- Words ----------------------------------------------------------------------------------------

_NO_WORDS = re.compile(r"https?://\S+|(?<!\w)[@＠]\w+")
_STRETCHED = re.compile(r"([^\W\d])\1{2,}")
_VOWEL_SIGNS = re.compile("[\u064b-\u065f\u0670\u0640]")
_ALIKE = str.maketrans("أإآٱى", "ااااي")  # written one for the other in Arabic
_NO_BLANKS = r"\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
_TOKEN = re.compile(
    rf"(?P<sentence>[.!?…؟。！？\n])|(?P<clause>[,;:،؛、()\"“”«»–—])"
    rf"|(?P<word>[{_NO_BLANKS}]|[^\W_{_NO_BLANKS}]+)"
)
_APOSTROPHES = str.maketrans("", "", "'’`´")


def _read(text: str) -> Said:
    """Words without regard to case, accents and vowel signs; kana and Han signs are a word each."""
    words, clauses, sentences = list[str](), {0}, {0}
    for token in _TOKEN.finditer(_plain(_NO_WORDS.sub(" ", text))):
        if token.lastgroup == "word":
            words.append(token[0])
            continue
        clauses.add(len(words))
        if token.lastgroup == "sentence":
            sentences.add(len(words))
    return Said(tuple(words), frozenset(clauses), frozenset(sentences))


def _plain(text: str) -> str:
    plain = _VOWEL_SIGNS.sub("", folded(text.translate(_APOSTROPHES))).translate(_ALIKE)
    return _STRETCHED.sub(r"\1", plain)


def _sayings(said: Said, known: Node) -> Iterator[tuple[str, range]]:
    """Every known saying within a sentence, with its kind and place."""
    for start in range(len(said.words)):
        node = known
        for end in range(start, len(said.words)):
            if end > start and end in said.sentences:
                break
            if (following := node.after.get(said.words[end])) is None:
                break
            node = following
            yield from ((kind, range(start, end + 1)) for kind in node.kinds)


# --- Files ----------------------------------------------------------------------------------------


def check_words_of_the_team() -> None:
    """Raise NoOptOutWords, saying why, when the team's own file cannot be used."""
    path = Path(settings.OPT_OUTS_FILE_PATH)
    try:
        _with_theirs(path, *operator_files.seen(path))
    except operator_files.Unusable as error:
        raise NoOptOutWords(str(error)) from None


def _sayings_known() -> Node:
    """Ours, and those of the team's file where it can be used."""
    path = Path(settings.OPT_OUTS_FILE_PATH)
    try:
        return _with_theirs(path, *operator_files.seen(path))
    except operator_files.Unusable:
        return _ours()


@lru_cache(maxsize=1)
def _ours() -> Node:
    return _tree(_parsed(OURS, OURS.stat().st_size))


@operator_files.read_once
def _with_theirs(path: Path, _changed: int, size: int) -> Node:
    return _tree([*_parsed(OURS, OURS.stat().st_size), *_parsed(path, size)])


def _tree(sayings: list[tuple[str, Words]]) -> Node:
    root = Node()
    for kind, words in sayings:
        node = root
        for word in words:
            node = node.after.setdefault(word, Node())
        node.kinds.add(kind)
    return root


def _parsed(path: Path, size: int) -> list[tuple[str, Words]]:
    """Every way of saying it, with its kind. Raises Unusable with a sentence for each thing that is wrong."""
    sayings, problems = parse(operator_files.content_of(path, size=size))
    if problems:
        raise operator_files.Unusable(f"{path} cannot be used: {' '.join(problems)}")
    return sayings


def parse(found: Any) -> tuple[list[tuple[str, Words]], list[str]]:
    """What the file's content means, and a sentence for each thing that is wrong with it."""
    sayings, problems = list[tuple[str, Words]](), list[str]()
    if not isinstance(found, dict):
        return [], ["It must name languages, or be {}."]
    for language, kinds in found.items():
        if not isinstance(kinds, dict):
            problems.append(f'"{language}" must hold names and lists.')
            continue
        for kind, listed in kinds.items():
            if kind not in KINDS:
                problems.append(f'"{language}" has "{kind}", which is not known.')
            elif not isinstance(listed, list):
                problems.append(f'"{kind}" of "{language}" must be a list.')
            else:
                sayings += [(kind, words) for each in listed for words in _ways(each, problems)]
    return sayings, problems


def _ways(saying: Any, problems: list[str]) -> Iterator[Words]:
    """ "stop/quit it" in two ways. What has no word in it would be found everywhere."""
    places = str(saying).split() if isinstance(saying, str) else []
    choices = [[_read(way).words for way in place.split("/")] for place in places]
    if not choices or not all(map(all, choices)):
        problems.append(f'"{saying}" is no saying: write words, in quotes if need be.')
    elif prod(map(len, choices)) > _MOST_WAYS:
        problems.append(f'"{saying}" may be said in more than {_MOST_WAYS:,} ways.')
    else:
        for chosen in product(*choices):
            yield tuple(word for words in chosen for word in words)

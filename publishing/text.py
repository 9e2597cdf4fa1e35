"""What X sees in a text: weighted length, links, @names, #tags, $symbols, emoji (docs/X-API.md, Counting).

Every reader here is linear in the text's length. The price of a post is decided by the same links.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from emoji import EMOJI_DATA

LIMIT = 280
LONGEST = 1000  # letters; what is longer is not even read
LINK_WEIGHT = 23
_LIGHT = ((0x0000, 0x10FF), (0x2000, 0x200D), (0x2010, 0x201F), (0x2032, 0x2037))

# Where a link may begin, and how far its host may reach. What is found is used up, link or not, so that
# no letter is read twice. No group repeats possessively: Python before 3.11.5 then finds what is not
# there (gh-106052). Without https://, X knows names in ASCII only; others are taken for links, too.
_HOST = re.compile(
    r"(?P<scheme>(?<![A-Za-z0-9@＠$#＃])https?://)(?P<named>[\w.-]++)"
    r"|(?<![A-Za-z0-9@＠$#＃_./-])(?:(?P<ascii>[A-Za-z0-9][A-Za-z0-9_.-]*+)"
    r"|(?P<other>[^\W_A-Za-z](?:[^\W_A-Za-z]|\.(?=\w)|-(?=\w))*(?:(?<=\.)[A-Za-z]++)?))",
    re.IGNORECASE,
)
_SUFFIX = re.compile(r"(?:[A-Za-z]{2,}+|[^\W\d_A-Za-z]{2,}+)(?![0-9-])")
_LETTERS = r"A-Za-z0-9\u00c0-\u024f\u0400-\u04ff"
_IN_PATH = rf"[{_LETTERS}!*';:=+,.$/%#\[\]\-–_~@|&]"
_PATH = re.compile(rf"(?::[0-9]++)?(/(?:{_IN_PATH}++|\({_IN_PATH}++\))*)?")
_QUERY = re.compile(r"\?[A-Za-z0-9!?*'@();:&=+$/%#\[\]\-_.,~|]++")
_NO_END_OF_PATH, _NO_END_OF_QUERY = "!*';:,.$%[]–~@|&", "!?*'@();:+$%[].,~|"

# X lets a name follow the letters RT, of an old-fashioned repost.
_NAME = re.compile(
    r"(?:(?<![A-Za-z0-9_!#$%&*@＠])|(?<=(?<![A-Za-z0-9_+~.-])[Rr][Tt]))"
    r"[@＠]([A-Za-z0-9_]{1,15})(?![A-Za-z0-9_@＠])"
)
_TAG = re.compile(r"(?<![\w&])[#＃](\w*+)(?<!_)")
_SYMBOL = re.compile(r"(?<![\w$])\$([A-Za-z]{1,6}(?:[._][A-Za-z]{1,2})?)(?!\w)")

_EMOJI_BEGIN = frozenset(sequence[0] for sequence in EMOJI_DATA)
_LONGEST_EMOJI = max(map(len, EMOJI_DATA))
_WEIGH_ONE = (chr(point) for first, last in _LIGHT for point in range(first, last + 1))
_PLAIN = re.compile(f"[{re.escape(''.join(c for c in _WEIGH_ONE if c not in _EMOJI_BEGIN))}]+")


@dataclass(frozen=True)
class Link:
    """Where a link stands in a text, and its host."""

    start: int
    end: int
    host: str
    is_certain: bool  # X may not know a bare name's last part, and then counts letters


def weighted_length(text: str) -> int:
    """Characters as X weighs them: Latin 1, most others 2, an emoji 2, a link 23, after NFC.

    A bare name without a path weighs its letters where they are more: X may take it for words. The
    @names before a reply that X adds by itself weigh nothing, and are no part of our texts.
    """
    composed = unicodedata.normalize("NFC", text)
    length = at = 0
    for link in links_in(composed):
        words = _weight(composed[link.start : link.end]) if not link.is_certain else 0
        length += _weight(composed[at : link.start]) + max(LINK_WEIGHT, words)
        at = link.end
    return length + _weight(composed[at:])


def _weight(text: str) -> int:
    weight = at = 0
    while at < len(text):
        if plain := _PLAIN.match(text, at):
            weight, at = weight + plain.end() - at, plain.end()
            continue
        size = _emoji_size(text, at)
        weight += 2 if size else _weight_of_one(ord(text[at]))
        at += size or 1
    return weight


def _weight_of_one(point: int) -> int:
    return 1 if any(first <= point <= last for first, last in _LIGHT) else 2


def _emoji_size(text: str, at: int) -> int:
    """How many characters the longest emoji that begins at `at` has; 0 when none does."""
    if text[at] not in _EMOJI_BEGIN:
        return 0
    sizes = range(min(_LONGEST_EMOJI, len(text) - at), 0, -1)
    return next((size for size in sizes if text[at : at + size] in EMOJI_DATA), 0)


def emoji_in(text: str) -> list[str]:
    """Every emoji, a sequence such as a family or a flag as one."""
    found, at = [], 0
    while at < len(text):
        if plain := _PLAIN.match(text, at):
            at = plain.end()
            continue
        size = _emoji_size(text, at)
        if size:
            found.append(text[at : at + size])
        at += size or 1
    return found


def links_in(text: str) -> Iterator[Link]:
    """Links in order, bare names such as example.com too. An e-mail address is none."""
    return _links(text) if len(text) > LONGEST else iter(_links_of_short(text))


@lru_cache(maxsize=100)
def _links_of_short(text: str) -> list[Link]:
    """Most guards ask where the links are, one after the other."""
    return list(_links(text))


def _links(text: str) -> Iterator[Link]:
    at = 0
    while found := _HOST.search(text, at):
        link = _link(text, found) if "." in found[0] else None
        at = found.end() if link is None else link.end
        if link is not None:
            yield link


def _link(text: str, found: re.Match[str]) -> Link | None:
    name = found.lastgroup or ""
    begin, host = found.start(name), found[name]
    size = _host_size(host)
    if not size or text[found.end() : found.end() + 1] in {"@", "＠"}:
        return None
    end = _end_of(text, begin + size, has_scheme=name == "named")
    is_certain = name == "named" or end > begin + size
    return Link(found.start(), end, host[:size], is_certain)


def _host_size(run: str) -> int:
    """How much of `run` is a host: up to its last part that can end one; 0 when none can."""
    parts, end = run.split("."), len(run)
    for before, part in zip(reversed(parts[:-1]), reversed(parts[1:]), strict=True):
        if before and (found := _SUFFIX.match(part)):
            return end - len(part) + found.end()
        end -= len(part) + 1
    return 0


def _end_of(text: str, end: int, *, has_scheme: bool) -> int:
    """Where the link ends whose host ends at `end`: behind port, path and query."""
    path = _PATH.match(text, end)
    if path is None:
        return end
    if path[1]:
        kept = path[0].rstrip(_NO_END_OF_PATH)
    elif has_scheme:
        kept = path[0]
    else:
        return end
    query = _QUERY.match(text, path.end()) if len(kept) == len(path[0]) else None
    asked = query[0].rstrip(_NO_END_OF_QUERY) if query else ""
    return end + len(kept) + len(asked)


def without_links(text: str) -> str:
    """The text with a blank in each link's place: what stands in a link is no name, tag or sentence."""
    kept, at = [], 0
    for link in links_in(text):
        kept.append(text[at : link.start])
        at = link.end
    return " ".join([*kept, text[at:]])


def names_in(text: str) -> list[str]:
    """Every @name in order, each once, in small letters."""
    return list(dict.fromkeys(name.lower() for name in _NAME.findall(without_links(text))))


def tags_in(text: str) -> list[str]:
    """Every #tag, as often as it stands there; a mere number is none."""
    return [tag for tag in _TAG.findall(without_links(text)) if tag and not tag.isdigit()]


def symbols_in(text: str) -> list[str]:
    """Every $SYMBOL, as often as it stands there."""
    return [symbol for symbol in _SYMBOL.findall(without_links(text)) if symbol]

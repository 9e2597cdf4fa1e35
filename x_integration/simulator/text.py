"""What X sees in a text: entities, weighted length, t.co links, HTML entities, language.

Written for the simulator alone and simpler than X's own library; rules after docs.x.com,
"Counting characters".
"""

import hashlib
import html
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Entities = dict[str, list[dict[str, Any]]]

MAX_WEIGHTED_LENGTH = 280
_URL_WEIGHT = 23

_BARE_SUFFIXES = (
    "com|org|net|dev|app|io|co|me|info|coffee|cafe|shop|club|store|online|site|blog|xyz|tv|ai|ly|be"
    "|br|pt|es|mx|jp|uk|us|de|fr|ae|sa|eg|it|nl|ca|au|in|ch|ar|cl|uy|kr|cn"
)
_URL = re.compile(
    r"(?<![\w@.#$/-])"
    r"(?:https?://[a-z0-9.-]+\.[a-z]{2,}(?::[0-9]+)?(?:[/?#][!#-;=?-~\u00a1-\u024f\u0400-\u04ff]*)?"
    rf"|(?:[a-z0-9][a-z0-9-]*\.)+(?:{_BARE_SUFFIXES})(?![\w@.-]*\w)(?:/[\w/#?=&%.+~-]*)?)",
    re.IGNORECASE | re.ASCII,
)
_URL_TAIL = ".,:;!?'\")]}"
_MENTION = re.compile(r"(?<![A-Za-z0-9_!#$%&*@＠])[@＠]([A-Za-z0-9_]{1,15})(?![A-Za-z0-9_@])")
_HASHTAG = re.compile(r"(?<![\w&])[#＃](\w*[^\W\d_]\w*)")
_CASHTAG = re.compile(r"(?<![\w$])\$([A-Za-z]{1,6}(?:[._][A-Za-z]{1,2})?)(?!\w)")
_LEADING_MENTION = re.compile(r"[@＠]([A-Za-z0-9_]{1,15})\s+")

_EMOJI_BASE = (
    "[\u2190-\u21ff\u2300-\u23ff\u24c2\u25a0-\u27bf\u2900-\u297f\u2b00-\u2bff\u203c\u2049\u2122\u2139"
    "\u3030\u303d\u3297\u3299\U0001f000-\U0001faff]"
)
_EMOJI_UNIT = f"{_EMOJI_BASE}\ufe0f?[\U0001f3fb-\U0001f3ff]?[\U000e0020-\U000e007f]*"
_EMOJI = re.compile(
    "[\U0001f1e6-\U0001f1ff]{2}|[0-9#*]\ufe0f?\u20e3|[©®]\ufe0f?|"
    f"{_EMOJI_UNIT}(?:\u200d{_EMOJI_UNIT})*"
)
_LIGHT = ((0, 4351), (8192, 8205), (8208, 8223), (8242, 8247))


def urls_in(text: str) -> list[tuple[int, int]]:
    """Where links stand, bare domains included, without the punctuation that follows them."""
    spans = []
    for found in _URL.finditer(text):
        link = found.group().rstrip(_URL_TAIL)
        spans.append((found.start(), found.start() + len(link)))
    return spans


def usernames_in(text: str) -> list[str]:
    """Every @name in order, each once, without regard to case; a link's own @ names nobody."""
    seen: dict[str, str] = {}
    for mark in marks_in(text):
        if mark.kind == "mentions":
            seen.setdefault(mark.value.lower(), mark.value)
    return list(seen.values())


def gist(text: str) -> str:
    """What makes two texts the same to X's check for duplicates, as far as anybody knows."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def leading_usernames(text: str) -> tuple[list[str], str]:
    """The @names that a text begins with, and the rest."""
    names, at = [], 0
    while found := _LEADING_MENTION.match(text, at):
        names.append(found.group(1))
        at = found.end()
    return names, text[at:]


def cashtags_in(text: str) -> list[str]:
    """Every $SYMBOL, as often as it stands there."""
    return [found.group(1) for found in _CASHTAG.finditer(text)]


def weighted_length(text: str) -> int:
    """X's length of a text: links 23, an emoji sequence 2, Latin and friends 1, the rest 2."""
    text = unicodedata.normalize("NFC", text)
    spans = urls_in(text)
    for start, end in reversed(spans):
        text = text[:start] + text[end:]
    text, emoji = _EMOJI.subn("", text)
    return len(spans) * _URL_WEIGHT + emoji * 2 + sum(map(_weight, text))


def _weight(character: str) -> int:
    point = ord(character)
    return 1 if any(low <= point <= high for low, high in _LIGHT) else 2


@dataclass(frozen=True, slots=True)
class Mark:
    """A stretch of a text that means something; `kind` is X's word in `entities`."""

    start: int
    end: int
    kind: str
    value: str


def marks_in(text: str) -> list[Mark]:
    """Links, @names, #tags and $symbols in order; nothing inside a link counts."""
    found = [Mark(start, end, "urls", text[start:end]) for start, end in urls_in(text)]
    for kind, pattern in (("mentions", _MENTION), ("hashtags", _HASHTAG), ("cashtags", _CASHTAG)):
        found += [
            Mark(each.start(), each.end(), kind, each.group(1)) for each in pattern.finditer(text)
        ]
    marks: list[Mark] = []
    for mark in sorted(found, key=lambda mark: mark.start):
        if not marks or mark.start >= marks[-1].end:
            marks.append(mark)
    return marks


def published(
    text: str, find_user: Callable[[str], str | None], *, salt: str
) -> tuple[str, Entities]:
    """The text as X hands it out, and its entities.

    Links become t.co links, &, < and > become HTML entities, and positions count code points of
    the result. `find_user` gives the id for a username; `salt` makes a post's t.co links its own.
    """
    out = ""
    at = 0
    entities: Entities = {}
    for mark in marks_in(text):
        fields = _fields_of(mark, find_user, salt)
        if fields is None:
            continue
        out += html.escape(text[at : mark.start], quote=False)
        shown = fields.get("url", text[mark.start : mark.end])
        span = {"start": len(out), "end": len(out) + len(shown)}
        entities.setdefault(mark.kind, []).append(span | fields)
        out += shown
        at = mark.end
    return out + html.escape(text[at:], quote=False), entities


def _fields_of(
    mark: Mark, find_user: Callable[[str], str | None], salt: str
) -> dict[str, Any] | None:
    """What an entity says beside its place; None for a name that nobody has."""
    if mark.kind == "urls":
        expanded = mark.value if "://" in mark.value else f"http://{mark.value}"
        shown = display_url(expanded)
        short = f"https://t.co/{_short_code(salt + expanded)}"
        return {"url": short, "expanded_url": expanded, "display_url": shown}
    if mark.kind == "mentions":
        user_id = find_user(mark.value)
        return None if user_id is None else {"username": mark.value, "id": user_id}
    return {"tag": mark.value}


def display_url(url: str) -> str:
    """A link as X shows it to people: without the scheme, and cut."""
    shown = url.split("://", 1)[-1].removeprefix("www.").rstrip("/")
    return shown if len(shown) <= 30 else shown[:29] + "…"


def _short_code(text: str) -> str:
    alphabet = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
    number = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8])
    code = ""
    for _ in range(10):
        number, rest = divmod(number, len(alphabet))
        code += alphabet[rest]
    return code


_TELLING = {
    "pt": "não vocês você uma obrigado obrigada com é muito pra para meu café",
    "es": "el los una gracias con es muy para pero qué está mi hola",
    "en": "the and is you thanks with for your my of it to",
}
_TELLING_WORDS = {language: frozenset(words.split()) for language, words in _TELLING.items()}


def guess_language(text: str) -> str:
    """A BCP 47 tag, or "und": enough to fill the field, no more."""
    if re.search(r"[\u3040-\u30ff]", text):
        return "ja"
    if re.search(r"[\u0600-\u06ff]", text):
        return "ar"
    words = set(re.findall(r"[^\W\d_]+", text.lower()))
    best = max(_TELLING_WORDS, key=lambda language: len(words & _TELLING_WORDS[language]))
    return best if words & _TELLING_WORDS[best] else "und"

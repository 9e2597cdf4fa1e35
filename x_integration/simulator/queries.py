"""The query language of recent search, as far as it is simulated (docs.x.com, "Build a query").

A blank means AND and binds closer than OR; a minus negates a term or a group. X has some dozens of
operators more; those of docs/X-API.md are known here, and every other one is refused.
"""

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from x_integration.simulator import text as texts
from x_integration.simulator.world import Post, World

LONGEST = {"self_serve": 512, "enterprise": 4096}
_DEEPEST = 25
_PIECE = re.compile(r'\s*(?P<minus>-?+)(?P<body>[()]|(?P<name>[a-z_]+:)?"[^"]*"|[^\s()"]+)')
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|[^\W_\u3040-\u30ff\u3400-\u9fff]+")

Found = Callable[[Post, World], bool]


class BadQuery(ValueError):
    """The text says what X would not read, and where."""


@dataclass(frozen=True, slots=True)
class Query:
    """What a post must be. `stands_alone`: it is more than a filter, so X takes it by itself."""

    found: Found
    stands_alone: bool


def read_query(text: str, *, tier: str) -> Query:
    """Raises BadQuery for what X refuses."""
    if not text.strip():
        raise BadQuery("Rules must not be empty.")
    if len(text) > LONGEST[tier]:
        raise BadQuery(f"Rules must be at most {LONGEST[tier]} characters, not {len(text)}.")
    query = _Reader(text).whole()
    if not query.stands_alone:
        raise BadQuery("Rules must contain a stand-alone operator that is not negated.")
    return query


@dataclass(frozen=True, slots=True)
class _Piece:
    body: str
    negated: bool
    at: int  # counts from 1, as X's messages do


class _Reader:
    """Recursive descent: alternatives, which are clauses, which are terms or groups."""

    def __init__(self, text: str) -> None:
        self._pieces = _pieces_of(text)
        self._next = 0
        self._depth = 0

    def whole(self) -> Query:
        query = self._alternatives()
        if piece := self._peek():
            raise _unreadable(piece)
        return query

    def _alternatives(self) -> Query:
        parts = [self._clauses()]
        while (piece := self._peek()) and piece.body == "OR":
            self._next += 1
            parts.append(self._clauses())
        if len(parts) == 1:
            return parts[0]
        return Query(
            lambda post, world: any(part.found(post, world) for part in parts),
            all(part.stands_alone for part in parts),
        )

    def _clauses(self) -> Query:
        parts: list[Query] = []
        while (piece := self._peek()) and piece.body not in (")", "OR"):
            self._next += 1
            parts.append(self._clause(piece))
        if not parts:
            raise _unreadable(self._peek())
        if len(parts) == 1:
            return parts[0]
        return Query(
            lambda post, world: all(part.found(post, world) for part in parts),
            any(part.stands_alone for part in parts),
        )

    def _clause(self, piece: _Piece) -> Query:
        query = self._group(piece) if piece.body == "(" else _term(piece)
        if not piece.negated:
            return query
        return Query(lambda post, world: not query.found(post, world), stands_alone=False)

    def _group(self, opening: _Piece) -> Query:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise BadQuery(f"Rules are nested too deeply (at position {opening.at}).")
        query = self._alternatives()
        closing = self._peek()
        if closing is None or closing.body != ")":
            raise BadQuery(f"missing ')' for the '(' (at position {opening.at})")
        self._next += 1
        self._depth -= 1
        return query

    def _peek(self) -> _Piece | None:
        return self._pieces[self._next] if self._next < len(self._pieces) else None


def _pieces_of(text: str) -> list[_Piece]:
    pieces, at = [], 0
    text = text.rstrip()
    while at < len(text):
        found = _PIECE.match(text, at)
        if found is None:  # a quote that nobody closes, or a minus before nothing
            raise BadQuery(
                f"no viable alternative at character '{text[at]}' (at position {at + 1})"
            )
        pieces.append(_Piece(found["body"], bool(found["minus"]), found.start("body") + 1))
        at = found.end()
    return pieces


def _unreadable(piece: _Piece | None) -> BadQuery:
    if piece is None:
        return BadQuery("no viable alternative at input '<EOF>'")
    return BadQuery(f"no viable alternative at input '{piece.body}' (at position {piece.at})")


# --- terms --------------------------------------------------------------------------------------


def _term(piece: _Piece) -> Query:
    body = piece.body
    if body == '""':
        raise _unreadable(piece)
    if body.lower() in ("and", "or"):
        raise BadQuery(
            f"Ambiguous use of {body} as a keyword. Use a space to logically join two clauses, or "
            f'"{body}" to find occurrences of {body} in text (at position {piece.at})'
        )
    if body[0] == '"':
        return Query(_says(body[1:-1]), stands_alone=True)
    if body[0] in "@#$" and len(body) > 1:
        return Query(_carries(body), stands_alone=True)
    name, colon, value = body.partition(":")
    if not colon:
        return Query(_says(body), stands_alone=True)
    return _operator(piece, name, value.strip('"'))


def _operator(piece: _Piece, name: str, value: str) -> Query:
    if f"{name}:{value}" in FILTERS:
        return Query(FILTERS[f"{name}:{value}"], stands_alone=False)
    if name not in OPERATORS:
        raise BadQuery(
            f"Reference to invalid operator '{name}'. Operator is not available in current product "
            f"or product packaging (at position {piece.at})"
        )
    shape, stands_alone, matcher = OPERATORS[name]
    if not re.fullmatch(shape, value, re.ASCII):
        raise BadQuery(
            f"Reference to invalid value '{value}' of operator '{name}' (at position {piece.at})"
        )
    return Query(matcher(value), stands_alone)


def _says(words: str) -> Found:
    """The words one after the other, whatever stands between them and however they are written."""
    wanted = words_of(words)
    if not wanted:  # nothing but signs, such as an emoji
        return lambda post, world: words in world.full_text(post)
    return lambda post, world: f" {wanted} " in f" {words_of(world.full_text(post))} "


@lru_cache(maxsize=50_000)
def words_of(text: str) -> str:
    """The words of a text between blanks; a script without blanks is cut into its characters."""
    return " ".join(_WORD.findall(unicodedata.normalize("NFC", text).casefold()))


def _carries(entity: str) -> Found:
    """@name, #tag or $symbol."""
    kind = {"@": "mentions", "#": "hashtags", "$": "cashtags"}[entity[0]]
    wanted = entity[1:].casefold()
    if kind == "mentions":
        return lambda post, world: wanted in _named_in(post, world)
    return lambda post, world: any(
        mark.kind == kind and mark.value.casefold() == wanted for mark in texts.marks_in(post.text)
    )


def _named_in(post: Post, world: World) -> set[str]:
    return {world.users[user_id].username.casefold() for user_id in post.mentions}


def _has(kind: str) -> Found:
    return lambda post, world: any(
        mark.kind == kind for mark in texts.marks_in(world.full_text(post))
    )


def _is_user(value: str, user_id: int | None, world: World) -> bool:
    """Whether a username or an id means that user."""
    if user_id is None:
        return False
    user = world.users[user_id]
    return value.removeprefix("@").casefold() in (user.username.casefold(), str(user.id))


def _from(value: str) -> Found:
    return lambda post, world: _is_user(value, post.author_id, world)


def _to(value: str) -> Found:
    def found(post: Post, world: World) -> bool:
        target = world.posts.get(post.reply_to or 0)
        return _is_user(value, target.author_id if target else None, world)

    return found


def _at_least(count: Callable[[Post, World], int]) -> Callable[[str], Found]:
    return lambda value: lambda post, world: count(post, world) >= int(value)


def _told(name: str) -> Callable[[Post, World], int]:
    return lambda post, world: (post.metrics or {}).get(name, 0)


_USER, _ID, _COUNT = r"@?[A-Za-z0-9_]{1,19}", r"[0-9]{1,19}", r"[0-9]{1,9}"
# What its value looks like, whether X takes it alone, and what it finds.
OPERATORS: dict[str, tuple[str, bool, Callable[[str], Found]]] = {
    "from": (_USER, True, _from),
    "to": (_USER, True, _to),
    "conversation_id": (
        _ID,
        True,
        lambda value: lambda post, _: post.conversation_id == int(value),
    ),
    "in_reply_to_tweet_id": (_ID, True, lambda value: lambda post, _: post.reply_to == int(value)),
    "quotes_of_tweet_id": (_ID, True, lambda value: lambda post, _: post.quotes == int(value)),
    "lang": (r"[a-z]{2,3}", False, lambda value: lambda post, _: post.lang == value),
    "min_likes": (_COUNT, False, _at_least(_told("likes"))),
    "min_reposts": (_COUNT, False, _at_least(_told("reposts"))),
    "min_replies": (_COUNT, False, _at_least(lambda post, world: world.reply_count(post))),
}
FILTERS: dict[str, Found] = {
    "is:retweet": lambda post, world: False,  # nobody reposts here
    "is:reply": lambda post, world: post.reply_to is not None,
    "is:quote": lambda post, world: post.quotes is not None,
    "has:links": _has("urls"),
    "has:mentions": _has("mentions"),
    "has:hashtags": _has("hashtags"),
    "has:cashtags": _has("cashtags"),
}

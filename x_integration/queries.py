"""What a person types to search X: refused here, in a sentence, where X would answer 400.

Only what X surely refuses is refused: its query language has some dozens of operators, and new ones
come (docs/X-API.md, Reading). Whether it knows an operator is X's to say.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from x_integration.errors import BadQuery

LONGEST = 512
_JOINERS = "\u200c\u200d"  # of emoji, and of scripts such as Persian
_PIECE = re.compile(r'(?P<minus>-?+)(?P<body>[()]|(?:[a-z_]+:)?"[^"]*"|[^\s()"]+)')
_FILTERS = re.compile(r"(?:is|has|lang|sample|min_[a-z]+):")
_ALONE = (
    "X does not search by filters alone, such as lang:, is: or has:, nor by what is left out. "
    "Add a word, a phrase, a #tag, an @name or from:."
)


def checked_query(text: str) -> str:
    """The query as it is kept, with single blanks. Raises BadQuery with what is wrong with it."""
    if any(_is_unseen(character) for character in text):
        raise BadQuery("The query holds a character that nobody sees: type it anew, on one line.")
    query = " ".join(text.split())
    if not query:
        raise BadQuery("Say what to search for.")
    if len(query) > LONGEST:
        raise BadQuery(f"X takes at most {LONGEST} characters; these are {len(query)}.")
    if not _stands_alone(query):
        raise BadQuery(_ALONE)
    return query


def _is_unseen(character: str) -> bool:
    kind = unicodedata.category(character)
    return kind in ("Cc", "Cs") or (kind == "Cf" and character not in _JOINERS)


@dataclass
class _Group:
    """What stands between two parentheses, or all of it: alternatives of terms."""

    negated: bool = False
    all_alone: bool = True
    """Whether each alternative before this one is more than filters."""
    alone: bool | None = None
    """Whether this alternative is; None while it has no term."""

    def add(self, *, alone: bool) -> None:
        """One more term of this alternative: one that stands alone is enough."""
        self.alone = bool(self.alone) or alone

    def close(self) -> None:
        """End this alternative, and begin the next."""
        if self.alone is None:
            raise BadQuery("OR stands between two things, and nothing stands there alone.")
        self.all_alone, self.alone = self.all_alone and self.alone, None


def _stands_alone(query: str) -> bool:
    """Whether X takes the query by itself. Raises BadQuery where it cannot be read."""
    if query.count('"') % 2:
        raise BadQuery('A quotation mark (") has no partner.')
    groups = [_Group()]
    for piece in _pieces(query):
        _read(piece["body"], groups, negated=bool(piece["minus"]))
    if len(groups) > 1:
        raise BadQuery("A parenthesis is opened and not closed.")
    groups[0].close()
    return groups[0].all_alone


def _pieces(query: str) -> list[re.Match[str]]:
    pieces, at = [], 0
    while at < len(query):
        found = _PIECE.match(query, at)
        if found is None:
            raise BadQuery("A minus stands right before what is left out, without a blank.")
        pieces.append(found)
        at = found.end()
        at += query[at : at + 1] == " "
    return pieces


def _read(body: str, groups: list[_Group], *, negated: bool) -> None:
    """Add one piece to the innermost group, open another, or close it."""
    if body == "(":
        groups.append(_Group(negated))
    elif body == ")":
        _close(groups)
    elif body == "OR" and not negated:
        groups[-1].close()
    else:
        groups[-1].add(alone=_is_more_than_a_filter(body) and not negated)


def _close(groups: list[_Group]) -> None:
    inner = groups.pop()
    if not groups:
        raise BadQuery("A parenthesis is closed that was not opened.")
    inner.close()
    groups[-1].add(alone=inner.all_alone and not inner.negated)


def _is_more_than_a_filter(term: str) -> bool:
    if term.lower() in ("and", "or"):
        raise BadQuery(
            f'X reads {term} as a sign: leave a blank for "and", write OR in capitals for "or", '
            f"or put the word itself in quotation marks."
        )
    if term.endswith('""'):
        raise BadQuery("Nothing stands between two quotation marks.")
    return _FILTERS.match(term) is None

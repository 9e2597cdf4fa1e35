"""What people change in a text, kept word by word: how far a proposer was from what was said."""

import re
from datetime import datetime
from difflib import SequenceMatcher

from publishing.models import Edit, QueueItem
from workspaces.models import User

_PIECES = re.compile(r"[!-~]{40,}|\s+|\w+|[^\w\s]")  # what is so long is a link: one word


def note_edit(item: QueueItem, *, before: str, by: User, door: str, now: datetime) -> None:
    """Write down the difference between `before` and the item's text, in the caller's transaction."""
    Edit.objects.create(
        item=item,
        version=item.version,
        edited_by=by,
        door=door,
        edited_at=now,
        diff=difference(before, item.text),
    )


def difference(before: str, after: str) -> list[tuple[str, str]]:
    """Pieces in order: ("=", kept), ("-", taken out), ("+", put in). Either text can be put together again."""
    old, new = _PIECES.findall(before), _PIECES.findall(after)
    pieces: list[tuple[str, str]] = []
    for what, a, b, c, d in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if what == "equal":
            pieces.append(("=", "".join(old[a:b])))
            continue
        pieces += [
            (sign, "".join(part)) for sign, part in (("-", old[a:b]), ("+", new[c:d])) if part
        ]
    return pieces

"""The one place where an item's state moves: one guarded UPDATE, whose row count decides the race."""

from datetime import datetime
from typing import Any

from django.db.models import F

from publishing.errors import ItemNotFound, WrongState
from publishing.models import QueueItem
from publishing.states import MOVES
from revfirst.errors import RevFirstError


def move_item(
    name: str, item_id: int, *, now: datetime, seen: int | None = None, **changes: Any
) -> QueueItem:
    """Move the item and return it as it is now; the caller writes the audit row.

    `seen` is the version that the decision was made about. Raises ItemNotFound or WrongState.
    """
    move = MOVES[name]
    rows = QueueItem.objects.filter(pk=item_id)
    open_ = rows.filter(state__in=move.sources)
    if seen is not None:
        open_ = open_.filter(version=seen)
    if move.new_version:
        changes["version"] = F("version") + 1
    if not open_.update(state=move.target, moved_at=now, **changes):
        raise _why_not(name, item_id, seen)
    return rows.select_related("workspace", "source_post").get()


def move_locked(name: str, item: QueueItem, *, now: datetime, **changes: Any) -> None:
    """Move an item that the caller read and locked, or is about to; `item` then shows it.

    The UPDATE is guarded all the same. Raises ItemNotFound or WrongState.
    """
    move = MOVES[name]
    changes |= {"state": move.target, "moved_at": now}
    if not QueueItem.objects.filter(pk=item.pk, state__in=move.sources).update(**changes):
        raise _why_not(name, item.pk, None)
    for column, value in changes.items():
        setattr(item, column, value)


def _why_not(name: str, item_id: int, seen: int | None) -> RevFirstError:
    item = QueueItem.objects.filter(pk=item_id).first()
    if item is None:
        return ItemNotFound()
    if seen is not None and item.version != seen:
        return WrongState(f"{item} was edited: you saw version {seen}, it is {item.version} now.")
    state, verb = (word.replace("_", " ") for word in (item.state, name))
    since = f"{item.moved_at:%Y-%m-%d %H:%M} UTC"
    return WrongState(f"{item} has been {state} since {since}: there is nothing to {verb}.")

"""The move table: every (state, move) pair, and its page."""

from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from publishing.errors import ItemNotFound, WrongState
from publishing.management.commands.states_page import page
from publishing.models import QueueItem
from publishing.services.moves import move_item
from publishing.states import FINAL, MOVES, State
from tests.factories import QueueItemFactory

# Written out, so that the table cannot agree with itself.
ALLOWED = {
    "edit": {"pending": "pending", "approved": "pending"},
    "approve": {"pending": "approved"},
    "reject": {"pending": "rejected", "approved": "rejected"},
    "expire": {"pending": "expired", "approved": "expired"},
    "claim": {"approved": "publishing"},
    "release": {"publishing": "approved"},
    "confirm": {
        "publishing": "published",
        "unconfirmed": "published",
        "handed_off": "published",
    },
    "late_confirm": {"failed": "published", "pending": "published", "approved": "published"},
    "doubt": {"publishing": "unconfirmed"},
    "fail": {"publishing": "failed"},
    "give_up": {"unconfirmed": "failed"},
    "resend": {"unconfirmed": "approved"},
    "retry": {"failed": "pending", "expired": "pending"},
    "hand_off": {"pending": "handed_off", "approved": "handed_off", "failed": "handed_off"},
    "take_back": {"handed_off": "pending"},
}


def _item(state: str) -> QueueItem:
    return QueueItemFactory(state=state, x_post_id="1" if state == State.PUBLISHED else "")


@pytest.mark.django_db
@pytest.mark.parametrize("move", MOVES)
@pytest.mark.parametrize("state", State.values)
def test_a_move_goes_from_its_sources_and_from_nowhere_else(state, move):
    item = _item(state)
    changes: dict[str, Any] = {"x_post_id": "1"} if "confirm" in move else {}
    target = ALLOWED[move].get(state)
    if target is None:
        with pytest.raises(WrongState, match=str(item)):
            move_item(move, item.pk, now=timezone.now(), **changes)
        target = state
    else:
        move_item(move, item.pk, now=timezone.now(), **changes)
    item.refresh_from_db()
    assert item.state == target


def test_every_move_of_the_table_is_written_out_here():
    assert ALLOWED.keys() == MOVES.keys()


def test_nothing_leaves_a_final_state():
    assert not [name for name, move in MOVES.items() if move.sources & FINAL]


@pytest.mark.django_db
@pytest.mark.parametrize("move", ["edit", "take_back"])
def test_a_move_to_new_content_raises_the_version(move):
    source = next(iter(ALLOWED[move]))
    assert move_item(move, _item(source).pk, now=timezone.now()).version == 2


@pytest.mark.django_db
def test_a_decision_about_an_older_version_is_refused_and_says_so():
    item = QueueItemFactory(version=3)
    with pytest.raises(WrongState, match="you saw version 2, it is 3 now"):
        move_item("approve", item.pk, now=timezone.now(), seen=2)


@pytest.mark.django_db
def test_a_missing_item_is_told_apart_from_a_decided_one():
    with pytest.raises(ItemNotFound):
        move_item("approve", 99, now=timezone.now())


def test_the_page_is_current(repository: Path):
    assert (repository / "docs/STATES.md").read_text() == page()

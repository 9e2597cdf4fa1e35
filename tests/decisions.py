"""A process killed in the middle of a person's decision: it is made, or nothing of it is."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.utils import timezone
from django_q.models import OrmQ

from publishing.models import Approval, PublishAttempt, QueueItem
from publishing.states import MOVES
from tests import acts
from tests.books import check_books, check_item
from tests.worlds import problem
from workspaces.models import AuditEvent, Counter
from x_integration.models import Spend

if TYPE_CHECKING:
    from tests.mortals import Mortals
    from tests.worlds import World

PLACES = (
    "decision: item moved",
    "decision: audited",
    "decision: before COMMIT",
    "decision: after COMMIT",
)
_UNTIL_EACH_LOOK = (20, 130, 610)  # seconds
_OF_LOOKING = ("looks", "next_look_at")  # a look is noted by itself


def crash(x: World, mortals: Mortals, move: str, place: str, *, mutant: str = "") -> None:
    """Kill a process where it decides; the decision stands whole, or is made again."""
    item = waiting_for(x, move)
    before, version = rows(), item.version
    dead = mortals.run("decide", move, item.pk, version, dies_at=place, mutant=mutant)
    assert (dead.died_at, dead.was_killed) == (place, True)
    made = place == "decision: after COMMIT"
    assert made or rows() == before, "half of it was done"
    again = mortals.run("decide", move, item.pk, version, mutant=mutant)
    assert again.raised.partition(":")[0] == ("WrongState" if made else "")
    item.refresh_from_db()
    assert item.state == MOVES[move].target
    if move in ("approve", "resend"):
        assert mortals.run("go_on", [item.pk]).raised == ""
        item.refresh_from_db()
        check_item(x, item)
        assert len(x.machine_posts()) == 1
    check_books(x, [item.workspace])


def waiting_for(x: World, move: str) -> QueueItem:
    """An item about which that may be decided."""
    workspace = x.connected()
    if move == "approve":
        return x.pending(workspace)
    item = x.approved(workspace)
    if move == "retry":
        x.fault(**problem(400))
        return x.publish(item)
    if move == "take_back":
        _decide("hand_off", item)
    if move in ("give_up", "resend"):
        x.fault("drop")
        x.publish(item)
        for seconds in _UNTIL_EACH_LOOK:
            x.sweep(after=timedelta(seconds=seconds))
    item.refresh_from_db()
    return item


def _decide(move: str, item: QueueItem) -> None:
    acts.decide(move, item, version=item.version, clock=timezone.now)


def rows() -> dict[str, list[dict[str, Any]]]:
    """Everything that a decision may write."""
    models: tuple[Any, ...] = (
        QueueItem,
        Approval,
        PublishAttempt,
        AuditEvent,
        Counter,
        Spend,
        OrmQ,
    )
    found = {model.__name__: list(model.objects.order_by("pk").values()) for model in models}
    for row in found["PublishAttempt"]:
        for column in _OF_LOOKING:
            del row[column]
    return found

"""Posts of our own, planned by a person."""

from datetime import datetime

from publishing.errors import SlotTaken
from publishing.models import QueueItem
from publishing.services.propose import propose_item
from publishing.services.times import next_slot
from workspaces.actors import Actor
from workspaces.models import Workspace
from workspaces.services import check_member

_TRIES = 3


def plan_post(
    workspace: Workspace, *, text: str, at: datetime | None, actor: Actor, now: datetime
) -> QueueItem:
    """Propose a post of our own for `at`, or for the next free slot.

    Raises what `propose_item` raises, or NoSlot.
    """
    if at is not None:
        return propose_item(workspace, text=text, scheduled_for=at, actor=actor, now=now)
    if actor.user:
        check_member(actor.user, workspace)
    for _ in range(_TRIES - 1):  # somebody else may take the slot first
        try:
            return _in_the_next_slot(workspace, text, actor, now)
        except SlotTaken:
            continue
    return _in_the_next_slot(workspace, text, actor, now)


def _in_the_next_slot(workspace: Workspace, text: str, actor: Actor, now: datetime) -> QueueItem:
    slot = next_slot(workspace, now=now)
    return propose_item(workspace, text=text, scheduled_for=slot, actor=actor, now=now)

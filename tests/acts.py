"""What a person may decide about an item, by the move's name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils import timezone

from publishing import services
from tests.worlds import operator
from x_integration.client import XClient

if TYPE_CHECKING:
    from publishing.models import QueueItem
    from revfirst.clock import Clock
    from workspaces.actors import Actor

REASONED = ("reject", "give_up", "resend")
MOVES = ("approve", "edit", "reject", "retry", "hand_off", "take_back", "give_up", "resend")


def decide(
    move: str,
    item: QueueItem,
    *,
    version: int,
    clock: Clock,
    actor: Actor | None = None,
    reason: str = "Looked into.",
) -> None:
    """The workspace's owner, or `actor`, makes the move. Raises what the service raises."""
    said = {"version": version, "actor": actor or operator(item.workspace)}
    if move == "take_back":
        services.take_back_item(item.pk, **said, x=XClient(), clock=clock)  # type: ignore[arg-type]
        return
    if move in REASONED:
        said["reason"] = reason
    if move == "edit":
        said["text"] = f"{item.text} (better)"
    getattr(services, f"{move}_item")(item.pk, **said, now=clock())


def say_which(item: QueueItem, x_post_id: str) -> None:
    """The workspace's owner says which post the item has become. Raises what the service raises."""
    services.confirm_found_item(
        item.pk,
        version=item.version,
        x_post_id=x_post_id,
        x=XClient(),
        actor=operator(item.workspace),
        clock=timezone.now,
    )

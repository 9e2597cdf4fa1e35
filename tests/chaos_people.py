"""What people do in a random run: they decide, stop and let go, post by hand, connect again."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from django.core.cache import cache
from django.utils import timezone

from publishing.models import CircuitBreaker, QueueItem
from publishing.services import confirm_found_item
from publishing.states import MOVES, Outcome, State
from revfirst.errors import RevFirstError
from tests import acts
from tests.books import posts_of
from tests.crashes import reconnect
from tests.worlds import operator
from workspaces.actors import Actor
from workspaces.models import SystemHold, Workspace
from workspaces.services import (
    kill_switch,
    lift_containment,
    lift_hold,
    pause_workspace,
    resume_workspace,
    set_kill_switch,
)
from x_integration.answers import DUPLICATE_CONTENT
from x_integration.client import XClient
from x_integration.models import XAccount
from x_integration.services import lift_account_hold

if TYPE_CHECKING:
    from collections.abc import Callable

    from revfirst.clock import Clock
    from tests.chaos_draws import Act
    from tests.mortals import Mortals
    from tests.worlds import World

_MACHINE = Actor.command()
_MAY_HAVE_POSTED = (Outcome.SUCCEEDED, Outcome.UNKNOWN, Outcome.ABANDONED)
Deed = tuple[str, "Callable[[], Any]"]


def act(
    x: World, mortals: Mortals, item: QueueItem, drawn: Act, *, clock: Clock, after: float
) -> str:
    """Do what the draw chooses of what may be done; its name, and whether it was refused.

    Work goes on meanwhile: what may be done when it is chosen may be refused when it is done.
    """
    item = QueueItem.objects.select_related("workspace__x_account", "source_post").get(pk=item.pk)
    on_x = _on_x(x, item, clock)
    deeds = [*_decisions(item, clock), *on_x]
    if drawn.stops:
        deeds = _stops(x, item.workspace, clock)
    if drawn.of_x:
        deeds = on_x
    if not deeds:
        return "nothing to decide"
    name, deed = deeds[int(drawn.chance * len(deeds))]
    if drawn.dies_at and name in acts.MOVES:
        dead = mortals.run("decide", name, item.pk, item.version, after, dies_at=drawn.dies_at)
        return f"{name}, {'killed' if dead.died_at else 'refused'}"
    try:
        deed()
    except RevFirstError as error:
        return f"{name}, refused: {error.code}"
    return name


def _decisions(item: QueueItem, clock: Clock) -> list[Deed]:
    """What the item's state allows; the rarer states' decisions weigh more."""
    open_ = [name for name in acts.MOVES if item.state in MOVES[name].sources]
    weight = 1 if item.state in (State.APPROVED, State.PENDING) else 3
    decide = partial(acts.decide, item=item, version=item.version, clock=clock)
    deeds: list[Deed] = [(name, partial(decide, name)) for name in open_]
    return deeds * weight


def _on_x(x: World, item: QueueItem, clock: Clock) -> list[Deed]:
    """A person posts a hand-off; what X was asked for, and seemed not to do, shows up late."""
    target = item.source_post.x_post_id if item.source_post else None
    say = partial(x.simulator.say, item.workspace.x_account.username, in_reply_to=target)
    standing = [post["source"] for post in posts_of(x, item)]
    deeds: list[Deed] = []
    by_hand = item.attempts.filter(by_hand=True)
    if handed := by_hand.last():
        post = partial(say, handed.snapshot["text"], source="web")
        deeds += [("post by hand", post)] * 4 * (standing.count("web") < by_hand.count())
    sent = item.attempts.filter(by_hand=False, outcome__in=_MAY_HAVE_POSTED)
    doubts = sent.exclude(outcome=Outcome.SUCCEEDED).exclude(code=DUPLICATE_CONTENT)
    if standing and item.needs_person:
        found = partial(_say_which, item, posts_of(x, item)[0]["id"], clock)
        deeds += [("say which post it is", found)] * 4
    if lost := doubts.last():
        post = partial(say, lost.snapshot["text"], source="api")
        deeds += [("show up late", post)] * 2 * (standing.count("api") < sent.count())
    return deeds


def _say_which(item: QueueItem, x_post_id: str, clock: Clock) -> None:
    told: dict[str, Any] = {"version": item.version, "actor": operator(item.workspace)}
    confirm_found_item(item.pk, **told, x_post_id=x_post_id, x=XClient(), clock=clock)


def _stops(x: World, workspace: Workspace, clock: Clock) -> list[Deed]:
    told: dict[str, Any] = {"reason": "Looked into.", "actor": _MACHINE, "now": clock()}
    on = kill_switch() is not None
    turn = partial(set_kill_switch, not on, **told, wait=False)
    pause = partial(pause_workspace, workspace, **told, wait=False)
    del told["reason"]
    resume = partial(resume_workspace, workspace, **told)
    return [
        ("kill switch off" if on else "kill switch on", turn),
        ("resume", resume) if workspace.paused_at else ("pause", pause),
        ("connect again", partial(reconnect, x, workspace, now=clock())),
    ]


def lift_everything(x: World, workspaces: list[Workspace], *, now: Any) -> None:
    """A person looks at what is held, lifts it, and connects the accounts again."""
    told: dict[str, Any] = {"reason": "Looked into.", "actor": _MACHINE, "now": now}
    if kill_switch():
        set_kill_switch(False, **told)
    for kind in SystemHold.objects.filter(lifted_at=None).values_list("kind", flat=True):
        lift_hold(kind, **told)
    for workspace in workspaces:
        person = operator(workspace)
        resume_workspace(workspace, actor=person, now=now)
        lift_account_hold(workspace, reason="Looked into.", actor=person, now=now)
        lift_containment(workspace, actor=person, now=now)
        account = XAccount.objects.get(workspace=workspace)
        if not account.access_token_valid(now) or account.was_renewed_lately(now):
            reconnect(x, workspace, now=now)
    CircuitBreaker.objects.all().delete()
    cache.clear()


def ahead(seconds: float) -> Clock:
    """The clock of somebody who lives so much later."""
    return lambda: timezone.now() + timedelta(seconds=seconds)

"""Random runs: faults of X, kills, a second worker and a person's acts, drawn from a seed."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Any

from django.core.cache import cache
from django.utils import timezone

from publishing import services
from publishing.models import CircuitBreaker, QueueItem
from publishing.states import State
from revfirst.errors import RevFirstError
from tests.crashes import check_books, check_item, reconnect
from tests.worlds import operator, problem
from workspaces.actors import Actor
from workspaces.models import SystemHold
from workspaces.services import lift_containment, lift_hold
from x_integration.models import XAccount
from x_integration.services import lift_account_hold

if TYPE_CHECKING:
    from tests.mortals import Mortals, Worker
    from tests.worlds import World
    from workspaces.models import Workspace

Fault = dict[str, Any]
_PROBLEMS = "https://api.twitter.com/2/problems/"
_DEAD = {
    "error": "invalid_request",
    "error_description": "Value passed for the token was invalid.",
}
OF_POSTING: dict[str, Fault] = {
    "slow": {"kind": "delay", "ms": 100},
    "slow answer": {"kind": "slow_answer", "ms": 100},
    "answer lost": {"kind": "lost_answer"},
    "dropped": {"kind": "drop"},
    "500": problem(500),
    "503 after the post": {"kind": "status_after", "status": 503},
    "html": {"kind": "html"},
    "html after the post": {"kind": "html", "after": True},
    "truncated": {"kind": "truncate"},
    "no id": {"kind": "edit_answer", "without": ["data"]},
    "429": {"kind": "rate_limited", "reset_in": 120},
    "usage cap": problem(429, kind=f"{_PROBLEMS}usage-capped"),
    "402": problem(402, kind=f"{_PROBLEMS}credits"),
    "400": problem(400, kind=f"{_PROBLEMS}invalid-request"),
    "401": problem(401),
    "401 twice": {**problem(401), "times": 2},
    "duplicate": problem(403, "You are not allowed to create a Tweet with duplicate content."),
    "suspended": problem(403, "Your account is suspended and may not do this."),
    "summon rule": problem(
        403, "You can only reply to or quote posts where you are mentioned or are the author."
    ),
    "gone": problem(404, kind=f"{_PROBLEMS}resource-not-found"),
    "404, empty": {"kind": "status", "status": 404},
}
OF_READING: dict[str, Fault] = {
    "500": problem(500),
    "html": {"kind": "html"},
    "dropped": {"kind": "drop"},
    "truncated": {"kind": "truncate"},
    "401": problem(401),
    "429": {"kind": "rate_limited"},
}
OF_RENEWING: dict[str, Fault] = {
    "500": problem(500),
    "answer lost": {"kind": "lost_answer"},
    "refused": {"kind": "status", "status": 400, "body": _DEAD},
    "truncated": {"kind": "truncate"},
}
DEATHS_AT_WORK = (
    "claim: attempt written",
    "claim: before COMMIT",
    "claim: after COMMIT",
    "call: connected, nothing sent",
    "call: half of the body sent",
    "call: sent, no answer yet",
    "call: answer read",
    "settle: item moved",
    "settle: before COMMIT",
    "settle: after COMMIT",
    "401: renewal sent, no answer yet",
    "401: renewed",
)
DEATHS_LATER = (
    "sweep: doubted, not looked",
    "settle: before COMMIT",
    "look: asked, no answer yet",
    "look: timeline read",
    "look: confirm before COMMIT",
    "look: confirm after COMMIT",
    "look in vain: before COMMIT",
    "claim: after COMMIT",
    "call: sent, no answer yet",
)
_PATIENCE = 8  # times that a person comes and lifts what is held


@dataclass(frozen=True)
class Draw:
    """What one run meets; made from the seed and its number alone."""

    seed: int
    number: int
    posting: str
    reading: str
    renewing: str
    dies_at: str
    dies_later_at: str
    second_worker: bool
    items: int
    act: str

    @classmethod
    def make(cls, seed: int, number: int) -> Draw:
        """The same draw for the same seed and number, always."""
        random = Random(f"{seed}:{number}")

        def perhaps(chance: float, of: Any) -> str:
            drawn = random.choice(list(of))
            return str(drawn) if random.random() < chance else ""

        return cls(
            seed=seed,
            number=number,
            posting=perhaps(0.85, OF_POSTING),
            reading=perhaps(0.3, OF_READING),
            renewing=perhaps(0.3, OF_RENEWING),
            dies_at=perhaps(0.5, DEATHS_AT_WORK),
            dies_later_at=perhaps(0.3, DEATHS_LATER),
            second_worker=random.random() < 0.4,
            items=random.choice((1, 1, 2)),
            act=random.choice(("give_up_item", "resend_item", "")),
        )

    def __str__(self) -> str:
        drawn = {
            "a fault of posting": self.posting,
            "of reading": self.reading,
            "of renewing": self.renewing,
            "a kill": self.dies_at,
            "a later kill": self.dies_later_at,
            "a person's act": self.act,
        }
        told = [f"{what}: {name}" for what, name in drawn.items() if name]
        workers = "two workers" if self.second_worker else "one worker"
        return f"run {self.number} of seed {self.seed}: {'; '.join([*told, workers])}; {self.items} item(s)"


def run(x: World, mortals: Mortals, draw: Draw) -> None:
    """One run in a workspace of its own. A failing run says its seed and its draw."""
    try:
        _run(x, mortals, draw)
    except Exception as error:
        again = f"--chaos-seed {draw.seed} --chaos-run {draw.number}"
        raise AssertionError(f'{draw}\nagain: make chaos ARGS="{again}"\n{error!r}') from error


def _run(x: World, mortals: Mortals, draw: Draw) -> None:
    workspace = x.connected(f"brand{draw.number}")
    items = [
        x.answering(workspace, by=f"guest{each}of{draw.number}", text=f"Welcome, guest {each}!")
        for each in range(draw.items)
    ]
    _hang_faults(x, workspace, draw)
    works = [mortals.start("publish_one", items[0].pk, dies_at=draw.dies_at)]
    if draw.second_worker:
        works.append(mortals.start("publish_due"))
    for worker in works:
        _check_end(worker)
    _let_go_on(x, mortals, workspace, items, dies_at=draw.dies_later_at)
    x.simulator.clear_faults()
    for item in items:
        _act(x, mortals, item, draw.act)
        item.refresh_from_db()
        check_item(x, item)
    check_books([workspace])


def _hang_faults(x: World, workspace: Workspace, draw: Draw) -> None:
    if draw.posting:
        x.fault(**OF_POSTING[draw.posting])
    if draw.reading:
        path = f"/2/users/{workspace.x_account.x_user_id}/tweets"
        x.fault(**OF_READING[draw.reading], method="GET", path=path)
    if draw.renewing:
        x.fault(**OF_RENEWING[draw.renewing], path="/2/oauth2/token")


def _check_end(worker: Worker) -> None:
    """A worker ends as it should, or by SIGKILL where it was to die."""
    worker.wait()
    assert worker.was_killed if worker.died_at else worker.raised in ("", "WrongState")


def _let_go_on(
    x: World, mortals: Mortals, workspace: Workspace, items: list[QueueItem], *, dies_at: str
) -> None:
    """The world goes on, and a person lifts what is held, until all items rest."""
    ids = [item.pk for item in items]
    _check_end(mortals.start("go_on", ids, dies_at=dies_at))
    for _ in range(_PATIENCE):
        if not QueueItem.objects.filter(pk__in=ids, state=State.APPROVED).exists():
            break
        _lift_everything(x, workspace)
        # The clocks of the last round were ahead; what it put off is due when they are again.
        QueueItem.objects.filter(pk__in=ids).update(not_before=None)
        _check_end(mortals.start("go_on", ids))
    _check_end(mortals.start("go_on", ids))


def _lift_everything(x: World, workspace: Workspace) -> None:
    """A person looks at what is held, lifts it, and connects the account again where it must be."""
    person, now = operator(workspace), timezone.now()
    for kind in SystemHold.objects.filter(lifted_at=None).values_list("kind", flat=True):
        lift_hold(kind, reason="Looked into.", actor=Actor.command(), now=now)
    lift_account_hold(workspace, reason="chaos", actor=person, now=now)
    lift_containment(workspace, actor=person, now=now)
    CircuitBreaker.objects.all().delete()
    cache.clear()
    account = XAccount.objects.get(workspace=workspace)
    if not account.access_token_valid(now) or account.was_renewed_lately(now):
        reconnect(x, workspace)


def _act(x: World, mortals: Mortals, item: QueueItem, act: str) -> None:
    """What a person decides about an item that waits for one, where there are such decisions."""
    item.refresh_from_db()
    decide = getattr(services, act, None) if item.needs_person and act else None
    if decide is None:
        return
    reasoned = {"version": item.version, "reason": "Looked at X."}
    try:
        decide(item.pk, **reasoned, actor=operator(item.workspace), now=timezone.now())
    except RevFirstError as error:
        raise AssertionError(f"{act} was refused: {error!r}") from error
    _let_go_on(x, mortals, item.workspace, [item], dies_at="")

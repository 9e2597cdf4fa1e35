"""Crashes: what a worker was doing when it was killed, and what must come of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from django.core.cache import cache
from django.utils import timezone

from publishing.states import State
from revfirst.wait import wait_until
from tests.books import check_books, check_item
from tests.worlds import problem
from x_integration.client import TokenPair
from x_integration.models import XAccount
from x_integration.services.pairs import token_columns

if TYPE_CHECKING:
    from publishing.models import QueueItem
    from tests.mortals import Mortals, Worker
    from tests.worlds import World
    from workspaces.models import Workspace

Fault = dict[str, Any]
APPROVED, PUBLISHING, UNCONFIRMED = State.APPROVED, State.PUBLISHING, State.UNCONFIRMED
PUBLISHED, FAILED, EXPIRED = State.PUBLISHED, State.FAILED, State.EXPIRED
FLAGGED = UNCONFIRMED  # at rest, an unconfirmed item is one that waits, flagged, for a person
UNTIL_STRANDED, UNTIL_SECOND_LOOK, UNTIL_THIRD_LOOK = 130, 140, 660  # seconds


@dataclass(frozen=True)
class Crash:
    """A worker is killed at `place`; the item stands at `then`, and `ends` when all is done.

    `earlier` are workers that came before: each one's work, and where it died, if it did.
    """

    place: str
    then: State
    ends: State
    posts: int  # at X, at the end
    work: tuple[Any, ...] = ("publish_one",)
    fault: Fault | None = None
    earlier: tuple[tuple[str, float, str], ...] = ()
    reconnects: bool = False  # a person has to connect the account again

    def __str__(self) -> str:
        of_x = f" ({self.fault['name']})" if self.fault else ""
        before = [place or work for work, _, place in self.earlier]
        return ", then ".join([*before, f"{self.place}{of_x}"])


def _with(name: str, **fault: Any) -> Fault:
    return {"name": name, **fault}


_stranded_sent = (("publish_one", 0, "call: sent, no answer yet"),)
_stranded_unsent = (("publish_one", 0, "claim: after COMMIT"),)
_sweeping = ("sweep", UNTIL_STRANDED)
_looked_twice = (*_stranded_unsent, ("sweep", UNTIL_STRANDED, ""), ("sweep", UNTIL_SECOND_LOOK, ""))

# Nothing was sent, and nobody can tell: a doubt, which a person decides.
_unsent = partial(Crash, then=PUBLISHING, ends=FLAGGED, posts=0)
# It stands at X, and the machine finds it.
_sent = partial(Crash, then=PUBLISHING, ends=PUBLISHED, posts=1)
# It costs a delay.
_later = partial(Crash, then=APPROVED, ends=PUBLISHED, posts=1)
_sweep_of_sent = partial(_sent, work=_sweeping, earlier=_stranded_sent)
_sweep_of_unsent = partial(_unsent, work=_sweeping, earlier=_stranded_unsent, then=UNCONFIRMED)
_rate_limited = _with("429", **problem(429))
_no_credits = _with("402", **problem(402))
_refused = _with("400", **problem(400))
_broken = _with("500", **problem(500))
_lost = _with("answer lost", kind="lost_answer")
_unauthorized = _with("401", **problem(401))

CRASHES = [
    # claim: rolled back, or committed before anything was sent
    _later("before the claim"),
    _later("claim: rows locked"),
    _later("claim: gates asked"),
    _later("claim: item moved"),
    _later("claim: attempt written"),
    _later("claim: audited"),
    _later("claim: before COMMIT"),
    _unsent("claim: after COMMIT"),
    # call: from the whole request on, it stands at X
    _unsent("call: begun"),
    _unsent("call: connected, nothing sent"),
    _unsent("call: headers sent"),
    _unsent("call: half of the body sent"),
    _sent("call: sent, no answer yet"),
    _sent("call: sent, no answer yet", fault=_with("X is slow", kind="delay", ms=200)),
    _sent("call: answer begun"),
    _sent("call: answer read"),
    _unsent("call: answer read", fault=_rate_limited),
    # settle of a success
    _sent("before the settle"),
    _sent("settle: item moved"),
    _sent("settle: attempt closed"),
    _sent("settle: audited"),
    _sent("settle: before COMMIT"),
    _sent("settle: after COMMIT", then=PUBLISHED),
    # settle of everything else
    _unsent("settle: before COMMIT", fault=_rate_limited),
    _later("settle: after COMMIT", fault=_rate_limited),
    _unsent("hold placed, nothing settled", fault=_no_credits),
    _unsent("settle: before COMMIT", fault=_refused),
    _unsent("settle: after COMMIT", fault=_refused, then=FAILED, ends=FAILED),
    _unsent("settle: before COMMIT", fault=_broken),
    _unsent("settle: after COMMIT", fault=_broken, then=UNCONFIRMED),
    _sent("settle: before COMMIT", fault=_lost),
    _sent("settle: after COMMIT", fault=_lost, then=UNCONFIRMED),
    # reconcile what was sent
    _sweep_of_sent("sweep: doubt before COMMIT"),
    _sweep_of_sent("sweep: doubted, not looked", then=UNCONFIRMED),
    _sweep_of_sent("look: asked, no answer yet", then=UNCONFIRMED),
    _sweep_of_sent("look: timeline read", then=UNCONFIRMED),
    _sweep_of_sent("look: confirm before COMMIT", then=UNCONFIRMED),
    _sweep_of_sent("look: confirm after COMMIT", then=PUBLISHED),
    # reconcile what was not
    _sweep_of_unsent("sweep: doubt before COMMIT", then=PUBLISHING),
    _sweep_of_unsent("sweep: doubted, not looked"),
    _sweep_of_unsent("look in vain: not noted"),
    _sweep_of_unsent("look in vain: before COMMIT"),
    _sweep_of_unsent("look in vain: after COMMIT"),
    _sweep_of_unsent(
        "look in vain: before COMMIT", work=("sweep", UNTIL_THIRD_LOOK), earlier=_looked_twice
    ),
    _later("expiry: before COMMIT", work=("sweep", 25 * 3600)),
    # between the two claims of a 401
    _later("401: released, nothing noted", fault=_unauthorized),
    _later("401: renewal sent, no answer yet", fault=_unauthorized, reconnects=True),
    _later("401: pair granted, not kept", fault=_unauthorized, reconnects=True),
    _later("401: renewed", fault=_unauthorized),
    _unsent("401: second claim after COMMIT", fault=_unauthorized),
    _sent("401: second call sent", fault=_unauthorized),
]


def crash(x: World, mortals: Mortals, case: Crash, *, mutant: str = "") -> None:
    """Kill a worker as the case says, let the world go on, and check what came of it."""
    item = x.approved(x.connected())
    if case.fault:
        x.fault(**{name: value for name, value in case.fault.items() if name != "name"})
    for work, after, place in case.earlier:
        _work(mortals, (work, after), item, dies_at=place, mutant=mutant)
    worker = _work(mortals, case.work, item, dies_at=case.place, mutant=mutant)
    assert worker.was_killed
    item.refresh_from_db()
    assert item.state == case.then
    if case.posts and case.then != APPROVED:
        assert wait_until(lambda: len(x.machine_posts()) >= case.posts, seconds=5)
    _go_on(x, mortals, item, reconnects=case.reconnects, mutant=mutant)
    check_item(x, item)
    assert (item.state, len(x.machine_posts())) == (case.ends, case.posts)
    check_books(x, [item.workspace])


def _work(
    mortals: Mortals, work: tuple[Any, ...], item: QueueItem, *, dies_at: str, mutant: str
) -> Worker:
    name, *after = work
    args = (item.pk, *after) if name == "publish_one" else after
    worker = mortals.run(name, *args, dies_at=dies_at, mutant=mutant)
    assert (worker.died_at, worker.raised) == (dies_at, "")
    return worker


def _go_on(
    x: World, mortals: Mortals, item: QueueItem, *, reconnects: bool, mutant: str = ""
) -> None:
    if reconnects:
        mortals.run("go_on", [item.pk], UNTIL_STRANDED, mutant=mutant)
        reconnect(x, item.workspace)
    worker = mortals.run("go_on", [item.pk], mutant=mutant)
    assert worker.raised == ""
    item.refresh_from_db()


def reconnect(x: World, workspace: Workspace, *, now: datetime | None = None) -> None:
    """A person connects the account anew."""
    cache.clear()
    pair = x.simulator.connect(workspace.x_account.username)
    XAccount.objects.filter(workspace=workspace).update(
        **token_columns(_kept(pair), now=now or timezone.now()), refresh_leased_until=None
    )


def _kept(pair: Any) -> TokenPair:
    life = timedelta(seconds=pair.expires_in)
    return TokenPair(pair.access_token, pair.refresh_token, life, pair.scope, "bearer")

"""Random runs of publishing: faults of X, kills, several workers, and people who act in the middle.

Each run has an empty world of its own. Calls and kills are real; waiting is not: our clocks and X's are
set ahead together.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from django.core.cache import cache
from django.db.models import Q
from django.utils import timezone

from publishing.models import QueueItem
from publishing.services import approve_item, propose_item
from publishing.states import Outcome, State
from revfirst.wait import wait_out
from tests.chaos_checks import check_run
from tests.chaos_draws import OF_POSTING, OF_READING, OF_RENEWING, Act, Draw, Job, Phase
from tests.chaos_people import act, ahead, lift_everything
from tests.crashes import reconnect
from tests.factories import SourcePostFactory
from tests.mortals.works import live_on
from tests.tables import empty_tables
from tests.worlds import WORKER, operator

if TYPE_CHECKING:
    from tests.mortals import Mortals, Worker
    from tests.worlds import World
    from workspaces.models import Workspace

_READING = "/2/users/[0-9]+/tweets"
_LOCK_TIMED_OUT = "OperationalError: canceling statement due to lock timeout"
_TO_THE_END: list[float] = [
    0,
    20,
    120,
    500,
    120,
    3600,
    3700,
    21_600,
    64_800,
    86_400,
    270_000,
]  # seconds, in steps
_UNTIL_SEEN = _TO_THE_END[:5]
_SLOW = 0.07  # seconds: the slowest fault, and a margin


@dataclass
class Tally:
    """What the runs so far were made of."""

    numbers: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    kills: Counter[str] = field(default_factory=Counter)
    acts: Counter[str] = field(default_factory=Counter)
    states: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        def told(counted: Counter[str]) -> str:
            return ", ".join(f"{name} {count}" for name, count in sorted(counted.items()))

        lines = [told(self.numbers), f"items at the end: {told(self.states)}"]
        for what in ("faults", "kills", "acts"):
            counted = getattr(self, what)
            lines.append(f"{what} ({sum(counted.values())}): {told(counted)}")
        return "\n".join(lines)


@dataclass
class Run:
    """One run, as far as it has come."""

    x: World
    mortals: Mortals
    draw: Draw
    tally: Tally
    mutant: str = ""  # what is wrong with the workers, on purpose
    workspaces: list[Workspace] = field(default_factory=list)
    items: list[QueueItem] = field(default_factory=list)
    after: float = 0  # seconds that our clocks and X's are ahead
    hung: dict[int, str] = field(default_factory=dict)

    def play(self) -> None:
        """From an empty world to the end of all looks and approvals."""
        self._make_world()
        for phase in self.draw.phases:
            self._play_phase(phase)
        self._calm_down(_UNTIL_SEEN, dies_at=self.draw.dies_later_at)
        for drawn in self.draw.last_acts:
            self._act(drawn, among=self._waiting())
        if self.draw.encore:
            self._play_phase(self.draw.encore)
        self._calm_down(_UNTIL_SEEN)
        for drawn in self.draw.late_acts:
            self._act(drawn, among=self._given_up())
        self._calm_down(_TO_THE_END)
        for workspace in self.workspaces:
            reconnect(self.x, workspace, now=ahead(self.after)())
        found = check_run(self.x, self.workspaces, self.items, limits=self.draw.limits)
        self.tally.numbers.update(found)
        self.tally.numbers["runs"] += 1
        self.tally.states.update(item.state for item in self.items)

    # --- the world ----------------------------------------------------------------------------

    def _make_world(self) -> None:
        empty_tables()
        self.x.simulator.reset()
        self.x.simulator.settings(rate_limits={"*": 1_000_000})
        cache.clear()
        for number in range(self.draw.workspaces):
            workspace = self.x.connected(f"brand{number}")
            self._tighten(workspace)
            self.workspaces.append(workspace)
            thread = ""
            for each in range(self.draw.items):
                thread = self._make_item(workspace, number, each, thread=thread)

    def _tighten(self, workspace: Workspace) -> None:
        tight: dict[str, dict[str, Any]] = {
            "an hour's quota": {"max_replies_per_hour": 1},
            "a day's budget": {"daily_budget_usd": Decimal("0.02")},
            "three failures": {"max_consecutive_failures": 3},
        }
        for column, value in tight.get(self.draw.limits, {}).items():
            setattr(workspace, column, value)
        workspace.save(update_fields=list(tight.get(self.draw.limits, {})))

    def _make_item(self, workspace: Workspace, of: int, each: int, *, thread: str) -> str:
        """One approved item: a reply, or now and then a post; returns its conversation."""
        now, by = timezone.now(), f"guest{each}of{of}"
        is_post = each == 2
        post = None
        if not is_post:
            self.x.simulator.make_user(by)
            in_reply_to = {"in_reply_to": thread} if thread and self._one_thread else {}
            said = self.x.simulator.say(by, f"@brand{of} hello, it is {by}", **in_reply_to)
            thread = said["conversation_id"]
            post = SourcePostFactory(
                workspace=workspace,
                x_post_id=said["id"],
                author_id=str(100 + each),
                author_username=by,
                conversation_id=thread,
            )
        text = f"Number {each} of {of}: welcome!"
        item = propose_item(workspace, text=text, source_post=post, actor=WORKER, now=now)
        approve_item(item.pk, version=1, actor=operator(workspace), now=now)
        self.items.append(item)
        return thread

    @property
    def _one_thread(self) -> bool:
        return self.draw.limits == "one thread"

    # --- what happens -------------------------------------------------------------------------

    def _play_phase(self, phase: Phase) -> None:
        for name in phase.posting:
            self._hang(f"POST {name}", "POST", "/2/tweets", OF_POSTING[name])
        for name in phase.reading:
            self._hang(f"GET {name}", "GET", _READING, OF_READING[name])
        for name in phase.renewing:
            self._hang(f"renewal {name}", "POST", "/2/oauth2/token", OF_RENEWING[name])
        workers = [self._start(job) for job in phase.jobs]
        for drawn in phase.acts:
            self._act(drawn)
        for worker in workers:
            self._end(worker)
        self._pass(phase.passes)

    def _hang(self, name: str, method: str, path: str, fault: dict[str, Any]) -> None:
        wish = {"times": 1, **fault, "method": method, "path": path}
        made = self.x.simulator.control("POST", "/faults", wish)
        self.hung[made["id"]] = name

    def _start(self, job: Job) -> Worker:
        args = [self.items[job.item].pk] if job.work == "publish_one" else []
        wrong = {"dies_at": job.dies_at, "mutant": self.mutant}
        return self.mortals.start(job.work, *args, self.after, **wrong)

    def _end(self, worker: Worker) -> None:
        """A worker ends as it should, or by SIGKILL where it was to die, if it came there."""
        worker.wait()
        if worker.died_at:
            assert worker.was_killed
            self.tally.kills[worker.died_at] += 1
            return
        error = worker.raised
        assert not error or error.startswith(("WrongState", _LOCK_TIMED_OUT)), error

    def _waiting(self) -> list[QueueItem]:
        """The items that wait for a person, or all."""
        ids = [item.pk for item in self.items]
        waiting = QueueItem.objects.filter(pk__in=ids).filter(
            Q(needs_person=True) | Q(state__in=[State.HANDED_OFF, State.FAILED])
        )
        return list(waiting.order_by("pk")) or self.items

    def _given_up(self) -> list[QueueItem]:
        """The items of which a person gave up a try, or those that wait for one."""
        ids = [item.pk for item in self.items]
        found = QueueItem.objects.filter(pk__in=ids, attempts__outcome=Outcome.ABANDONED)
        return list(found.order_by("pk").distinct()) or self._waiting()

    def _act(self, drawn: Act, *, among: list[QueueItem] | None = None) -> None:
        items = among or self.items
        done = act(
            self.x,
            self.mortals,
            items[drawn.item % len(items)],
            drawn,
            clock=ahead(self.after),
            after=self.after,
        )
        self.tally.acts[done] += 1

    def _pass(self, seconds: float) -> None:
        self.after += seconds
        if seconds:
            self.x.simulator.settings(ahead_seconds=self.after)
        if seconds > 30:
            cache.clear()  # the locks of the dead have ended

    def _calm_down(self, steps: list[float], *, dies_at: str = "") -> None:
        """X works again, people lift what is held, and workers go on until all rests."""
        self._take_faults_down()
        ids = [item.pk for item in self.items]
        if dies_at:
            lift_everything(self.x, self.workspaces, now=ahead(self.after)())
            self._end(self.mortals.start("live_on", ids, self.after, steps[:3], dies_at=dies_at))
            self._pass(sum(steps[:3]))
        lift_everything(self.x, self.workspaces, now=ahead(self.after)())
        self._pass(live_on(ids, self.after, steps) - self.after)

    def _take_faults_down(self) -> None:
        for hung in self.x.simulator.faults():
            if hung["hits"]:
                self.tally.faults[self.hung[hung["id"]]] += hung["hits"]
                if "slow" in self.hung[hung["id"]]:
                    wait_out(_SLOW)
        self.hung.clear()
        self.x.simulator.clear_faults()


def run(x: World, mortals: Mortals, draw: Draw, tally: Tally, *, mutant: str = "") -> None:
    """One run. A failing one says its seed and its draw."""
    try:
        Run(x, mortals, draw, tally, mutant).play()
    except Exception as error:
        again = f"--chaos-seed {draw.seed} --chaos-run {draw.number}"
        raise AssertionError(f'{draw}\nagain: make chaos ARGS="{again}"\n{error!r}') from error

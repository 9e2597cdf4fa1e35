"""What a random run meets, drawn from a seed and the run's number: faults, kills, acts, limits."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Any

from tests.worlds import problem

Fault = dict[str, Any]
_PROBLEMS = "https://api.twitter.com/2/problems/"
_DEAD = {
    "error": "invalid_request",
    "error_description": "Value passed for the token was invalid.",
}
OF_POSTING: dict[str, Fault] = {
    "slow": {"kind": "delay", "ms": 60},
    "slow answer": {"kind": "slow_answer", "ms": 60},
    "answer lost": {"kind": "lost_answer"},
    "dropped": {"kind": "drop"},
    "500": {"kind": "server_error", "status": 500},
    "503 after the post": {"kind": "server_error", "after": True},
    "502 without a body after the post": {"kind": "status_after", "status": 502},
    "html": {"kind": "html"},
    "html after the post": {"kind": "html", "after": True},
    "truncated": {"kind": "truncate"},
    "no id": {"kind": "edit_answer", "without": ["data"]},
    "429": {"kind": "rate_limited", "reset_in": 120},
    "usage cap": {"kind": "usage_capped"},
    "402": {"kind": "no_credits"},
    "400": problem(400, kind=f"{_PROBLEMS}invalid-request"),
    "401": {"kind": "unauthorized"},
    "401 twice": {"kind": "unauthorized", "times": 2},
    "duplicate": {"kind": "duplicate"},
    "duplicate of itself": {"kind": "duplicate", "after": True},
    "suspended": {"kind": "suspended"},
    "summon rule": problem(
        403, "You can only reply to or quote posts where you are mentioned or are the author."
    ),
    "gone": problem(404, kind=f"{_PROBLEMS}resource-not-found"),
    "404, empty": {"kind": "status", "status": 404},
    "elsewhere": {"kind": "status", "status": 302, "headers": {"Location": "/2/tweets"}},
}
OF_READING: dict[str, Fault] = {
    "500": {"kind": "server_error", "status": 500},
    "html": {"kind": "html"},
    "dropped": {"kind": "drop"},
    "truncated": {"kind": "truncate"},
    "401": {"kind": "unauthorized"},
    "429": {"kind": "rate_limited"},
}
OF_RENEWING: dict[str, Fault] = {
    "500": {"kind": "server_error", "status": 500},
    "answer lost": {"kind": "lost_answer"},
    "refused": {"kind": "status", "status": 400, "body": _DEAD},
    "truncated": {"kind": "truncate"},
}
_AT_WORK = (
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
)
_AFTER_A_FAULT = {
    "402": ("hold placed, nothing settled",),
    "401": (
        "401: renewal sent, no answer yet",
        "401: pair granted, not kept",
        "401: renewed",
        "401: second claim after COMMIT",
        "401: second call sent",
    ),
}
_LATER = (
    "sweep: doubt before COMMIT",
    "sweep: doubted, not looked",
    "settle: before COMMIT",
    "look: asked, no answer yet",
    "look: timeline read",
    "look: confirm before COMMIT",
    "look: confirm after COMMIT",
    "look in vain: before COMMIT",
    "expiry: before COMMIT",
    "claim: after COMMIT",
    "call: sent, no answer yet",
)
_DECIDING = ("decision: item moved", "decision: before COMMIT", "decision: after COMMIT")
_PASSES = (0, 0, 20, 40, 130, 130, 620, 2400, 3700)  # seconds
LIMITS = ("loose", "loose", "one thread", "an hour's quota", "a day's budget", "three failures")


@dataclass(frozen=True)
class Job:
    """One worker's work, on an item where it is on one, and where the worker dies."""

    work: str
    item: int
    dies_at: str

    def __str__(self) -> str:
        what = f"{self.work} {self.item}" if self.work == "publish_one" else self.work
        return f"{what}, dies at {self.dies_at!r}" if self.dies_at else what


@dataclass(frozen=True)
class Act:
    """What a person does, about an item; `chance` chooses among what may be done just then."""

    item: int
    chance: float
    stops: bool  # or lets go again, or connects the account again
    of_x: bool  # a post appears, where one may
    dies_at: str  # of a decision: the web process that makes it is killed


@dataclass(frozen=True)
class Phase:
    """Faults, then workers, and what people do meanwhile; `passes` seconds until the next one."""

    posting: tuple[str, ...]
    reading: tuple[str, ...]
    renewing: tuple[str, ...]
    jobs: tuple[Job, ...]
    acts: tuple[Act, ...]
    passes: int

    def __str__(self) -> str:
        faults = [
            *(f"POST {name}" for name in self.posting),
            *(f"GET {name}" for name in self.reading),
            *(f"renewal {name}" for name in self.renewing),
        ]
        jobs = " | ".join(map(str, self.jobs))
        return f"[{', '.join(faults) or 'no fault'}] {jobs}; {len(self.acts)} act(s); {self.passes} s pass"


@dataclass(frozen=True)
class Draw:
    """What one run meets; made from the seed and its number alone."""

    seed: int
    number: int
    workspaces: int
    items: int  # of each workspace
    limits: str
    phases: tuple[Phase, ...]
    dies_later_at: str
    last_acts: tuple[Act, ...]  # about what waits for a person, where something does
    encore: Phase | None  # what comes of them
    late_acts: tuple[Act, ...]  # an hour later: about what was given up, where something was

    @classmethod
    def make(cls, seed: int, number: int) -> Draw:
        """The same draw for the same seed and number, always."""
        random = Random(f"{seed}:{number}")
        workspaces, items = random.choice((1, 1, 2)), random.choice((1, 2, 2, 3))
        every = workspaces * items
        return cls(
            seed=seed,
            number=number,
            workspaces=workspaces,
            items=items,
            limits=random.choice(LIMITS),
            phases=tuple(
                _phase(random, every, each) for each in range(random.choice((1, 2, 2, 3)))
            ),
            dies_later_at=_perhaps(random, 0.25, _LATER),
            last_acts=tuple(
                _act(random, random.randrange(every)) for _ in range(random.randrange(4))
            ),
            encore=_phase(random, every, 2) if random.random() < 0.4 else None,
            late_acts=tuple(
                _act(random, random.randrange(every), of_x=random.random() < 0.6)
                for _ in range(random.randrange(3))
            ),
        )

    def __str__(self) -> str:
        of = f"{self.workspaces} workspace(s) of {self.items} item(s), limits: {self.limits}"
        later = f"dies later at {self.dies_later_at!r}" if self.dies_later_at else "no later kill"
        head = f"run {self.number} of seed {self.seed}: {of}; {later}; {len(self.last_acts)} last act(s)"
        encore = [f"after the last acts: {self.encore}"] if self.encore else []
        return "\n  ".join([head, *map(str, self.phases), *encore])


def _phase(random: Random, items: int, nth: int) -> Phase:
    def some(of: Any, chance: float, at_most: int = 1) -> tuple[str, ...]:
        names = list(of)
        return tuple(random.choice(names) for _ in range(at_most) if random.random() < chance)

    posting = some(OF_POSTING, 0.6, 2)
    places = tuple(place for name in posting for place in _AFTER_A_FAULT.get(name, ()))
    return Phase(
        posting=posting,
        reading=some(OF_READING, 0.25),
        renewing=some(OF_RENEWING, 0.2),
        jobs=tuple(
            _job(random, items, nth, places or _AT_WORK) for _ in range(random.choice((1, 2, 2)))
        ),
        acts=tuple(_act(random, random.randrange(items)) for _ in range(random.randrange(3))),
        passes=random.choice(_PASSES),
    )


def _job(random: Random, items: int, nth: int, at_work: tuple[str, ...]) -> Job:
    work = random.choice(("publish_one", "publish_due", "publish_due", *(["sweep"] * min(nth, 2))))
    places = _LATER if work == "sweep" else at_work
    return Job(work, random.randrange(items), _perhaps(random, 0.5, places))


def _act(random: Random, item: int, *, of_x: bool = False) -> Act:
    return Act(
        item, random.random(), random.random() < 0.12, of_x, _perhaps(random, 0.15, _DECIDING)
    )


def _perhaps(random: Random, chance: float, of: tuple[str, ...]) -> str:
    drawn = random.choice(of)
    return drawn if random.random() < chance else ""

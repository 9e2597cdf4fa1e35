"""What a random run of reading meets, drawn from a seed and the run's number."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from random import Random
from typing import Any

MINUTE, HOUR = 60, 3600
SPOILING: dict[str, dict[str, Any]] = {
    "lost answer": {"kind": "lost_answer"},
    "truncated": {"kind": "truncate"},
    "503 after all": {"kind": "server_error", "after": True},
    "html after all": {"kind": "html", "after": True},
    "time-out": {"kind": "slow_answer", "ms": 150},
}
FAULTS: dict[str, dict[str, Any]] = {
    "500": {"kind": "server_error", "status": 500},
    "html": {"kind": "html"},
    "dropped": {"kind": "drop"},
    "401": {"kind": "unauthorized"},
    "429": {"kind": "rate_limited", "reset_in": 2 * MINUTE},
    **SPOILING,
}
STOPS = ("out of time", "raised", "killed before a page", "killed after a page")
_BUDGETS = ("0.03", "0.10", "0.40", "1.00")
IN_TIME = 14.5 * MINUTE  # within the overlap, with a margin for the clocks
_VERY_LATE = 2 * HOUR


@dataclass(frozen=True)
class Said:
    """Something said `ago` seconds before a reading, that X shows `late` seconds after it was said."""

    ago: float
    late: float
    by: int
    to: str  # "first", "second" or "both" of the accounts


@dataclass(frozen=True)
class Reading:
    """One reading of each account: after how many seconds, what befalls it at which page."""

    after: int
    usd: Decimal | None
    trouble: str
    page: int
    overtaken: bool  # its lease runs out at that page, and another reads to the end meanwhile
    deleted: int  # so many posts, at that page
    said: int

    def __str__(self) -> str:
        usd = f", ${self.usd}" if self.usd else ""
        what = f"{self.trouble or 'no trouble'} at page {self.page}{usd}"
        return f"{what}{', overtaken' * self.overtaken}, {self.deleted} deleted, {self.said} said"


@dataclass(frozen=True)
class Burst:
    """What is said, who hides or shows themselves, what is deleted, and how it is read."""

    passes: int  # seconds since the last one
    said: tuple[Said, ...]
    hides: str  # "", "protected", "suspended" or "shown"
    deleted: int
    most_calls: int | None  # that X allows in a quarter of an hour
    readings: tuple[Reading, ...]

    def __str__(self) -> str:
        late = sum(each.late > 0 for each in self.said)
        told = f"{self.passes} s, {len(self.said)} said ({late} late), {self.deleted} deleted"
        limit = f", {self.most_calls} calls" if self.most_calls else ""
        return "\n    ".join([f"{told}{limit} {self.hides}", *map(str, self.readings)])


@dataclass(frozen=True)
class Draw:
    """What one run meets; the same for the same seed and number, always."""

    seed: int
    number: int
    dialect: str
    page_size: int
    shuffled: bool
    repeats: int
    accounts: int
    begins: int  # seconds after midnight (UTC)
    bursts: tuple[Burst, ...]

    @classmethod
    def make(cls, seed: int, number: int) -> Draw:
        random = Random(f"{seed}:{number}")
        mentions = int(401 * random.random() ** 4)
        page_size = random.choice((100, 100, 50, 25) if mentions > 60 else (100, 25, 10, 5))
        accounts = random.choice((1, 1, 1, 1, 2))
        crosses = random.random() < 0.3
        count = random.choice((2, 2, 2, 3))
        return cls(
            seed=seed,
            number=number,
            dialect=random.choice(("legacy", "new")),
            page_size=page_size,
            shuffled=random.random() < 0.4,
            repeats=random.choice((0, 0, 1, 2, page_size // 4)),
            accounts=accounts,
            begins=23 * HOUR + 30 if crosses else random.randrange(1, 10) * HOUR + 30,
            bursts=tuple(
                _burst(random, each, accounts) for each in _shares(random, mentions, count)
            ),
        )

    @property
    def crosses_midnight(self) -> bool:
        return self.begins > 20 * HOUR

    @property
    def something_vanishes(self) -> bool:
        readings = [reading for burst in self.bursts for reading in burst.readings]
        return any(
            [burst.hides or burst.deleted for burst in self.bursts]
            + [reading.deleted for reading in readings]
        )

    def __str__(self) -> str:
        pages = f"pages of {self.page_size}{', shuffled' * self.shuffled}, {self.repeats} repeated"
        head = f"run {self.number} of seed {self.seed}: {self.dialect}, {pages}, "
        head += f"{self.accounts} account(s), from {self.begins // HOUR}:00"
        return "\n  ".join([head, *map(str, self.bursts)])


def _shares(random: Random, mentions: int, count: int) -> list[int]:
    """So many mentions, in uneven shares."""
    cuts = sorted(random.randint(0, mentions) for _ in range(count - 1))
    return [upper - lower for lower, upper in zip([0, *cuts], [*cuts, mentions], strict=True)]


def _burst(random: Random, mentions: int, accounts: int) -> Burst:
    passes = random.choice((3, 10, 20, 45)) * MINUTE
    within = random.choice((5, passes))  # all at once, or one after the other
    to = ("first", "second", "both") if accounts == 2 else ("first",)
    return Burst(
        passes=passes,
        said=tuple(
            Said(
                random.uniform(0, within), _lateness(random), random.randrange(5), random.choice(to)
            )
            for _ in range(mentions)
        ),
        hides=random.choice(("", "", "", "protected", "suspended", "shown")),
        deleted=random.choice((0, 0, 1, 4)),
        most_calls=random.choice((None, None, None, 1, 3)),
        readings=tuple(_reading(random) for _ in range(random.choice((1, 1, 2)))),
    )


def _lateness(random: Random) -> float:
    latest = random.choices((0, IN_TIME, _VERY_LATE), (70, 25, 5))[0]
    return random.uniform(0, latest)


def _reading(random: Random) -> Reading:
    troubles = ("", "", *(2 * STOPS), *FAULTS)
    usd = random.choice((None, None, None, *_BUDGETS))
    return Reading(
        after=random.choice((2, 2, 5)) * MINUTE,
        usd=Decimal(usd) if usd else None,
        trouble=random.choice(troubles),
        page=random.choice((0, 0, 1, 1, 2, 3)),
        overtaken=random.random() < 0.15,
        deleted=random.choice((0, 0, 0, 2)),
        said=random.choice((0, 0, 1, 3)),
    )

"""A month at X that nobody has to wait for: people speak, some are answered, and the money is watched."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import TYPE_CHECKING, Any

from django.db.models import Sum
from django.utils import timezone
from django_q.models import OrmQ

from publishing.models import PublishAttempt, QueueItem
from publishing.services import (
    approve_item,
    propose_item,
    publish_item,
    reserved_for_reading,
    sweep,
)
from publishing.services.budget import READING_SHARE
from publishing.states import State
from tests.worlds import WORKER, operator
from workspaces.models import Workspace
from x_integration.client import XClient
from x_integration.models import SourcePost, Spend, XAccount
from x_integration.prices import utc_day
from x_integration.services import ingest_mentions

if TYPE_CHECKING:
    from tests.worlds import World

HOURS = (6, 10, 14, 18)
"""When a day's work is done: no hour is near midnight, where X's day and ours might differ."""
_A_TURN = timedelta(hours=4)
_A_LIFE = timedelta(days=400)
LOST, NEVER_MADE = "lost_answer", "status"
_FAULTS: dict[str, dict[str, Any]] = {LOST: {}, NEVER_MADE: {"status": 500}}
_FANS = 40  # in turns, so that nobody is answered twice within a cooldown
_SYLLABLES = ["ka", "lo", "mi", "ne", "ru", "sa", "ti", "vo", "be", "da"]


@dataclass
class Month:
    """A workspace with a budget, X's clock and ours moved on together, and what came of each day."""

    x: World
    budget: Decimal
    ahead: timedelta = timedelta(0)
    said: int = 0
    never_made: list[PublishAttempt] = field(default_factory=list)
    highest: dict[str, Decimal] = field(default_factory=dict)  # what was spent, by month
    cafe: Workspace = field(init=False)

    def __post_init__(self) -> None:
        """The first of next month, six in the morning."""
        self.x.simulator.settings(expires_in=int(_A_LIFE.total_seconds()))
        self.cafe = self.x.connected(expires_at=timezone.now() + _A_LIFE)
        Workspace.objects.update(monthly_budget_usd=self.budget)
        self.cafe.refresh_from_db()
        for n in range(_FANS):
            self.x.simulator.make_user(f"fan{n}")
        self.first = (timezone.now().replace(day=1) + timedelta(days=32)).replace(day=1)

    def now(self) -> datetime:
        """The time that X and we believe in."""
        return timezone.now() + self.ahead

    def go_to(self, day: int, hour: int) -> None:
        """Let it be that day (0 is the first) and hour."""
        there = self.first + timedelta(days=day)
        there = there.replace(hour=hour, minute=0, second=0, microsecond=0, tzinfo=UTC)
        self.ahead = there - timezone.now()
        self.x.simulator.settings(ahead_seconds=self.ahead.total_seconds())

    def hear(self, mentions: int) -> None:
        """People say something to the account, spread over the hours since the last turn.

        Said at once, all of it would be read again, and paid again, on the next morning: the last quarter
        of an hour before the mark is.
        """
        for n in range(mentions, 0, -1):
            self.said += 1
            at = self.now() - _A_TURN * n / mentions
            fan, text = f"fan{self.said % _FANS}", f"@cafe hello, number {self.said}"
            self.x.simulator.say(fan, text, created_at=at.isoformat())

    def read(self) -> int:
        """What the cycle does: read as much as the budget has for it."""
        account = XAccount.objects.select_related("workspace").get(workspace=self.cafe)
        now = self.now()
        with reserved_for_reading(self.cafe, now=now) as usd:
            new = ingest_mentions(account, x=XClient(), actor=WORKER, now=now, usd=usd)
        self._watch()
        return new

    def answer(self, post: SourcePost, fault: str = "") -> QueueItem:
        """A reply, written and approved by a person, and one try to publish it, through a fault."""
        who, now = operator(self.cafe), self.now()
        text = f"Thank you! {_words(post.pk)}"
        item = propose_item(self.cafe, text=text, source_post=post, actor=who, now=now)
        approve_item(item.pk, version=1, actor=who, now=now)
        OrmQ.objects.all().delete()
        if fault:
            self.x.fault(fault, **_FAULTS[fault])
        publish_item(item.pk, x=XClient(), actor=WORKER, clock=self.now)
        self._watch()
        item.refresh_from_db()
        if fault == NEVER_MADE:
            self.never_made.append(item.attempts.get())
        return item

    def look(self) -> None:
        """The sweep, a little later: doubts are looked for, whoever spends much is told of."""
        sweep(actor=WORKER, now=self.now() + timedelta(minutes=11))
        self._watch()

    def published(self) -> int:
        """How many replies stand there."""
        return QueueItem.objects.filter(state=State.PUBLISHED).count()

    def spent(self) -> Decimal:
        """US dollars of the month that runs."""
        this_month = Spend.objects.filter(day__gte=utc_day(self.now()).replace(day=1))
        return this_month.aggregate(usd=Sum("usd"))["usd"] or Decimal(0)

    def _watch(self) -> None:
        """Never over budget, at any moment."""
        spent, month = self.spent(), f"{self.now():%Y-%m}"
        assert spent <= self.budget, f"{spent} of {self.budget} USD in {month}"
        self.highest[month] = max(self.highest.get(month, Decimal(0)), spent)

    @property
    def reading_stopped(self) -> bool:
        """Whether nine tenths are spent, but for less than a page of five posts."""
        return self.spent() > self.budget * READING_SHARE - Decimal("0.025")

    def unanswered(self, many: int) -> list[SourcePost]:
        """The newest posts that nobody has answered."""
        posts = SourcePost.objects.filter(workspace=self.cafe, items=None)
        return list(posts.order_by("-posted_at", "-pk")[:many])


def _words(seed: int) -> str:
    """Words that no other reply has: texts alike are held back."""
    draw = Random(seed)
    return " ".join("".join(draw.choices(_SYLLABLES, k=4)) for _ in range(8)) + "."

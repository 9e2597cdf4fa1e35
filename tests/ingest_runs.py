"""Random runs of reading: posts come late, twice, in no order and go again; readers break off.

Calls are real and go to the local X; waiting is not: its clock is set ahead, and ours is an argument.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from django.core.cache import cache
from django.db import connection
from django.test import override_settings
from django.utils import timezone

from revfirst.batch import OutOfTime
from revfirst.errors import RevFirstError
from tests.factories import WorkspaceFactory, XAccountFactory
from tests.ingest_draws import FAULTS, IN_TIME, SPOILING, Burst, Draw, Reading, Said
from tests.tables import empty_tables
from tests.worlds import WORKER
from workspaces.audit import GENESIS
from workspaces.models import AuditChain
from x_integration import client
from x_integration.client import XClient
from x_integration.models import Feed, SourcePost, Spend, XAccount
from x_integration.prices import POST_READ, price, utc_day
from x_integration.services import ingest, ingest_mentions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.worlds import World
    from x_integration.client import Window
    from x_integration.payloads import Page

STATEMENTS_A_PAGE = 6
_MENTIONS = "/2/users/{id}/mentions"
_USERS = 5
_HIDDEN = f"guest{_USERS - 1}"  # who hides, where somebody does
_FEED = ("seen_until", "reading_from", "read_down_to", "last_read_at", "next_read_at")


class Died(Exception):
    """The worker is no more."""


@dataclass
class Heard:
    """A mention as the test knows it."""

    id: str
    by: str
    accounts: tuple[str, ...]
    said_at: datetime
    late: float
    deleted: bool = False


class Reader(XClient):
    """Reads as the worker does, and meets what was drawn; knows how far it came."""

    def __init__(self, run: Run, account: XAccount, reading: Reading) -> None:
        super().__init__()
        self._run, self._account, self._reading = run, account, reading
        self._pages_read, self._is_over = 0, False
        self.most_statements = 0  # for one page
        self.began, self.ended, self.died, self.met_a_fault = False, False, False, False

    def mentions(
        self, user_id: str, window: Window | None = None, *, access_token: str
    ) -> Iterator[Page]:
        self.began, self.ended = True, False
        pages = super().mentions(user_id, window, access_token=access_token)
        while (page := self._next(pages)) is not None:
            sent = self._run.statements
            yield page
            self.most_statements = max(self.most_statements, self._run.statements - sent)
            self._between_pages()
        self.ended = True

    def _next(self, pages: Iterator[Page]) -> Page | None:
        trouble = self._due_trouble()
        self._run.spoilt += trouble in (*SPOILING, "killed after a page")
        if trouble in FAULTS:
            self.met_a_fault = True
            self._run.x.fault(path=_MENTIONS, method="GET", **FAULTS[trouble])
        elif trouble == "out of time":
            raise OutOfTime
        elif trouble in ("raised", "killed before a page"):
            self._die(trouble)
        seconds = 0.05 if trouble == "time-out" else client.READ_SECONDS
        with patch.object(client, "READ_SECONDS", seconds):
            page = next(pages, None)
        if trouble == "killed after a page":
            self._die(trouble)
        return page

    def _due_trouble(self) -> str:
        """What goes wrong with the next page; it does so once."""
        if self._pages_read != self._reading.page or self._is_over or not self._reading.trouble:
            return ""
        self._is_over = True
        self._run.tally.troubles[self._reading.trouble] += 1
        return self._reading.trouble

    def _die(self, trouble: str) -> None:
        self.died = trouble != "raised"
        raise Died(trouble)

    def _between_pages(self) -> None:
        self._pages_read += 1
        self._run.tally.numbers["pages"] += 1
        if self._pages_read == self._reading.page:
            self._run.meanwhile(self._account, self._reading)


@dataclass
class Tally:
    """What the runs so far were made of."""

    numbers: Counter[str] = field(default_factory=Counter)
    troubles: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        every = (self.numbers, self.troubles)
        return "\n".join(
            ", ".join(f"{name} {count}" for name, count in sorted(each.items())) for each in every
        )


@dataclass
class Run:
    """One run, as far as it has come."""

    x: World
    draw: Draw
    tally: Tally
    now: datetime = field(init=False)
    accounts: list[XAccount] = field(default_factory=list)
    heard: list[Heard] = field(default_factory=list)
    marks: dict[int, str] = field(default_factory=dict)
    hid: bool = False  # somebody did, for a while
    is_hidden: bool = False
    spoilt: int = 0  # answers for which X worked, and charged, and that nobody got
    statements: int = 0

    def __post_init__(self) -> None:
        self._random = Random(f"{self.draw}")

    def play(self) -> None:
        """From an empty X to the last quiet reading."""
        with connection.execute_wrapper(self._count):
            self._play_all()

    def _play_all(self) -> None:
        self._make_world()
        for burst in self.draw.bursts:
            self._play(burst)
        self._calm_down()
        self._check_missing(self._shown_in_time(), "shown within the overlap")
        self._pass(ingest.LOOK_BACK_EVERY)
        self._read_to_the_end()
        self._check_missing(self._shown_today(), "shown today")
        self._check_books()
        self.tally.numbers.update(runs=1, mentions=len(self.heard))

    # --- the world ----------------------------------------------------------------------------

    def _make_world(self) -> None:
        empty_tables()
        cache.clear()
        self.x.simulator.reset()
        tomorrow = timezone.now().astimezone(UTC) + timedelta(days=1)
        midnight = tomorrow.replace(hour=0, minute=0, second=0, microsecond=0)
        self.now = midnight + timedelta(seconds=self.draw.begins)
        pages = {"shuffled_pages": self.draw.shuffled, "repeats_across_pages": self.draw.repeats}
        self._pass(timedelta(0), **pages)
        self.accounts = [self._connected(name) for name in ("cafe", "bar")[: self.draw.accounts]]
        for number in range(_USERS):
            self.x.simulator.make_user(f"guest{number}")

    def _connected(self, username: str) -> XAccount:
        pair = self.x.simulator.connect(username, expires_in=86_400)
        workspace = WorkspaceFactory(slug=username)
        AuditChain.objects.create(name=str(workspace.pk), head_hash=GENESIS)  # it has a history
        return XAccountFactory(
            workspace=workspace,
            x_user_id=pair.user_id,
            username=username,
            access=pair.access_token,
            refresh=pair.refresh_token,
            connected_at=self.now,
            expires_at=self.now + timedelta(seconds=pair.expires_in),
        )

    def _pass(self, time: timedelta, **settings: Any) -> None:
        """Our clock and X's go on, and X has other settings."""
        self.now += time
        ahead = self.now - timezone.now()
        self.x.simulator.settings(ahead_seconds=ahead.total_seconds(), **settings)

    # --- what happens -------------------------------------------------------------------------

    def _play(self, burst: Burst) -> None:
        limits = {f"GET {_MENTIONS}": burst.most_calls} if burst.most_calls else {}
        self._pass(timedelta(seconds=burst.passes), rate_limits=limits)
        self._say(burst.said)
        self._delete(burst.deleted)
        self._hide(burst.hides)
        for reading in burst.readings:
            self._pass(timedelta(seconds=reading.after + 1))
            for account in self.accounts:
                self.read(account, reading)

    def _say(self, said: tuple[Said, ...]) -> None:
        if not said:
            return
        names = [account.username for account in self.accounts]
        to = {"first": names[:1], "second": names[1:], "both": names}
        posts = []
        for each in said:
            created, wait = self.now - timedelta(seconds=each.ago), max(each.late - each.ago, 0)
            late = {"indexed_after_seconds": wait} if wait else {}
            text = " ".join(f"@{name}" for name in to[each.to]) + f" hello {self._number()}"
            posts.append(
                {"username": f"guest{each.by}", "text": text, "created_at": created.isoformat()}
                | late
            )
        for each, post in zip(said, self.x.simulator.say_all(posts), strict=True):
            at = datetime.fromisoformat(post["created_at"])
            self.heard.append(
                Heard(post["id"], post["username"], tuple(to[each.to]), at, each.late)
            )

    def _number(self) -> int:
        self.tally.numbers["texts"] += 1
        return self.tally.numbers["texts"]

    def _delete(self, count: int) -> None:
        standing = [each for each in self.heard if not each.deleted]
        for each in self._random.sample(standing, min(count, len(standing))):
            self.x.simulator.take_down(each.id)
            each.deleted = True

    def _hide(self, how: str) -> None:
        if not how:
            return
        hidden = {"protected": how == "protected", "suspended": how == "suspended"}
        self.x.simulator.make_user(_HIDDEN, **hidden)
        self.is_hidden = how != "shown"
        self.hid = self.hid or self.is_hidden

    def meanwhile(self, account: XAccount, reading: Reading) -> None:
        """What happens between two pages of somebody's reading."""
        self._delete(reading.deleted)
        just_now = [Said(self._random.uniform(0, 800), 0, 0, "first") for _ in range(reading.said)]
        self._say(tuple(just_now))
        if reading.overtaken:
            self._pass(ingest.READING_LASTS + timedelta(seconds=1))
            self.read(account)

    # --- reading ------------------------------------------------------------------------------

    def read(self, account: XAccount, reading: Reading | None = None) -> Reader:
        """One reading, and whether it left the mark where it should."""
        usd = reading.usd if reading else None
        calm = Reading(0, None, "", -1, overtaken=False, deleted=0, said=0)
        reader = Reader(self, account, reading or calm)
        feed = Feed.objects.filter(workspace=account.workspace)
        before, begun = feed.values(*_FEED).first(), self.now
        self.tally.numbers["readings"] += 1
        with contextlib.suppress(RevFirstError, Died):
            ingest_mentions(account, x=reader, actor=WORKER, now=begun, usd=usd)
        if reader.met_a_fault:
            self.x.simulator.clear_faults()
        if reader.died and self.now == begun:  # nobody has cleaned up behind it, nor overtaken it
            feed.update(**(before or {}), leased_until=begun + ingest.READING_LASTS)
        self._check_mark(account, feed.get(), reader, overtaken=self.now != begun)
        most = reader.most_statements
        assert most <= STATEMENTS_A_PAGE, f"{most} statements for a page"
        return reader

    def _count(self, execute: Any, *call: Any) -> Any:
        self.statements += 1
        return execute(*call)

    def _check_mark(
        self, account: XAccount, feed: Feed, reader: Reader, *, overtaken: bool
    ) -> None:
        known = self.marks.get(account.pk, "")
        if overtaken or (reader.began and not reader.ended):
            assert feed.seen_until == known, "the mark moved on a reading that broke off"
        assert int(feed.seen_until or 0) >= int(known or 0), "the mark went back"
        self.marks[account.pk] = feed.seen_until

    def _calm_down(self) -> None:
        """Everything late is there by now, and X is as good as gold."""
        self._pass(timedelta(minutes=16), rate_limits={})
        self._read_to_the_end()

    def _read_to_the_end(self) -> None:
        for account in self.accounts:
            for _ in range(20):
                reader = self.read(account)
                feed = Feed.objects.get(workspace=account.workspace)
                if reader.ended and feed.next_read_at > self.now:
                    break
                self._pass(timedelta(minutes=2))
            else:
                last = feed.last_error or "no error"
                raise AssertionError(f"it never comes to an end ({last})")

    # --- what must be true at the end ---------------------------------------------------------

    def _shown(self) -> list[Heard]:
        return [
            each
            for each in self.heard
            if not each.deleted and not (self.is_hidden and each.by == _HIDDEN)
        ]

    def _shown_in_time(self) -> list[Heard]:
        return [
            each
            for each in self._shown()
            if each.late <= IN_TIME and not (self.hid and each.by == _HIDDEN)
        ]

    def _shown_today(self) -> list[Heard]:
        return [each for each in self._shown() if each.said_at.date() == self.now.date()]

    def _check_missing(self, wanted: list[Heard], what: str) -> None:
        for account in self.accounts:
            stored = self._stored(account)
            assert len(stored) == len(set(stored)), "a mention is stored twice"
            strange = set(stored) - {each.id for each in self.heard}
            assert not strange, f"nobody said {sorted(strange)}"
            ours = {each.id for each in wanted if account.username in each.accounts}
            missed = ours - set(stored)
            assert not missed, f"{len(missed)} of {len(ours)} missed, {what}: {sorted(missed)[:3]}"

    def _stored(self, account: XAccount) -> list[str]:
        posts = SourcePost.objects.filter(workspace=account.workspace)
        return list(posts.values_list("x_post_id", flat=True))

    def _check_books(self) -> None:
        """Our ledger is X's bill, but for what it charged for in vain."""
        spent = sum(Spend.objects.values_list("usd", flat=True), Decimal(0))
        in_vain = Decimal(self.x.simulator.bill()["total_usd"]) - spent
        may_differ = self.draw.crosses_midnight or self.draw.something_vanishes
        each = price(POST_READ, on=utc_day(self.now))
        most = self.draw.page_size * self.spoilt * each * may_differ
        assert 0 <= in_vain <= most, f"X charged {in_vain} more than the ledger says"


def run(x: World, draw: Draw, tally: Tally) -> None:
    """One run. A failing one says its seed and its draw."""
    again = f"--ingest-seed {draw.seed} --ingest-run {draw.number}"
    try:
        with (
            override_settings(X_FIELD_DIALECT=draw.dialect),
            patch.object(ingest, "LARGEST_PAGE", draw.page_size),
        ):
            Run(x, draw, tally).play()
    except Exception as error:
        raise AssertionError(
            f'{draw}\nagain: make ingest-runs ARGS="{again}"\n{error!r}'
        ) from error

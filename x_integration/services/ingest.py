"""Reading what people say: each page is stored as it comes, and the mark never passes a gap."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.db.models import Q

from revfirst.batch import Patience
from revfirst.clock import ticking
from revfirst.errors import RevFirstError
from workspaces import audit
from workspaces.services import place_hold
from x_integration.client import LARGEST_PAGE, SEARCHED_BACK, Window
from x_integration.models import Feed, RateWindow, XAccount
from x_integration.prices import POST_READ, price, utc_day
from x_integration.services.gone import note_what_is_gone
from x_integration.services.rates import is_window_end
from x_integration.services.spending import record_post_reads
from x_integration.services.storing import store_posts
from x_integration.services.tokens import with_access_token
from x_integration.snowflakes import earlier, first_id_at, given_out_at

if TYPE_CHECKING:
    from collections.abc import Iterator
    from decimal import Decimal

    from workspaces.actors import Actor
    from workspaces.models import Workspace
    from x_integration.client import XClient
    from x_integration.payloads import Page

READING_SECONDS = 20
# X may show a post late, and names no bound. Within the overlap it is found at the next run. What
# comes later is found when the day is read again, which X charges nothing for; what comes so late
# that its UTC day is over is not (docs/X-API.md, Reading).
OVERLAP = timedelta(minutes=15)
LOOK_BACK_EVERY = timedelta(hours=3)
CLOCK_SKEW = timedelta(minutes=5)
READING_LASTS = timedelta(seconds=60)  # 20 s of reading and one call of 25 s end before
SHORTEST_PAUSE, LONGEST_PAUSE = timedelta(minutes=2), timedelta(minutes=30)
BUDGET = "budget"  # no error of X's: there is no money left to read for
STOPS_EVERYBODY = {"no_credits", "usage_capped"}
_SMALLEST_PAGE = {Feed.Kind.MENTIONS: 5, Feed.Kind.SEARCH: 10}
_ENDPOINT = {
    Feed.Kind.MENTIONS: "GET /2/users/{id}/mentions",
    Feed.Kind.SEARCH: "GET /2/tweets/search/recent",
}


def mentions_feed(workspace: Workspace, *, now: datetime) -> Feed:
    """The workspace's mentions, as something to read; made when it is asked for first."""
    feed, _ = Feed.objects.get_or_create(
        workspace=workspace, kind=Feed.Kind.MENTIONS, query="", defaults={"next_read_at": now}
    )
    return feed


def ingest_mentions(
    account: XAccount, *, x: XClient, actor: Actor, now: datetime, usd: Decimal | None = None
) -> int:
    """Store the account's mentions that are new; returns how many. As `ingest_feed`."""
    feed = mentions_feed(account.workspace, now=now)
    return ingest_feed(feed, account, x=x, actor=actor, now=now, usd=usd)


def ingest_feed(
    feed: Feed,
    account: XAccount,
    *,
    x: XClient,
    actor: Actor,
    now: datetime,
    usd: Decimal | None = None,
    patience: Patience | None = None,
) -> int:
    """Store what is new of a feed, page by page; returns how many posts. 0 while somebody else reads it,
    and for one that is switched off.

    Each run reads the last quarter of an hour before the mark again, and every few hours one reads the
    day's mentions again. A run that breaks off leaves the mark where it was, and where it stopped: the
    next one goes on there. With `usd`, X charges no more than that; several feeds may share one `patience`.

    Raises NoAccessToken, XUnauthorized, XReadFailed or OutOfTime; what was read until then is stored.
    """
    lease = now + READING_LASTS
    free = Q(leased_until=None) | Q(leased_until__lte=now)
    if not Feed.objects.filter(free, pk=feed.pk, is_on=True).update(leased_until=lease):
        return 0
    row = Feed.objects.filter(pk=feed.pk, leased_until=lease)
    leased = row.select_related("workspace").first()
    if leased is None:  # changed or removed in this moment
        return 0
    run = _Run(leased, account, now=now, usd=usd, patience=patience)
    error = ""
    try:
        run.read(x, actor=actor)
        error = run.stopped_by
    except RevFirstError as failed:
        error = failed.code
        _hold_what_must_not_go_on(failed, actor=actor, now=now)
        raise
    except BaseException as failed:
        error = type(failed).__name__
        raise
    finally:  # what was changed meanwhile is no longer leased to this run: it leaves nothing there
        row.filter(query=leased.query).update(
            leased_until=None, last_error=error[:60], **run.left_behind()
        )
    return run.new


def _hold_what_must_not_go_on(error: RevFirstError, *, actor: Actor, now: datetime) -> None:
    if error.code in STOPS_EVERYBODY:
        place_hold(error.code, reason=str(error)[:200], actor=actor, now=now)


class _Run:
    """One run over a feed: how far it came, and what it has stored."""

    def __init__(
        self,
        feed: Feed,
        account: XAccount,
        *,
        now: datetime,
        usd: Decimal | None,
        patience: Patience | None,
    ) -> None:
        self._feed, self._account, self._now, self._usd = feed, account, now, usd
        # A run may begin before midnight, by which X bills, and end after it.
        self._clock = ticking(now)
        self._patience = patience or Patience(READING_SECONDS)
        self._kind = Feed.Kind(feed.kind)
        self._endpoint = _ENDPOINT[self._kind]
        self._newest, self._oldest = int(feed.reading_from or 0), int(feed.read_down_to or 0)
        self._fills_a_gap = bool(feed.read_down_to)
        self._owes_a_look_back = self._look_back_is_due()
        self._since = self._read_since()
        self._falls = True  # each page is older than the one before, as X promises
        self._is_whole = self._asked = False
        self._not_before: datetime | None = None
        self.new = 0

    def read(self, x: XClient, *, actor: Actor) -> None:
        """Read and store to the last page, or to where rate limit or budget end it."""

        def pages(token: str) -> None:
            for page in self._patience.each(self._pages(x, token)):
                note_what_is_gone([page], now=self._now)  # before the mark passes what told of it
                self._store(page, actor=actor)
                if page.next_token and self._must_stop(x):
                    return
            self._is_whole = True

        if self._page_size() == 0 or self._window_is_spent():
            return
        self._asked = True
        with_access_token(
            self._feed.workspace,
            pages,
            x=x,
            actor=actor,
            clock=self._clock,
            patience=self._patience,
        )

    @property
    def stopped_by(self) -> str:
        """What keeps the feed from being read although nothing failed, for its page."""
        return "" if self._page_size() else BUDGET

    def left_behind(self) -> dict[str, Any]:
        """The feed's columns after the run, complete or not."""
        mark, gap = int(self._feed.seen_until or 0), self._falls and self._newest and self._oldest
        if self._is_whole:
            mark, gap = max(mark, min(self._newest, first_id_at(self._now + CLOCK_SKEW))), 0
        still_owed = self._owes_a_look_back and not (self._looks_back() and self._is_whole)
        counts = self._asked and not still_owed
        return {
            "seen_until": str(mark or ""),
            "reading_from": str(self._newest) if gap else "",
            "read_down_to": str(self._oldest) if gap else "",
            "last_read_at": self._now if counts else self._feed.last_read_at,
            "next_read_at": self._not_before or self._now + self._pause(mark),
        }

    def _pause(self, mark: int) -> timedelta:
        """The quieter it is, the longer: a twentieth of the silence. A gap is filled at once."""
        if self._is_whole and self._fills_a_gap:
            return timedelta(0)
        if not self._is_whole:
            return SHORTEST_PAUSE
        heard_at = given_out_at(mark) if mark else self._account.connected_at
        return min(max((self._now - heard_at) / 20, SHORTEST_PAUSE), LONGEST_PAUSE)

    def _pages(self, x: XClient, token: str) -> Iterator[Page]:
        """The pages that are left to read, of posts younger than the mark and a bit."""
        until = self._oldest if self._falls else 0
        if until and until <= self._since + 1:  # nothing is left, or nothing that X still shows
            return iter(())
        window = Window(str(self._since or ""), str(until or ""), self._page_size)
        if self._kind == Feed.Kind.SEARCH:
            return x.search(self._feed.query, window, access_token=token, now=self._now)
        return x.mentions(self._account.x_user_id, window, access_token=token)

    def _read_since(self) -> int:
        """The id above which to read: a bit below the mark, or where the UTC day began.

        X refuses to search further back, and would do so for ever where a gap lies there.
        """
        since = earlier(int(self._feed.seen_until or 0), OVERLAP)
        if self._kind == Feed.Kind.SEARCH:
            return max(since, first_id_at(self._now - SEARCHED_BACK))
        midnight = self._now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        return min(since, first_id_at(midnight)) if self._looks_back() else since

    def _looks_back(self) -> bool:
        return self._owes_a_look_back and not self._fills_a_gap

    def _look_back_is_due(self) -> bool:
        """Whether the day's mentions are due again: at most 800, and of these only new ones cost.

        They are until a run has read them whole; one that fills a gap comes first. A small budget makes
        small pages, and these too many requests.
        """
        last, shift = self._feed.last_read_at, timedelta(minutes=self._feed.pk)  # not all at once
        is_due = last is None or _turn(last + shift) != _turn(self._now + shift)
        affordable = self._page_size() == LARGEST_PAGE
        is_mentions = self._kind == Feed.Kind.MENTIONS
        return is_mentions and is_due and affordable

    def _store(self, page: Page, *, actor: Actor) -> None:
        """The page's posts, what it cost, and how far we are: all of it, or nothing."""
        if not page.posts:
            return
        workspace = self._feed.workspace
        with transaction.atomic(durable=True):
            new = store_posts(self._account, page.public_posts, now=self._now)
            ids = [post.id for post in page.posts]
            subject = f"feed:{self._feed.pk}"
            charge = record_post_reads(workspace, ids, subject=subject, now=self._clock())
            if new or charge.usd:
                audit.record(
                    "posts.ingest",
                    workspace=workspace,
                    subject="account",
                    actor=actor,
                    now=self._now,
                    data={"new": new, **charge.data},
                    counts=charge.counts,
                )
        self.new += new
        if self._usd is not None:
            self._usd -= charge.usd
        numbers = [int(post_id) for post_id in ids]
        self._falls = self._falls and not (self._oldest and max(numbers) > self._oldest)
        self._newest = max(self._newest, *numbers)
        self._oldest = min(self._oldest or numbers[0], *numbers)

    def _page_size(self) -> int:
        """How many posts to ask for, so that the budget pays for all of them; 0 when it is used up."""
        if self._usd is None:
            return LARGEST_PAGE
        affordable = min(int(self._usd / price(POST_READ, on=utc_day(self._now))), LARGEST_PAGE)
        return affordable if affordable >= _SMALLEST_PAGE[self._kind] else 0

    def _must_stop(self, x: XClient) -> bool:
        if (rate := x.rate(self._endpoint)) is not None and rate.remaining == 0:
            self._wait_for(rate.reset_at)
        if self._page_size() == 0:
            self._not_before = self._now + LONGEST_PAUSE
        return self._not_before is not None

    def _window_is_spent(self) -> bool:
        spent = RateWindow.objects.filter(account=self._account, endpoint=self._endpoint)
        window = spent.filter(remaining=0, reset_at__gt=self._now).first()
        if window is not None:
            self._wait_for(window.reset_at)
        return window is not None

    def _wait_for(self, reset_at: datetime) -> None:
        """Not longer than a window may be: nobody would ask again until then."""
        if is_window_end(reset_at, now=self._now):
            self._not_before = reset_at


def _turn(instant: datetime) -> int:
    """Which of the turns of looking back an instant belongs to."""
    return int(instant.timestamp() // LOOK_BACK_EVERY.total_seconds())

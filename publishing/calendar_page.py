"""What the calendar shows: days by the workspace's clocks, with windows, posts, free slots and the target."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import islice
from typing import Any

from publishing.models import OwnPost, QueueItem
from publishing.plan import DAY, LEAD, Plan, utc_beside
from publishing.pricing import Price
from publishing.services import plan_of, price_of_item
from publishing.services.times import FURTHEST_AHEAD, taken_times
from publishing.states import LIVE, State
from revfirst.words import Note
from workspaces.models import Workspace
from x_integration.prices import POST_WITH_URL

DAYS_AHEAD, DAYS_BACK = 14, 7
_POSTS_SHOWN, _SLOTS_SHOWN = 500, 4


@dataclass(frozen=True)
class Entry:
    """A post on its day."""

    item: QueueItem
    at: str
    utc: str
    price: Price
    note: str  # what is odd about it, if anything

    @property
    def has_a_dear_link(self) -> bool:
        """Whether a link makes it cost more than ten times as much."""
        return self.price.priced_as == POST_WITH_URL


@dataclass(frozen=True)
class Day:
    """One day of the calendar."""

    day: date
    is_today: bool
    windows: list[str]
    entries: list[Entry]
    slots: list[str]
    more_slots: int
    count: Note | None


def first_day(asked: str, plan: Plan, now: datetime) -> date:
    """The day from which the page looks ahead: today, unless another one was asked for."""
    today = plan.local(now).date()
    try:
        day = date.fromisoformat(asked)
    except ValueError:
        return today
    return day if abs(day - today) <= FURTHEST_AHEAD else today


def calendar_page(workspace: Workspace, asked: str, now: datetime) -> dict[str, Any]:
    """Everything that the page says of one workspace."""
    plan = plan_of(workspace)
    first = first_day(asked, plan, now)
    start, end = first - DAYS_BACK * DAY, first + DAYS_AHEAD * DAY
    rows = OwnPost.objects.on_the_calendar(workspace, plan.midnight(start), plan.midnight(end))
    posts = list(rows.defer("block_reasons")[:_POSTS_SHOWN])
    taken = taken_times(workspace, now=now)
    days = [_day(plan, start + n * DAY, posts, taken, now) for n in range(DAYS_BACK + DAYS_AHEAD)]
    return {
        "workspace": workspace,
        "plan": plan,
        "now": plan.in_words(now),
        "is_now": first == plan.local(now).date(),
        "earlier": first - 7 * DAY,
        "later": first + 7 * DAY,
        "ahead": days[DAYS_BACK:],
        "back": days[DAYS_BACK - 1 :: -1],
        "all_of_them": len(posts) < _POSTS_SHOWN,
    }


def _day(
    plan: Plan, day: date, posts: Sequence[QueueItem], taken: Sequence[datetime], now: datetime
) -> Day:
    its = [post for post in posts if plan.local(post.takes_place_at).date() == day]
    today = plan.local(now).date()
    free = plan.slots(day, taken=taken, after=now + LEAD)
    slots = [f"{plan.local(slot):%H:%M}" for slot in islice(free, 48)]
    windows = [str(window) for window in plan.on(day)]
    is_open = bool(windows) or not plan.windows
    return Day(
        day=day,
        is_today=day == today,
        windows=windows,
        entries=[_entry(plan, post) for post in its],
        slots=slots[:_SLOTS_SHOWN],
        more_slots=len(slots[_SLOTS_SHOWN:]),
        count=_count(plan, its, is_past=day < today, is_open=is_open),
    )


def _entry(plan: Plan, post: QueueItem) -> Entry:
    local = plan.local(post.takes_place_at)
    return Entry(
        post,
        f"{local:%H:%M}",
        utc_beside(local),
        price_of_item(post, now=post.takes_place_at),
        _note(plan, post),
    )


def _note(plan: Plan, post: QueueItem) -> str:
    if post.scheduled_for is None:
        return "" if post.state == State.PUBLISHED else "without a time: goes out once approved"
    if post.state == State.EXPIRED:
        return "missed: it is not sent later"
    is_open = post.state in (State.PENDING, State.APPROVED)
    if is_open and plan.windows and plan.span_of(post.scheduled_for) is None:
        return "outside the windows, which were changed since"
    return ""


def _count(plan: Plan, posts: Sequence[QueueItem], *, is_past: bool, is_open: bool) -> Note | None:
    """How the day stands against its target; a day that has no window has none."""
    counted = {State.PUBLISHED} if is_past else {State.PUBLISHED, *LIVE}
    number, target = sum(post.state in counted for post in posts), plan.posts_per_day
    word = "published" if is_past else "planned"
    if not target or not is_open:
        return Note("quiet", f"{number} {word}", "") if number else None
    tone = "good" if number >= target else "quiet" if is_past else "wait"
    return Note(tone, f"{number} of {target} {word}", "")

"""Saved searches: operators say what a workspace reads, and a run that is under way minds them."""

from datetime import timedelta
from functools import partial

import pytest
from django.db import transaction
from django.utils import timezone

from tests.api import member
from tests.concurrency import run_together
from tests.factories import WorkspaceFactory
from tests.worlds import WORKER, operator
from workspaces.errors import NotAllowed, WorkspaceNotFound
from workspaces.models import AuditEvent
from x_integration.client import XClient
from x_integration.errors import (
    BadQuery,
    FeedNotFound,
    SearchExists,
    TooManySearches,
    XReadFailed,
)
from x_integration.models import Feed, SourcePost, XAccount
from x_integration.services import (
    add_search,
    change_search,
    ingest_feed,
    mentions_feed,
    remove_search,
    switch_feed,
)
from x_integration.services.feeds import MOST_SEARCHES
from x_integration.snowflakes import first_id_at

pytestmark = pytest.mark.django_db(transaction=True)
SEARCH = "/2/tweets/search/recent"
MARKS = {"seen_until": "90", "reading_from": "80", "read_down_to": "70"}


@pytest.fixture
def team():
    """A workspace without an account."""
    return WorkspaceFactory(owner=member(WorkspaceFactory()))


@pytest.fixture
def by(team):
    """Its owner, now."""
    return {"actor": operator(team), "now": timezone.now()}


@pytest.fixture
def search(team, by):
    """What it searches for."""
    return add_search(team, "coffee", **by)


def recorded(workspace):
    events = AuditEvent.objects.filter(chain=str(workspace.pk), subject__startswith="feed:")
    return list(events.order_by("seq").values_list("type", "subject", "data"))


def test_a_search_is_due_at_once_and_audited_without_its_words(team, by):
    feed = add_search(team, "  @lia   coffee ", **by)
    assert (feed.kind, feed.query, feed.is_on) == ("search", "@lia coffee", True)
    assert list(Feed.objects.due(by["now"])) == [feed]
    assert recorded(team) == [("search.add", f"feed:{feed.pk}", {})]


def test_the_same_search_is_saved_once(team, search, by):
    with pytest.raises(SearchExists):
        add_search(team, " coffee", **by)
    other = add_search(team, "tea", **by)
    with pytest.raises(SearchExists):
        change_search(other, "coffee", **by)
    assert add_search(WorkspaceFactory(), "coffee", actor=WORKER, now=by["now"])


def test_two_that_save_at_once_stay_below_the_most(team, by):
    for number in range(MOST_SEARCHES - 1):
        add_search(team, f"coffee {number}", **by)
    adding = [partial(add_search, team, query, **by) for query in ("tea", "milk")]
    assert run_together(*adding) == ["TooManySearches", "ok"]
    with pytest.raises(TooManySearches, match="at most 10 searches"):
        add_search(team, "sugar", **by)


def test_what_x_would_refuse_changes_nothing(search, by):
    with pytest.raises(BadQuery):
        change_search(search, "lang:en", **by)
    search.refresh_from_db()
    assert search.query == "coffee"


def test_another_query_begins_anew_and_at_once(team, search, by):
    later = by["now"] + timedelta(hours=1)
    Feed.objects.update(**MARKS, next_read_at=later, last_error="x_read_400")
    assert change_search(search, "tea", **by)
    changed = Feed.objects.get()
    assert {name: getattr(changed, name) for name in MARKS} == dict.fromkeys(MARKS, "")
    assert (changed.query, changed.last_error, changed.next_read_at) == ("tea", "", by["now"])
    assert recorded(team)[-1] == ("search.change", f"feed:{search.pk}", {})


def test_the_same_query_keeps_its_marks(team, search, by):
    Feed.objects.update(**MARKS)
    assert not change_search(search, "coffee ", **by)
    assert Feed.objects.get().seen_until == MARKS["seen_until"]
    assert len(recorded(team)) == 1


def test_what_is_switched_off_is_not_read_and_goes_on_where_it_was(team, search, by):
    Feed.objects.update(**MARKS)
    assert switch_feed(search, on=False, **by)
    assert not switch_feed(search, on=False, **by)
    assert not Feed.objects.due(by["now"]).exists()
    assert switch_feed(search, on=True, **by)
    assert Feed.objects.due(by["now"]).get().seen_until == MARKS["seen_until"]
    told = [(type_, data) for type_, _, data in recorded(team)[1:]]
    assert told == [("search.switch", {"on": False}), ("search.switch", {"on": True})]


def test_the_mentions_are_switched_and_never_changed_or_removed(team, by):
    feed = mentions_feed(team, now=by["now"])
    assert switch_feed(feed, on=False, **by)
    assert recorded(team) == [("mentions.switch", f"feed:{feed.pk}", {"on": False})]
    with pytest.raises(FeedNotFound):
        change_search(feed, "coffee", **by)
    assert not remove_search(feed, **by)
    assert Feed.objects.get().query == ""


def test_a_search_that_is_removed_is_gone_once(team, search, by):
    assert (remove_search(search, **by), remove_search(search, **by)) == (True, False)
    with pytest.raises(FeedNotFound):
        change_search(search, "tea", **by)
    assert [type_ for type_, *_ in recorded(team)] == ["search.add", "search.remove"]


@pytest.mark.parametrize(
    "act",
    [
        lambda feed, **by: add_search(feed.workspace, "tea", **by),
        lambda feed, **by: change_search(feed, "tea", **by),
        lambda feed, **by: switch_feed(feed, on=False, **by),
        lambda feed, **by: remove_search(feed, **by),
    ],
    ids=["add", "change", "switch", "remove"],
)
def test_nobody_but_an_operator_says_what_is_read(team, search, by, act):
    clerk = operator(team)
    stranger = operator(WorkspaceFactory(owner=member(WorkspaceFactory())))
    team.memberships.update(role="member")
    for actor, error in ((clerk, NotAllowed), (stranger, WorkspaceNotFound)):
        with pytest.raises(error):
            act(search, actor=actor, now=by["now"])
    assert (Feed.objects.get().query, len(recorded(team))) == ("coffee", 1)


# --- while it is read -------------------------------------------------------------------------------


class MeanwhileClient(XClient):
    """Does something while the first page of a search is on its way."""

    def __init__(self, act) -> None:
        super().__init__()
        self._act = act

    def search(self, *args, **more):
        for page in super().search(*args, **more):
            self._act()
            yield page


def read(feed, act=lambda: None, *, now=None):
    account = XAccount.objects.select_related("workspace").get(workspace=feed.workspace)
    x = MeanwhileClient(act)
    return ingest_feed(feed, account, x=x, actor=WORKER, now=now or timezone.now())


@pytest.fixture
def heard(x, cafe):
    """A search of a connected workspace, which finds one post."""
    x.mention(cafe, "coffee for everybody")
    return add_search(cafe, "coffee", actor=WORKER, now=timezone.now())


def test_a_saved_search_brings_what_x_finds(x, heard):
    assert read(heard) == 1
    assert SourcePost.objects.get().text == "coffee for everybody"
    assert Feed.objects.get(pk=heard.pk).seen_until


def test_a_run_over_the_old_query_leaves_no_mark_on_the_new_one(x, heard):
    now = timezone.now()
    read(heard, lambda: change_search(heard, "tea", actor=WORKER, now=now), now=now)
    feed = Feed.objects.get(pk=heard.pk)
    assert (feed.query, feed.seen_until, feed.next_read_at) == ("tea", "", now)
    assert (feed.last_read_at, feed.leased_until) == (None, None)


def test_a_run_over_the_old_query_leaves_the_new_run_its_lease(x, heard):
    now = timezone.now()

    def change_and_lease():
        change_search(heard, "tea", actor=WORKER, now=now)
        Feed.objects.filter(pk=heard.pk).update(leased_until=now + timedelta(seconds=60))

    read(heard, change_and_lease, now=now)  # at the same moment: the leases look alike
    feed = Feed.objects.get(pk=heard.pk)
    assert (feed.seen_until, feed.leased_until) == ("", now + timedelta(seconds=60))


def test_a_gap_that_x_no_longer_looks_into_is_closed_and_the_search_goes_on(x, heard):
    """It was off, or out of budget, for longer than X searches back."""
    old = str(first_id_at(timezone.now() - timedelta(days=8)))
    Feed.objects.filter(pk=heard.pk).update(reading_from=old, read_down_to=old)
    assert (read(heard), read(heard)) == (0, 1)


def test_a_search_that_is_removed_while_it_is_read_stays_removed(x, heard):
    read(heard, lambda: remove_search(heard, actor=WORKER, now=timezone.now()))
    assert not Feed.objects.filter(pk=heard.pk).exists()
    assert read(heard) == 0


def test_what_was_switched_off_a_moment_ago_is_not_read(x, heard):
    switch_feed(heard, on=False, actor=WORKER, now=timezone.now())
    assert read(heard) == 0
    assert x.calls("GET", SEARCH) == []


def test_a_query_that_x_refuses_after_all_is_noted(x, heard):
    with transaction.atomic():
        Feed.objects.filter(pk=heard.pk).update(query="nonsense:coffee")
    with pytest.raises(XReadFailed):
        read(heard)
    assert Feed.objects.get(pk=heard.pk).last_error == "x_read_400"

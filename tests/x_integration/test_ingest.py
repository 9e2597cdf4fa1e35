"""Reading what people say: each page is stored as it comes, and the mark never passes a gap."""

from datetime import timedelta
from decimal import Decimal
from functools import partial

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests.concurrency import run_together
from tests.factories import WorkspaceFactory, XAccountFactory
from tests.worlds import WORKER
from workspaces import counters
from workspaces.models import AuditEvent, Counter, SystemHold
from x_integration.client import Window, XClient
from x_integration.errors import NoAccessToken, XReadFailed, XUnauthorized
from x_integration.models import Feed, SourcePost, Spend, XAccount
from x_integration.services import ingest, ingest_feed, ingest_mentions

MENTIONS = "/2/users/{id}/mentions"


def mark(workspace):
    return Feed.objects.get(workspace=workspace).seen_until


def hear(x, workspace, count):
    return [x.mention(workspace)["id"] for _ in range(count)]


def page_with(*posts, **meta):
    """A body in which these posts are somebody's mentions."""
    whole = [
        {
            "text": "hi",
            "author_id": "77",
            "created_at": "2026-11-01T12:00:00.000Z",
            **post,
        }
        for post in posts
    ]
    return {"data": whole, "meta": {"result_count": len(whole), **meta}}


# --- what is stored -------------------------------------------------------------------------------


@pytest.mark.parametrize("dialect", ["legacy", "new"])
def test_a_mention_is_stored_as_it_was_said(x, cafe, settings, dialect):
    settings.X_FIELD_DIALECT = dialect
    said = x.mention(cafe, "@cafe é &  <3 see https://example.com/a?b=1&copy=2 😀", by="lia")
    x.ingest(cafe)
    stored = SourcePost.objects.get()
    assert (stored.x_post_id, stored.author_username) == (said["id"], "lia")
    assert stored.text == "@cafe é &  <3 see https://example.com/a?b=1&copy=2 😀"
    assert (stored.eligibility, stored.eligibility_reason) == ("summoned", "mentions_us")
    assert abs(stored.posted_at - timezone.now()) < timedelta(minutes=1)


@pytest.mark.parametrize("dialect", ["legacy", "new"])
def test_more_than_two_pages_are_stored_to_the_last_post(x, cafe, settings, dialect):
    settings.X_FIELD_DIALECT = dialect
    said = hear(x, cafe, 251)
    assert x.ingest(cafe) == 251
    assert set(SourcePost.objects.values_list("x_post_id", flat=True)) == set(said)
    assert len(x.calls("GET", f"/2/users/{cafe.x_account.x_user_id}/mentions")) == 3


def test_a_second_run_stores_nothing(x, cafe):
    hear(x, cafe, 3)
    assert (x.ingest(cafe), x.ingest(cafe)) == (3, 0)
    assert SourcePost.objects.count() == 3


def test_a_second_run_that_meets_the_same_posts_leaves_them_alone(x, cafe):
    hear(x, cafe, 3)
    x.ingest(cafe)
    before = list(SourcePost.objects.values())
    Feed.objects.update(seen_until="")
    assert x.ingest(cafe) == 0
    assert list(SourcePost.objects.values()) == before


def test_a_run_stores_only_what_is_new(x, cafe):
    hear(x, cafe, 2)
    x.ingest(cafe)
    hear(x, cafe, 3)
    assert x.ingest(cafe) == 3
    assert SourcePost.objects.count() == 5


def test_the_mark_is_the_newest_post(x, cafe):
    said = hear(x, cafe, 3)
    x.ingest(cafe)
    assert mark(cafe) == said[-1]


def test_the_newest_post_is_the_greatest_number_and_not_the_last_text(x, cafe):
    body = page_with({"id": "9"}, {"id": "1000"}, {"id": "200"})
    x.fault("status", method="GET", path=MENTIONS, status=200, body=body)
    x.ingest(cafe)
    assert mark(cafe) == "1000"


def test_what_a_page_says_is_gone_is_noted_though_the_page_is_not_stored(x, cafe, monkeypatch):
    """The next run may not be told of it again."""
    (said,) = hear(x, cafe, 1)
    x.ingest(cafe)
    problem = "https://api.twitter.com/2/problems/resource-not-found"
    told = {"type": problem, "resource_id": said, "resource_type": "tweet", "title": "Not Found"}
    body = page_with({"id": "9"}) | {"errors": [told]}
    x.fault("status", method="GET", path=MENTIONS, status=200, body=body)
    monkeypatch.setattr(ingest, "store_posts", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        x.ingest(cafe)
    assert SourcePost.objects.get().gone_reason == "not_found"


@pytest.mark.parametrize(("kind", "gone"), [("user", "77"), ("tweet", "9")])
def test_a_post_of_which_its_own_page_says_that_it_is_gone_is_not_stored(x, cafe, kind, gone):
    problem = "https://api.twitter.com/2/problems/resource-not-found"
    told = {"type": problem, "resource_id": gone, "resource_type": kind, "title": "Not Found"}
    body = page_with({"id": "9"}, {"id": "8", "author_id": "78"}) | {"errors": [told]}
    x.fault("status", method="GET", path=MENTIONS, status=200, body=body)
    x.ingest(cafe)
    assert SourcePost.objects.standing().get().x_post_id == "8"


def earlier(**ago) -> str:
    return (timezone.now() - timedelta(**ago)).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def test_a_mention_that_x_shows_late_is_stored(x, cafe):
    hear(x, cafe, 1)
    x.ingest(cafe)
    x.simulator.make_user("lia")
    late = x.simulator.say("lia", "@cafe I was slow", created_at=earlier(minutes=10))["id"]
    assert x.ingest(cafe) == 1
    assert SourcePost.objects.filter(x_post_id=late).exists()


@pytest.fixture
def noon(x):
    """Tomorrow at noon, for X too; the mentions of the day were read a moment ago."""
    at = (timezone.now() + timedelta(days=1)).replace(hour=12, minute=0, second=0, microsecond=0)
    x.simulator.settings(ahead_seconds=(at - timezone.now()).total_seconds())
    return at


def hear_of_the_past(x, *instants):
    x.simulator.make_user("lia")
    said = [
        x.simulator.say("lia", "@cafe I was slow", created_at=at.isoformat()) for at in instants
    ]
    return [post["id"] for post in said]


def test_a_mention_that_x_shows_hours_late_is_found_when_the_day_is_read_again(x, cafe, noon):
    hear(x, cafe, 1)
    x.ingest(cafe, now=noon)
    hear_of_the_past(x, noon - timedelta(hours=5))
    assert x.ingest(cafe, now=noon + timedelta(seconds=1)) == 0
    assert x.ingest(cafe, now=noon + timedelta(hours=3, seconds=1)) == 1


def test_a_day_that_could_not_be_read_again_is_tried_with_the_next_run(x, cafe, noon):
    hear(x, cafe, 1)
    x.ingest(cafe, now=noon)
    hear_of_the_past(x, noon - timedelta(hours=5))
    later = noon + timedelta(hours=3, seconds=1)
    x.fault("html", method="GET", path=MENTIONS)
    with pytest.raises(XReadFailed):
        x.ingest(cafe, now=later)
    assert x.ingest(cafe, now=later + timedelta(minutes=2)) == 1


def test_a_day_whose_reading_breaks_off_is_read_again_after_the_gap(x, cafe, noon):
    said = hear(x, cafe, 1)
    x.ingest(cafe, now=noon)
    hear_of_the_past(x, noon - timedelta(hours=5))
    later = noon + timedelta(hours=3, seconds=1)
    body = page_with({"id": said[0]}, next_token="more")
    x.fault("status", method="GET", path=MENTIONS, status=200, body=body)
    x.fault("html", method="GET", path=MENTIONS)
    with pytest.raises(XReadFailed):
        x.ingest(cafe, now=later)
    assert [x.ingest(cafe, now=later) for _ in range(3)] == [0, 1, 0]


def test_what_a_day_read_again_shows_once_more_costs_nothing(x, cafe, noon):
    hear(x, cafe, 3)
    x.ingest(cafe, now=noon)
    hear_of_the_past(x, noon - timedelta(hours=5))
    x.ingest(cafe, now=noon + timedelta(hours=3, seconds=1))
    bill = Decimal(x.simulator.bill()["total_usd"])
    assert spent(cafe) == bill == Decimal("0.020")


def test_a_day_that_is_over_is_not_read_again(x, cafe, noon):
    """X would charge for all of it once more."""
    hear(x, cafe, 1)
    x.ingest(cafe, now=noon)
    hear_of_the_past(x, noon - timedelta(hours=13))
    assert x.ingest(cafe, now=noon + timedelta(hours=3, seconds=1)) == 0


def test_a_day_is_not_read_again_where_the_budget_makes_small_pages(x, cafe, noon):
    hear(x, cafe, 1)
    x.ingest(cafe, now=noon)
    hear_of_the_past(x, noon - timedelta(hours=5))
    later = noon + timedelta(hours=3, seconds=1)
    assert (run_with(cafe, "0.49", now=later), run_with(cafe, "0.50", now=later)) == (0, 0)
    assert run_with(cafe, "0.50", now=later + timedelta(hours=3)) == 1


def test_a_search_is_not_read_again_by_the_day(x, cafe, noon):
    """It may find thousands of posts on a day; X shows 800 mentions at most."""
    account = XAccount.objects.select_related("workspace").get(workspace=cafe)
    feed = Feed.objects.create(workspace=cafe, kind="search", query="slow")
    hear_of_the_past(x, noon)
    read = partial(ingest_feed, feed, account, x=XClient(), actor=WORKER)
    assert read(now=noon + timedelta(seconds=1)) == 1
    hear_of_the_past(x, noon - timedelta(hours=5))
    assert read(now=noon + timedelta(hours=3, seconds=1)) == 0


def test_an_id_of_the_future_makes_nobody_deaf(x, cafe):
    """The mark never passes the present, whatever X says."""
    future = page_with({"id": str(2**63 - 1)})
    x.fault("status", method="GET", path=MENTIONS, status=200, body=future)
    x.ingest(cafe)
    hear(x, cafe, 1)
    assert x.ingest(cafe) == 1


def test_a_slower_run_moves_the_mark_not_back(x, cafe):
    account = XAccount.objects.select_related("workspace").get(workspace=cafe)
    first = hear(x, cafe, 1)
    old = page_with({"id": "1000"})
    x.ingest(cafe)
    x.fault("status", method="GET", path=MENTIONS, status=200, body=old)
    ingest_mentions(account, x=XClient(), actor=WORKER, now=timezone.now())
    assert mark(cafe) == first[-1]


def test_two_runs_at_once_store_each_post_once_and_count_it_once(x, cafe):
    hear(x, cafe, 30)
    assert run_together(*[lambda: x.ingest(cafe)] * 3) == ["ok"] * 3
    counted = AuditEvent.objects.filter(type="posts.ingest").values_list("data__new", flat=True)
    assert (SourcePost.objects.count(), list(counted)) == (30, [30])


def test_pages_that_go_on_for_ever_leave_the_mark_where_it_was(x, cafe):
    for token in "aba":
        body = page_with({"id": "5"}, next_token=token)
        x.fault("status", method="GET", path=MENTIONS, status=200, body=body)
    with pytest.raises(XReadFailed):
        x.ingest(cafe)
    assert (mark(cafe), SourcePost.objects.count()) == ("", 1)


def test_unknown_fields_are_kept_in_the_payload(x, cafe):
    post = {"id": "5", "moon": {"lit": 0.5, "names": ["full", "lua"]}, "lit": None}
    x.fault("status", method="GET", path=MENTIONS, status=200, body=page_with(post))
    x.ingest(cafe)
    payload = SourcePost.objects.get().payload
    assert (payload["moon"], payload["lit"]) == (post["moon"], None)


def test_what_postgresql_cannot_keep_does_not_stop_the_run(x, cafe):
    nul = "a\x00b"
    post = {"id": "5", "text": nul, "lang": nul, "conversation_id": "5\x00", "odd": {nul: [nul]}}
    body = page_with(post) | {"includes": {"users": [{"id": "77", "username": nul}]}}
    x.fault("status", method="GET", path=MENTIONS, status=200, body=body)
    assert x.ingest(cafe) == 1
    stored = SourcePost.objects.get()
    assert (stored.text, stored.lang, stored.author_username) == ("ab", "ab", "ab")
    assert stored.payload["odd"] == {"ab": ["ab"]}


def test_what_no_json_can_say_does_not_stop_the_run(x, cafe):
    post = {"id": "5", "odd": [float("nan"), float("inf")]}
    x.fault("status", method="GET", path=MENTIONS, status=200, body=page_with(post))
    assert x.ingest(cafe) == 1
    assert SourcePost.objects.get().payload["odd"] == [None, None]


def test_a_post_that_comes_on_two_pages_is_stored_once(x, cafe):
    first = page_with({"id": "5"}, {"id": "4"}, next_token="more")
    for body in (first, page_with({"id": "4"}, {"id": "3"})):
        x.fault("status", method="GET", path=MENTIONS, status=200, body=body)
    assert x.ingest(cafe) == 3


def test_a_post_that_mentions_two_accounts_belongs_to_both_workspaces(x, cafe):
    bar = x.connected("bar")
    said = x.mention(cafe, "@cafe and @bar, hello")["id"]
    assert (x.ingest(cafe), x.ingest(bar)) == (1, 1)
    stored = SourcePost.objects.filter(x_post_id=said).order_by("pk")
    assert [post.workspace_id for post in stored] == [cafe.pk, bar.pk]


def test_what_was_said_to_one_account_is_not_stored_for_another(x, cafe):
    bar = x.connected("bar")
    hear(x, cafe, 2)
    assert x.ingest(bar) == 0
    assert SourcePost.objects.count() == 0


# --- what breaks off -------------------------------------------------------------------------------


@pytest.fixture
def broken_in_the_middle(x, cafe):
    """Three pages at X, of which the second cannot be read this time; what was said."""
    old = hear(x, cafe, 1)
    x.ingest(cafe)
    said = hear(x, cafe, 250)
    path = f"/2/users/{cafe.x_account.x_user_id}/mentions"
    body = page_with({"id": said[149]}, {"id": "5", "text": None}, next_token="more")
    x.fault("status", method="GET", path=path, status=200, body=_first_page(x, cafe))
    x.fault("status", method="GET", path=path, status=200, body=body)
    return old + said


def _first_page(x, workspace):
    """X's real first page of what is newer than the mark."""
    pages = XClient().mentions(
        workspace.x_account.x_user_id,
        Window(since_id=mark(workspace)),
        access_token=workspace.x_account.access_token.open(),
    )
    page = next(pages)
    return page_with(*[post.raw for post in page.posts], next_token=page.next_token)


def test_a_broken_page_stores_nothing_of_it_and_leaves_the_mark(x, cafe, broken_in_the_middle):
    with pytest.raises(XReadFailed):
        x.ingest(cafe)
    assert SourcePost.objects.count() == 1 + 100
    assert mark(cafe) == broken_in_the_middle[0]
    assert Feed.objects.get().last_error == "x_broken_page"


def test_the_run_after_a_broken_page_goes_on_where_it_broke_off(x, cafe, broken_in_the_middle):
    with pytest.raises(XReadFailed):
        x.ingest(cafe)
    assert x.ingest(cafe) == 150
    stored = SourcePost.objects.values_list("x_post_id", flat=True)
    assert set(stored) == set(broken_in_the_middle)
    asked = x.calls("GET", f"/2/users/{cafe.x_account.x_user_id}/mentions")
    assert len(asked) == 1 + 1 + 2 + 2  # the old one, the first page for the test, and each run's


def test_what_is_said_while_a_gap_is_open_is_read_after_it(x, cafe, broken_in_the_middle):
    with pytest.raises(XReadFailed):
        x.ingest(cafe)
    newest = hear(x, cafe, 3)
    assert (x.ingest(cafe), mark(cafe)) == (150, broken_in_the_middle[-1])
    assert (x.ingest(cafe), mark(cafe)) == (3, newest[-1])


def test_a_gap_is_filled_by_the_next_cycle(x, cafe, broken_in_the_middle):
    with pytest.raises(XReadFailed):
        x.ingest(cafe)
    x.ingest(cafe)
    assert Feed.objects.due(timezone.now()).exists()


def test_pages_out_of_order_that_break_off_are_read_anew(x, cafe):
    """What lies between them may be missing: nothing tells where to go on."""
    x.fault(
        "status",
        method="GET",
        path=MENTIONS,
        status=200,
        body=page_with({"id": "50"}, next_token="a"),
    )
    x.fault(
        "status",
        method="GET",
        path=MENTIONS,
        status=200,
        body=page_with({"id": "90"}, next_token="b"),
    )
    x.fault("html", method="GET", path=MENTIONS)
    with pytest.raises(XReadFailed):
        x.ingest(cafe)
    feed = Feed.objects.get()
    assert (feed.seen_until, feed.reading_from, feed.read_down_to) == ("", "", "")


@pytest.mark.parametrize("kind", ["html", "drop", "lost_answer", "truncate"])
def test_an_answer_that_breaks_off_stores_nothing(x, cafe, kind):
    hear(x, cafe, 2)
    x.fault(kind, method="GET", path=MENTIONS)
    with pytest.raises(XReadFailed):
        x.ingest(cafe)
    assert (SourcePost.objects.count(), mark(cafe)) == (0, "")


def test_somebody_elses_lease_is_waited_out(x, cafe):
    hear(x, cafe, 1)
    x.ingest(cafe)
    hear(x, cafe, 1)
    Feed.objects.update(leased_until=timezone.now() + timedelta(seconds=30))
    assert x.ingest(cafe) == 0
    assert x.ingest(cafe, now=timezone.now() + timedelta(seconds=31)) == 1


def test_one_401_leads_to_one_renewal_and_one_more_question(x, cafe):
    hear(x, cafe, 1)
    x.fault("status", method="GET", path=MENTIONS, status=401)
    assert x.ingest(cafe) == 1
    assert len(x.calls("POST", "/2/oauth2/token")) == 1


def test_an_x_that_takes_neither_token_stores_nothing_and_holds_the_account(x, cafe):
    hear(x, cafe, 1)
    x.fault("status", method="GET", path=MENTIONS, status=401, times=None)
    with pytest.raises(XUnauthorized):
        x.ingest(cafe)
    assert SourcePost.objects.count() == 0
    assert XAccount.objects.get().held_reason == "x_unauthorized"
    assert len(x.calls("POST", "/2/oauth2/token")) == 1


# --- who may be asked for -------------------------------------------------------------------------


def test_an_account_without_tokens_is_not_asked_for(x):
    workspace = WorkspaceFactory()
    XAccountFactory(workspace=workspace, access="", refresh="")
    with pytest.raises(NoAccessToken):
        x.ingest(workspace)
    assert x.simulator.requests() == []


def test_a_revoked_account_is_not_asked_for(x, cafe):
    XAccount.objects.update(revoked_at=timezone.now())
    with pytest.raises(NoAccessToken):
        x.ingest(cafe)
    assert x.simulator.requests() == []


def test_an_expired_token_is_renewed_before_reading(x, cafe):
    hear(x, cafe, 1)
    XAccount.objects.update(expires_at=timezone.now() - timedelta(hours=1))
    assert x.ingest(cafe) == 1
    assert len(x.calls("POST", "/2/oauth2/token")) == 1


# --- what it leaves and what it costs -------------------------------------------------------------


def test_the_audit_row_tells_how_many_and_nothing_that_was_said(x, cafe):
    x.mention(cafe, "@cafe a very personal canary-4f1d8c", by="lia")
    x.ingest(cafe)
    event = AuditEvent.objects.get(type="posts.ingest")
    assert (event.subject, event.actor) == ("account", "worker")
    assert event.data == {"new": 1, "spend": "post_read", "usd": "0.005"}


def test_a_run_without_news_leaves_no_audit_row(x, cafe):
    x.ingest(cafe)
    assert not AuditEvent.objects.exists()


def test_a_page_of_a_hundred_is_six_statements(x, cafe):
    bar = x.connected("bar")
    hear(x, cafe, 100)
    hear(x, bar, 200)
    assert statements_of_a_run(x, bar) - statements_of_a_run(x, cafe) == 6


def statements_of_a_run(x, workspace):
    """How many statements a run sends, BEGIN and COMMIT not counted."""
    account = XAccount.objects.select_related("workspace").get(workspace=workspace)
    with CaptureQueriesContext(connection) as statements:
        ingest_mentions(account, x=XClient(), actor=WORKER, now=timezone.now())
    sent = [each["sql"] for each in statements.captured_queries]
    return len([sql for sql in sent if not sql.startswith(("BEGIN", "COMMIT"))])


# --- what it may cost ------------------------------------------------------------------------------


def spent(workspace):
    return sum(Spend.objects.filter(workspace=workspace).values_list("usd", flat=True))


def test_each_post_is_charged_once_on_a_day_however_often_it_is_read(x, cafe):
    hear(x, cafe, 3)
    for _ in range(2):
        x.ingest(cafe)
        Feed.objects.update(seen_until="")
    assert spent(cafe) == Decimal("0.015")
    x.ingest(cafe, now=timezone.now() + timedelta(days=1))
    assert spent(cafe) == Decimal("0.030")


def test_a_page_that_comes_after_midnight_is_charged_to_the_new_day(x, cafe, monkeypatch):
    hear(x, cafe, 1)
    late = timezone.now().replace(hour=23, minute=59, second=59)
    monkeypatch.setattr(ingest, "ticking", lambda now: lambda: now + timedelta(seconds=2))
    x.ingest(cafe, now=late)
    assert Spend.objects.get().day == late.date() + timedelta(days=1)


def test_a_post_read_for_two_workspaces_is_charged_to_the_first(x, cafe):
    bar = x.connected("bar")
    x.mention(cafe, "@cafe and @bar, hello")
    x.ingest(cafe)
    x.ingest(bar)
    assert (spent(cafe), spent(bar)) == (Decimal("0.005"), 0)


def test_what_is_charged_is_counted_and_audited(x, cafe):
    hear(x, cafe, 120)
    x.ingest(cafe)
    counter = Counter.objects.get(name="x_spend_usd_total")
    assert (counter.labels, counter.value) == ("kind=post_read", Decimal("0.6"))
    assert counters.compare() == []


def run_with(workspace, usd, *, now=None):
    account = XAccount.objects.select_related("workspace").get(workspace=workspace)
    now = now or timezone.now()
    return ingest_mentions(account, x=XClient(), actor=WORKER, now=now, usd=Decimal(usd))


def test_a_page_is_no_larger_than_the_budget_pays_for(x, cafe):
    said = hear(x, cafe, 130)
    assert run_with(cafe, "0.60") == 120
    assert spent(cafe) == Decimal("0.60")
    assert run_with(cafe, "0.60") == 10
    assert SourcePost.objects.count() == len(said)


def test_a_budget_that_is_used_up_asks_x_for_nothing(x, cafe):
    hear(x, cafe, 1)
    assert run_with(cafe, "0.024") == 0  # X's smallest page may cost 0.025
    assert x.simulator.requests() == []


def test_a_feed_that_the_budget_stops_says_so_and_does_not_claim_to_be_read(x, cafe):
    hear(x, cafe, 1)
    run_with(cafe, "0.024")
    stopped = Feed.objects.get()
    assert (stopped.last_error, stopped.last_read_at) == ("budget", None)
    run_with(cafe, "1")
    read = Feed.objects.get()
    assert (read.last_error, read.last_read_at is None) == ("", False)


def test_no_credit_at_x_stops_everybody(x, cafe):
    hear(x, cafe, 1)
    x.fault("no_credits", method="GET", path=MENTIONS)
    with pytest.raises(XReadFailed):
        x.ingest(cafe)
    assert SystemHold.objects.get().kind == "no_credits"


# --- X's limits ------------------------------------------------------------------------------------


def test_a_spent_rate_limit_ends_the_run_and_is_waited_out(x, cafe):
    hear(x, cafe, 250)
    x.simulator.settings(rate_limits={"GET /2/users/{id}/mentions": 2})
    assert x.ingest(cafe) == 200
    feed = Feed.objects.get()
    assert timedelta(minutes=14) < feed.next_read_at - timezone.now() < timedelta(minutes=16)
    before = len(x.simulator.requests())
    assert x.ingest(cafe) == 0
    assert len(x.simulator.requests()) == before


def test_an_account_that_is_quiet_is_read_less_often(x, cafe):
    hear(x, cafe, 1)
    now = timezone.now()
    pauses = []
    for after in (timedelta(0), timedelta(hours=2), timedelta(days=3)):
        x.ingest(cafe, now=now + after)
        feed = Feed.objects.get()
        pauses.append((feed.next_read_at - (now + after)) / timedelta(minutes=1))
    assert pauses == [2, pytest.approx(6, abs=0.1), 30]

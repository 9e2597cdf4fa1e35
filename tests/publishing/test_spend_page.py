"""The Spend page: totals beside budgets, days by kind, and the calls behind each; members' own workspaces alone."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from publishing.services.budget import MONTH, Purse
from publishing.spend_admin import bar, dollars
from tests.factories import MembershipFactory, QueueItemFactory, UserFactory, WorkspaceFactory
from x_integration.models import Feed, PricedCall, Spend
from x_integration.services import record_spend

pytestmark = pytest.mark.django_db
PAGE = "/admin/x_integration/spend/"


@pytest.fixture
def cafe(client):
    """A workspace with a budget, a member of which is signed in."""
    workspace = WorkspaceFactory(slug="cafe", name="Café", monthly_budget_usd=40)
    user = UserFactory()
    MembershipFactory(workspace=workspace, user=user, role="member")
    client.force_login(user)
    return workspace


def spend(workspace, usd="0.010", *, kind="summoned_reply", subject="account"):
    now = datetime.now(UTC)
    record_spend(workspace, kind, Decimal(usd), subject=subject, now=now)


def text_of(client, page=PAGE) -> str:
    answer = client.get(page)
    assert answer.status_code == 200
    return " ".join(answer.content.decode().split())


def test_a_member_sees_the_totals_of_day_and_month_beside_the_budget(client, cafe):
    spend(cafe, "10.00")
    text = text_of(client)
    assert "$10.00 of $40.00" in text
    assert "$30.00 are left. Reading stops at 90 %, publishing at 100 %." in text
    assert 'width="25.0"' in text
    assert "There is no budget: nothing stops at any sum." in text  # of the day


def test_the_days_are_listed_by_kind(client, cafe):
    spend(cafe)
    spend(cafe)
    spend(cafe, "0.005", kind="post_read")
    text = text_of(client)
    assert "summoned replies" in text
    assert "$0.02" in text
    assert "$0.005" in text


def test_behind_a_day_stand_its_calls_with_what_each_was_for(client, cafe):
    item = QueueItemFactory(workspace=cafe, number=42)
    feed = Feed.objects.create(workspace=cafe, kind="search", query="good coffee")
    for subject in ("item:42/1", f"feed:{feed.pk}", "feed:999999", "account", "source_post:7"):
        spend(cafe, subject=subject)
    text = text_of(client, f"{PAGE}{Spend.objects.get().pk}/change/")
    assert f'<a href="/admin/publishing/queueitem/{item.pk}/change/">#42, try 1</a>' in text
    for words in ("good coffee", "a feed that is gone", "the account", "a post to answer", "$0.05"):
        assert words in text


def test_another_workspace_s_spend_is_missing(client, cafe):
    other = WorkspaceFactory(slug="secret-team", name="Secret")
    spend(other)
    spend(other, subject="item:1/1")
    text = text_of(client)
    assert "secret-team" not in text
    assert "Secret" not in text
    assert client.get(f"{PAGE}{Spend.objects.get().pk}/change/").status_code == 404
    assert "secret-team" not in text_of(client, f"{PAGE}?workspace__id__exact={other.pk}")


def test_the_filter_shows_one_workspace_s_purses(client, cafe):
    bar_ = WorkspaceFactory(slug="bar", name="The Bar")
    MembershipFactory(workspace=bar_, user_id=cafe.memberships.get().user_id)
    assert "The Bar" in text_of(client)
    shown = text_of(client, f"{PAGE}?workspace__id__exact={cafe.pk}")
    assert "The Bar" not in shown
    assert "Café" in shown


def test_a_workspace_in_the_address_that_is_none_breaks_nothing(client, cafe):
    assert client.get(f"{PAGE}?workspace__id__exact=x", follow=True).status_code == 200


def test_many_calls_are_cut_and_the_rest_is_counted(client, cafe, monkeypatch):
    monkeypatch.setattr("publishing.spend_admin.CALLS_SHOWN", 2)
    for _ in range(5):
        spend(cafe)
    assert "And 3 more before these." in text_of(client, f"{PAGE}{Spend.objects.get().pk}/change/")
    assert PricedCall.objects.count() == 5


def test_nothing_can_be_changed(client, cafe):
    spend(cafe)
    row = Spend.objects.get()
    for page in (f"{PAGE}add/", f"{PAGE}{row.pk}/delete/"):
        assert client.get(page).status_code == 403
    assert client.post(f"{PAGE}{row.pk}/change/", {"usd": "0"}).status_code == 403
    assert Spend.objects.get().usd == row.usd


@pytest.mark.parametrize(
    ("spent", "tone", "says"),
    [
        ("31.99", "good", "$8.01 are left. Reading stops at 90 %, publishing at 100 %."),
        ("32", "wait", "$8.00 are left. Reading stops at 90 %, publishing at 100 %."),
        ("36", "wait", "$4.00 are left, for publishing alone: reading has stopped."),
        ("40", "bad", "Nothing is read or published until the month is over, by UTC."),
        ("40.005", "bad", "Nothing is read or published until the month is over, by UTC."),
    ],
)
def test_a_bar_says_what_stops(spent, tone, says):
    purse = Purse(WorkspaceFactory(), MONTH, datetime.now(UTC), Decimal(40), Decimal(spent))
    shown = bar(purse)
    assert (shown.tone, shown.sentence) == (tone, says)
    assert Decimal(shown.width) <= 100


@pytest.mark.parametrize(
    ("usd", "told"),
    [("40", "$40.00"), ("0.0150", "$0.015"), ("0.1", "$0.10"), ("0.0001", "$0.0001")],
)
def test_dollars_have_two_places_and_more_where_there_is_less_than_a_cent(usd, told):
    assert dollars(Decimal(usd)) == told

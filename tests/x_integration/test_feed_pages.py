"""What a workspace reads, in the admin: every change is a button, and nothing that was typed is lost."""

import pytest
from django.urls import reverse
from django.utils import timezone

from tests.api import member
from tests.factories import WorkspaceFactory
from tests.worlds import WORKER
from x_integration.models import Feed
from x_integration.services import add_search, mentions_feed

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def team():
    """A workspace."""
    return WorkspaceFactory(slug="cafe")


@pytest.fixture
def browser(client, team):
    """Its owner, signed in."""
    client.force_login(member(team))
    return client


@pytest.fixture
def search(team):
    """What it searches for."""
    return add_search(team, "coffee", actor=WORKER, now=timezone.now())


def press(browser, name, feed=None, **form):
    args = [feed.pk] if feed else []
    answer = browser.post(reverse(f"admin:x_integration_feed_{name}", args=args), form, follow=True)
    assert answer.status_code == 200
    return answer, [str(message) for message in answer.context["messages"]]


def test_an_operator_saves_a_search(browser, team):
    _, said = press(browser, "add", workspace=team.pk, query='"flat white"')
    assert said == ["The search is saved, and read within two minutes."]
    assert Feed.objects.get().query == '"flat white"'


def test_a_query_that_x_would_refuse_is_shown_again_with_what_is_wrong(browser, team):
    answer, said = press(browser, "add", workspace=team.pk, query="lang:en")
    assert said[0].startswith("X does not search by filters alone")
    assert 'value="lang:en"' in answer.content.decode()
    assert not Feed.objects.exists()


def test_an_operator_searches_for_something_else(browser, search):
    press(browser, "query", search, query="tea")
    assert Feed.objects.get().query == "tea"


def test_a_change_that_is_refused_keeps_what_was_typed(browser, search):
    answer, said = press(browser, "query", search, query="(tea")
    assert said == ["A parenthesis is opened and not closed."]
    assert 'value="(tea"' in answer.content.decode()
    assert Feed.objects.get().query == "coffee"


def test_an_operator_switches_it_off_and_on(browser, search):
    assert press(browser, "switch", search, on="no")[1] == ["It is read no more."]
    assert not Feed.objects.get().is_on
    assert press(browser, "switch", search, on="yes")[1] == ["It is read within two minutes."]
    assert press(browser, "switch", search, on="yes")[1] == ["It was on before."]


def test_a_search_is_removed_after_it_was_asked_once_more(browser, search):
    answer, _ = press(browser, "remove", search)
    assert "Remove this search of cafe?" in answer.content.decode()
    assert Feed.objects.exists()
    assert press(browser, "remove", search, confirmed="yes")[1] == ["The search is removed."]
    assert not Feed.objects.exists()


def test_the_mentions_are_shown_and_can_be_switched_and_not_removed(browser, team):
    feed = mentions_feed(team, now=timezone.now())
    shown = browser.get(reverse("admin:x_integration_feed_change", args=[feed.pk]))
    assert b"mentions of the account" in shown.content
    assert b"Search for this instead" not in shown.content
    said = press(browser, "remove", feed, confirmed="yes")[1]
    assert (said, Feed.objects.count()) == (["There was no search to remove."], 1)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        ("", "none"),
        ("x_read_400", "X refuses this query: change it."),
        ("budget", "The budget for reading is used up: see Spend."),
        ("x_read_599", "x read 599"),
    ],
)
def test_the_list_says_in_words_what_went_wrong(browser, search, error, words):
    Feed.objects.update(last_error=error)
    shown = browser.get(reverse("admin:x_integration_feed_changelist")).content.decode()
    assert f'<td class="field-trouble">{words}</td>' in shown


def test_a_member_sees_the_search_and_has_no_button(client, team, search):
    client.force_login(member(team, "member"))
    page = client.get(reverse("admin:x_integration_feed_change", args=[search.pk]))
    assert b"coffee" in page.content
    assert b"Only an owner or admin of cafe" in page.content
    assert client.get(reverse("admin:x_integration_feed_add")).status_code == 403
    said = press(client, "remove", search)[1]
    assert said == ["Only an owner or admin of the workspace may do that."]


def test_a_member_here_who_operates_another_workspace_is_offered_that_one(client, team):
    clerk = member(team, "member")
    other = WorkspaceFactory()
    other.memberships.create(user=clerk, role="owner")
    client.force_login(clerk)
    form = client.get(reverse("admin:x_integration_feed_add")).context["form"]
    assert list(form.fields["workspace"].queryset) == [other]

"""The decisions of the item's page in the admin: offered where they can be made, and carried out."""

from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from publishing.models import OptOut, PublishAttempt, QueueItem
from publishing.services import hand_off_item
from publishing.states import State
from tests.worlds import operator
from workspaces.models import User


@pytest.fixture
def item(x):
    """A pending reply."""
    return x.pending(x.connected())


@pytest.fixture
def doubt(x):
    """An unconfirmed reply that stands nowhere, after the last look."""
    item = x.approved(x.connected())
    x.fault("status", status=500)
    item = x.publish(item)
    for minutes in (1, 3, 11):
        x.sweep(after=timedelta(minutes=minutes))
    return item


def browser(item: QueueItem) -> Client:
    """The browser of the item's operator."""
    client = Client()
    client.force_login(User.objects.get(memberships__workspace=item.workspace))
    return client


def page_of(item: QueueItem) -> str:
    """The item's page."""
    return reverse("admin:publishing_queueitem_change", args=[item.pk])


def offered(item: QueueItem) -> list[str]:
    """The decisions that the page offers, in order."""
    page = browser(item).get(page_of(item))
    return [decision.name for decision in page.context.get("decisions", [])]


def decide(item: QueueItem, decision: str, **typed: str) -> str:
    """Press the button as the page shows it now; the page that follows."""
    item.refresh_from_db()
    form = {"decision": decision, f"version-{item.pk}": str(item.version), **typed}
    page = browser(item).post(page_of(item), form, follow=True).content.decode()
    item.refresh_from_db()
    return page


def test_a_pending_item_offers_what_can_be_done_with_it(item):
    assert offered(item) == ["reject", "hand_off", "opt_out"]


def test_a_doubt_offers_nothing_but_finding_it_before_the_last_look(x):
    item = x.approved(x.connected())
    x.fault("status", status=500)
    assert offered(x.publish(item)) == ["confirm_found", "opt_out"]


def test_a_doubt_offers_to_resend_and_to_give_up_after_the_last_look(doubt):
    assert offered(doubt) == ["confirm_found", "resend", "give_up", "opt_out"]


def test_a_doubt_that_nobody_could_look_for_may_be_given_up_but_not_resent(x):
    item = x.approved(x.connected())
    x.fault("status", status=500)
    x.publish(item)
    PublishAttempt.objects.update(started_at=timezone.now() - timedelta(hours=25))
    assert offered(item) == ["confirm_found", "give_up", "opt_out"]


def test_the_list_says_which_item_needs_a_person(doubt):
    page = browser(doubt).get(reverse("admin:publishing_queueitem_changelist")).content.decode()
    assert "needs a person" in page


@pytest.mark.parametrize(("decision", "state"), [("give_up", "failed"), ("resend", "approved")])
def test_a_doubt_is_decided_with_a_reason(doubt, decision, state):
    assert "Say why" in decide(doubt, decision)
    assert doubt.state == State.UNCONFIRMED
    decide(doubt, decision, reason="Looked myself")
    assert (doubt.state, doubt.decision_reason) == (state, "Looked myself")


def test_a_person_who_found_the_post_says_which_it_is(x, doubt):
    target = doubt.source_post.x_post_id
    said = x.simulator.say("cafe", "Nearly the same words", in_reply_to=target)
    assert "No such post of ours" in decide(doubt, "confirm_found", post_id="12345")
    decide(doubt, "confirm_found", post_id=said["id"])
    assert (doubt.state, doubt.x_post_id) == (State.PUBLISHED, said["id"])


def test_what_failed_is_put_back(x):
    item = x.approved(x.connected())
    x.fault("status", status=400)
    item = x.publish(item)
    assert offered(item) == ["retry", "hand_off", "opt_out"]
    decide(item, "retry")
    assert item.state == State.PENDING


def test_a_hand_off_shows_the_way_to_x_and_can_be_taken_back(item):
    decide(item, "hand_off")
    assert item.state == State.HANDED_OFF
    page = browser(item).get(page_of(item)).content.decode()
    assert f"/intent/tweet?in_reply_to={item.source_post.x_post_id}&amp;text=" in page
    assert offered(item) == ["confirm_found", "take_back", "opt_out"]
    decide(item, "take_back")
    assert (item.state, item.version) == (State.PENDING, 2)


def test_a_hand_off_that_was_posted_is_not_taken_back(x, item):
    hand_off_item(item.pk, version=1, actor=operator(item.workspace), now=timezone.now())
    x.simulator.say("cafe", item.text, in_reply_to=item.source_post.x_post_id)
    assert "stands on X already" in decide(item, "take_back")
    assert item.state == State.PUBLISHED


def test_somebody_is_left_alone_and_answered_again(item):
    decide(item, "opt_out")
    opt_out = OptOut.objects.get()
    assert opt_out.author_id == item.source_post.author_id
    assert "opt_out" not in offered(item)
    assert "asked for no more replies" in browser(item).get(page_of(item)).content.decode()
    url = reverse("admin:publishing_optout_changelist")
    form = {"action": "answer_again", "_selected_action": [opt_out.pk]}
    assert "1 answered again" in browser(item).post(url, form, follow=True).content.decode()
    assert not OptOut.objects.exists()


def test_a_blocked_item_says_until_when(x):
    item = x.approved(x.connected())
    until = timezone.now() + timedelta(minutes=40)
    QueueItem.objects.update(blocked_reason="thread_cooldown", not_before=until)
    page = browser(item).get(page_of(item)).content.decode()
    assert f"thread cooldown, until {until:%Y-%m-%d %H:%M} UTC" in page


def test_what_only_people_end_is_asked_again_and_promises_no_end(x):
    item = x.approved(x.connected())
    again = timezone.now() + timedelta(minutes=1)
    QueueItem.objects.update(blocked_reason="workspace_paused", not_before=again)
    page = browser(item).get(page_of(item)).content.decode()
    assert f"workspace paused, asked again at {again:%Y-%m-%d %H:%M} UTC" in page


def test_a_doubt_says_how_often_it_was_looked_for(doubt):
    page = browser(doubt).get(page_of(doubt)).content.decode()
    assert "X answered 500" in page
    assert "looked at 3 times, without finding it" in page
    assert "Next look" not in page


def test_the_price_stands_on_the_page(item):
    page = browser(item).get(page_of(item)).content.decode()
    assert "$0.010 (summoned reply)" in page


@pytest.mark.parametrize("decision", ["", "claim", "publish", "confirm", "no such"])
def test_what_is_no_decision_of_a_person_is_refused(item, decision):
    assert "not a decision" in decide(item, decision)
    assert item.state == State.PENDING

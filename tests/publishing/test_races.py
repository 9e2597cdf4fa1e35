"""Several executors at once: each item goes out once, and what must wait waits."""

from time import time

import pytest
from django.db.models import Count

from publishing.models import PublishAttempt, QueueItem
from publishing.states import Outcome, State
from tests import races
from tests.books import check_books
from workspaces.models import Counter, Workspace

pytestmark = pytest.mark.slow

WORKSPACES, ITEMS_EACH = 50, 10


def test_two_workers_that_both_asked_the_gates_send_an_item_once(x, mortals):
    races.two_on_one_item(x, mortals)


def test_a_pause_just_before_the_claim_holds_the_item_back(x, mortals):
    races.a_pause_before_the_claim(x, mortals)


def test_of_two_replies_to_one_thread_one_goes_and_one_waits_for_the_cooldown(x, mortals):
    races.two_replies_to_one_thread(x, mortals)


@pytest.mark.parametrize("stop", ["kill_switch", "pause"])
def test_a_claim_that_waited_sends_nothing_after_a_stop_has_answered(x, mortals, stop):
    races.a_stop_while_a_claim_waits(x, mortals, stop)


def test_a_text_that_changed_after_the_yes_does_not_go_out(x, mortals):
    races.a_text_changed_after_the_yes(x, mortals)


def test_a_doubt_is_looked_for_and_never_sent_again_by_itself(x, mortals):
    races.a_doubt_meets_the_sweep(x, mortals)


@pytest.fixture
def five_hundred(x):
    """Approved replies to ten people each, in many workspaces."""
    workspaces = [x.connected(f"brand{number}") for number in range(WORKSPACES)]
    return [item for each in workspaces for item in races.approved_replies(x, each, ITEMS_EACH)]


def test_two_executors_publish_each_of_five_hundred_items_once(x, mortals, five_hundred):
    executors = [mortals.start("publish_all", time() + 5) for _ in range(2)]
    did = [executor.wait(seconds=120).returned for executor in executors]
    # Both try for what is left when they look. Who comes to a workspace second may be second all along.
    assert min(each["claimed"] for each in did) >= len(five_hundred) / 5, "they did not race"
    assert sum(each["made"] for each in did) == len(x.machine_posts()) == len(five_hundred)
    answered = {post["in_reply_to"] for post in x.machine_posts()}
    assert answered == {item.source_post.x_post_id for item in five_hundred}
    assert not QueueItem.objects.exclude(state=State.PUBLISHED).exists()
    tried = PublishAttempt.objects.exclude(outcome=Outcome.NOT_EXECUTED)  # a claim may run out
    assert list(tried.values_list("outcome").annotate(Count("pk")).order_by()) == [
        (Outcome.SUCCEEDED, len(five_hundred))
    ]
    counted = Counter.objects.filter(name="replies_published_total").values_list("value", flat=True)
    assert sum(counted) == len(five_hundred)
    check_books(x, Workspace.objects.all())

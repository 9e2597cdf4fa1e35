"""Two items for one post: the first was given up and stands on X after all, whatever became of it."""

import pytest
from django.utils import timezone

from publishing.errors import Blocked
from publishing.models import QueueItem
from publishing.services import (
    approve_item,
    compare_counters,
    give_up_item,
    hand_off_item,
    propose_item,
    reject_item,
    retry_item,
)
from publishing.states import State
from tests.publishing.test_doubts import decide, look_late, seen_in_vain, stands
from tests.worlds import attempts, operator
from workspaces.models import Alarm, AuditEvent


@pytest.fixture
def given_up(x):
    """A reply of which nothing was seen on X, and which a person gave up."""
    item = x.approved(x.connected())
    x.fault("status", status=500)
    x.publish(item)
    return decide(give_up_item, seen_in_vain(item, hours=1), reason="Gone")


def rival_of(item: QueueItem) -> QueueItem:
    """Another reply to the same post, approved."""
    rival = propose_item(
        item.workspace,
        source_post=item.source_post,
        text="In other words",
        actor=operator(item.workspace),
        now=timezone.now(),
    )
    return decide(approve_item, rival)


def alarms() -> list[str]:
    return list(Alarm.objects.filter(over_at=None).values_list("kind", flat=True))


def test_what_was_found_late_keeps_its_rival_from_going_out(x, given_up):
    rival = rival_of(given_up)
    post = stands(x, given_up, after=1)
    look_late(x, given_up)
    assert x.publish(rival).blocked_reason == "duplicate"
    assert [each["id"] for each in x.machine_posts()] == [post]
    assert (given_up.state, attempts(given_up), alarms()) == (
        "failed",
        ["abandoned"],
        ["late_match"],
    )
    assert compare_counters() == []


def test_it_is_told_once(x, given_up):
    rival_of(given_up)
    post = stands(x, given_up, after=1)
    for _ in range(3):
        look_late(x, given_up)
    told = AuditEvent.objects.get(type="item.late_match")
    assert told.data == {"attempt": 1, "state": "failed", "x_post_id": post}


def test_beside_a_rival_that_is_published_there_are_two_posts(x, given_up):
    assert x.publish(rival_of(given_up)).state == State.PUBLISHED
    stands(x, given_up, after=1)
    look_late(x, given_up)
    assert "published_twice" in alarms()


def test_nobody_answers_by_hand_what_was_found_late(x, given_up):
    """As the machine, which its gate holds back."""
    decide(retry_item, given_up)
    decide(reject_item, given_up, reason="Not after all")
    stands(x, given_up, after=1)
    look_late(x, given_up)
    rival = rival_of(given_up)
    with pytest.raises(Blocked) as raised:
        decide(hand_off_item, rival)
    assert raised.value.code == "duplicate"

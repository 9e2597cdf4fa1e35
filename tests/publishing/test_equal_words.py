"""Two items that say the same: a post on X is found for the one whose try made it."""

from datetime import timedelta

import pytest
from django.utils import timezone

from publishing.models import PublishAttempt, QueueItem
from publishing.services import (
    approve_item,
    claim_item,
    compare_counters,
    give_up_item,
    hand_off_item,
    propose_item,
    reject_item,
    retry_item,
    settle_attempt,
)
from publishing.states import State
from tests.publishing.test_doubts import decide, look_late, seen_in_vain
from tests.worlds import WORKER, attempts, operator
from workspaces.models import Alarm, Workspace
from x_integration.models import SourcePost

WORDS = "The bar is open!"


@pytest.fixture
def cafe(x):
    """A connected workspace."""
    return x.connected()


def proposed(cafe: Workspace, answering: SourcePost | None = None) -> QueueItem:
    """The words, pending."""
    who, now = operator(cafe), timezone.now()
    return propose_item(cafe, text=WORDS, source_post=answering, actor=who, now=now)


def given_up(x, cafe: Workspace, answering: SourcePost | None = None) -> QueueItem:
    """A try of which nothing was seen on X, and which a person gave up."""
    item = decide(approve_item, proposed(cafe, answering))
    x.fault("status", status=500)
    x.publish(item)
    return decide(give_up_item, seen_in_vain(item, hours=1), reason="Gone")


def in_flight(cafe: Workspace, answering: SourcePost | None = None) -> PublishAttempt:
    """Another item's try with the same words, whose answer has not come yet."""
    item = decide(approve_item, proposed(cafe, answering))
    attempt = claim_item(item.pk, actor=WORKER, now=timezone.now())
    assert attempt is not None
    return attempt


def said(x, answering: SourcePost | None = None, *, source: str = "api") -> str:
    """The words stand on X; the post's id."""
    target = {"in_reply_to": answering.x_post_id} if answering else {}
    return str(x.simulator.say("cafe", WORDS, source=source, **target)["id"])


def settled(attempt: PublishAttempt, post: str) -> QueueItem:
    """X's answer comes after all."""
    now = timezone.now()
    settle_attempt(attempt.pk, "confirm", actor=WORKER, now=now, x_post_id=post)
    return QueueItem.objects.get(pk=attempt.item_id)


@pytest.mark.parametrize("kind", ["post", "reply"])
def test_a_late_look_leaves_the_post_of_another_items_try_in_flight_alone(x, cafe, kind):
    post = x.heard(cafe, by="lia") if kind == "reply" else None
    old = given_up(x, cafe, post)
    attempt = in_flight(cafe, post)
    made = said(x, post)
    look_late(x, old)
    assert (old.state, attempts(old)) == (State.FAILED, ["abandoned"])
    assert settled(attempt, made).state == State.PUBLISHED
    look_late(x, old)
    assert (old.state, Alarm.objects.count()) == (State.FAILED, 0)
    assert compare_counters() == []


def test_a_late_look_leaves_the_post_of_another_items_doubt_to_its_own_look(x, cafe):
    old = given_up(x, cafe)
    doubt = decide(approve_item, proposed(cafe))
    x.fault("lost_answer")
    x.publish(doubt)
    PublishAttempt.objects.filter(item=old).update(next_look_at=timezone.now())
    assert x.sweep(after=timedelta(seconds=20)).confirmed == 1
    doubt.refresh_from_db()
    old.refresh_from_db()
    assert (doubt.state, old.state) == (State.PUBLISHED, State.FAILED)


def test_a_doubt_that_nobody_looks_for_any_more_leaves_the_post_to_who_does(x, cafe):
    old = given_up(x, cafe)
    doubt = decide(approve_item, proposed(cafe))
    x.fault("lost_answer")
    x.publish(doubt)
    PublishAttempt.objects.filter(item=doubt).update(looks=3, next_look_at=None)
    look_late(x, old)
    assert old.state == State.PUBLISHED


def test_a_hand_off_is_not_what_a_machines_try_in_flight_posts(x, cafe):
    handed = decide(hand_off_item, proposed(cafe))
    attempt = in_flight(cafe)
    made = said(x)
    look_late(x, handed)
    assert handed.state == State.HANDED_OFF
    assert settled(attempt, made).state == State.PUBLISHED


def test_a_hand_off_that_a_person_posted_is_found_beside_a_machines_try_in_flight(x, cafe):
    handed = decide(hand_off_item, proposed(cafe))
    in_flight(cafe)
    made = said(x, source="web")
    look_late(x, handed)
    assert (handed.state, handed.x_post_id) == (State.PUBLISHED, made)


def test_what_a_person_posts_for_another_item_is_not_the_old_try(x, cafe):
    post = x.heard(cafe, by="lia")
    old = given_up(x, cafe, post)
    handed = decide(hand_off_item, proposed(cafe, post))
    made = said(x, post, source="web")
    look_late(x, old)
    assert (old.state, Alarm.objects.count()) == (State.FAILED, 0)
    PublishAttempt.objects.filter(item=handed).update(next_look_at=timezone.now())
    x.sweep()
    handed.refresh_from_db()
    assert (handed.state, handed.x_post_id) == (State.PUBLISHED, made)


def test_what_was_found_late_is_not_said_again_within_a_day(x, cafe):
    """The first item was rejected; its post stands all the same."""
    old = given_up(x, cafe)
    decide(retry_item, old)
    decide(reject_item, old, reason="Not after all")
    attempt = PublishAttempt.objects.get(item=old)
    begun = attempt.started_at + timedelta(seconds=1)
    x.simulator.say("cafe", WORDS, source="api", created_at=begun.isoformat())
    look_late(x, old)
    again = x.publish(decide(approve_item, proposed(cafe)))
    assert (again.state, again.blocked_reason) == (State.APPROVED, "duplicate")
    assert again.not_before == attempt.started_at + timedelta(days=1)
    assert len(x.machine_posts()) == 1


def test_a_post_from_before_the_other_try_is_the_old_one_s(x, cafe):
    old = given_up(x, cafe)
    begun = PublishAttempt.objects.get(item=old).started_at + timedelta(seconds=1)
    made = x.simulator.say("cafe", WORDS, source="api", created_at=begun.isoformat())["id"]
    in_flight(cafe)
    look_late(x, old)
    assert (old.state, old.x_post_id) == (State.PUBLISHED, made)

"""Whose post is it? A doubt given up, sent again, handed off, taken back; and what comes to light later."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db.models import F
from django.utils import timezone

from publishing.errors import AlreadyPosted, StillLooking, WrongState
from publishing.models import PublishAttempt, QueueItem
from publishing.services import (
    approve_item,
    claim_item,
    compare_counters,
    edit_item,
    give_up_item,
    hand_off_item,
    propose_item,
    reject_item,
    resend_item,
    retry_item,
    settle_attempt,
    take_back_item,
)
from publishing.states import Outcome, State
from tests.worlds import WORKER, attempts, operator
from workspaces.models import Alarm, AuditEvent, Counter
from x_integration.client import XClient

SOON = timedelta(seconds=20)
LATE_LOOKS_HOURS = (1, 6, 24, 72)  # each after the one before


@pytest.fixture
def doubt(x):
    """A reply in doubt since a good hour ago, of which nothing stands on X."""
    item = x.approved(x.connected())
    x.fault("status", status=500)
    x.publish(item)
    return seen_in_vain(item, hours=1)


def seen_in_vain(item: QueueItem, *, hours: float) -> QueueItem:
    """Every try of the item lies so much further back, and each look for a doubt was made."""
    long = timedelta(hours=hours)
    tries = PublishAttempt.objects.filter(item=item)
    tries.update(started_at=F("started_at") - long, settled_at=F("settled_at") - long)
    tries.filter(outcome=Outcome.UNKNOWN).update(looks=3, next_look_at=None)
    item.refresh_from_db()
    return item


def decide(service, item: QueueItem, **more) -> QueueItem:
    """A decision of the owner about the item as it is."""
    item.refresh_from_db()
    who = operator(item.workspace)
    service(item.pk, version=item.version, actor=who, now=timezone.now(), **more)
    item.refresh_from_db()
    return item


def resent(x, item, kind="status", **fault):
    """Sent again by a person; X's answer leaves a doubt."""
    decide(resend_item, item, reason="Looked myself")
    x.fault(kind, **(fault or ({"status": 500} if kind == "status" else {})))
    return x.publish(item)


def handed_off(item: QueueItem) -> QueueItem:
    return decide(hand_off_item, item)


def taken_back(item: QueueItem) -> QueueItem:
    item.refresh_from_db()
    who = operator(item.workspace)
    take_back_item(item.pk, version=item.version, x=XClient(), actor=who, clock=timezone.now)
    item.refresh_from_db()
    return item


def stands(x, item, *, after, source="api"):
    """Our words stand on X since a moment after the item's try of that number began; the post's id."""
    begun = PublishAttempt.objects.get(item=item, number=after).started_at
    return x.simulator.say(
        "cafe",
        item.text,
        in_reply_to=item.source_post.x_post_id,
        source=source,
        created_at=min(begun + timedelta(seconds=1), timezone.now()).isoformat(),
    )["id"]


def look_late(x, item: QueueItem, number: int = 1) -> None:
    """The look for that try is the one that is due."""
    tries = PublishAttempt.objects.filter(item=item)
    tries.update(next_look_at=None)
    tries.filter(number=number).update(next_look_at=timezone.now())
    x.sweep()
    item.refresh_from_db()


def counted(name: str) -> int:
    return sum(int(row.value) for row in Counter.objects.filter(name=name))


def published_as(item: QueueItem, post: str, outcomes: list[str]) -> None:
    """It is published as that post, once, and every try has ended."""
    item.refresh_from_db()
    assert (item.state, item.x_post_id, attempts(item)) == (State.PUBLISHED, post, outcomes)
    open_ = [Outcome.UNKNOWN, Outcome.IN_FLIGHT, Outcome.HANDED_OFF]
    assert not item.attempts.filter(outcome__in=open_).exists()
    published = counted("replies_published_total") + counted("handed_off_published_total")
    assert published == 1
    assert compare_counters() == []


# --- Giving up and sending again ------------------------------------------------------------------


@pytest.mark.parametrize("service", [give_up_item, resend_item])
@pytest.mark.parametrize("looks", [0, 1, 2])
def test_a_doubt_is_not_decided_before_the_last_look(doubt, service, looks):
    PublishAttempt.objects.update(looks=looks)
    with pytest.raises(StillLooking):
        decide(service, doubt, reason="No patience")
    doubt.refresh_from_db()
    assert (doubt.state, attempts(doubt)) == (State.UNCONFIRMED, ["unknown"])


def test_a_doubt_that_nobody_could_look_for_is_not_given_up_before_a_day_is_over(doubt):
    seen_in_vain(doubt, hours=22.9)
    PublishAttempt.objects.update(looks=0)
    with pytest.raises(StillLooking):
        decide(give_up_item, doubt, reason="X is away")


def test_a_doubt_that_nobody_could_look_for_a_day_long_is_given_up_and_never_resent(doubt):
    seen_in_vain(doubt, hours=24)
    PublishAttempt.objects.update(looks=0)
    with pytest.raises(StillLooking):
        decide(resend_item, doubt, reason="X is away")
    assert decide(give_up_item, doubt, reason="X is away").state == State.FAILED


ABANDONED = {
    "given up": lambda x, item: decide(give_up_item, item, reason="Gone"),
    "given up unseen": lambda x, item: _given_up_unseen(item),
    "sent again": lambda x, item: decide(resend_item, item, reason="Gone"),
    "taken back": lambda x, item: taken_back(
        handed_off(decide(give_up_item, item, reason="By hand"))
    ),
    "ended by a late match": lambda x, item: _ended(x, item),
}


def _given_up_unseen(item):
    seen_in_vain(item, hours=24)
    PublishAttempt.objects.update(looks=0)
    decide(give_up_item, item, reason="X is away")


def _ended(x, item):
    resent(x, item)
    stands(x, item, after=1)
    look_late(x, item)


@pytest.mark.parametrize("how", ABANDONED)
def test_whatever_is_abandoned_is_looked_for_late_by_one_plan(x, doubt, how):
    ABANDONED[how](x, doubt)
    attempt = doubt.attempts.filter(outcome=Outcome.ABANDONED).latest("number")
    PublishAttempt.objects.exclude(pk=attempt.pk).update(next_look_at=None)
    PublishAttempt.objects.update(started_at=timezone.now() - timedelta(hours=1))
    then = timezone.now()
    for hours in LATE_LOOKS_HOURS:
        attempt.refresh_from_db()
        assert abs(attempt.next_look_at - then - timedelta(hours=hours)) < timedelta(minutes=1)
        then = attempt.next_look_at
        x.sweep(after=then - timezone.now())
    attempt.refresh_from_db()
    assert (attempt.looks, attempt.next_look_at) == (3 + len(LATE_LOOKS_HOURS), None)


# --- Who made it ----------------------------------------------------------------------------------


def test_a_resend_that_x_refuses_as_a_duplicate_proves_the_first_try(x, doubt):
    resent(x, doubt, "duplicate")
    post = stands(x, doubt, after=1)
    x.sweep(after=SOON)
    published_as(doubt, post, ["succeeded", "refused"])


def test_a_refusal_as_a_duplicate_made_nothing_even_after_it_was_given_up(x, doubt):
    resent(x, doubt, "duplicate")
    resent(x, seen_in_vain(doubt, hours=1), "duplicate")
    post = stands(x, doubt, after=1)
    x.sweep(after=SOON)
    published_as(doubt, post, ["succeeded", "abandoned", "refused"])


def test_of_several_that_were_given_up_the_last_before_the_post_made_it(x, doubt, settings):
    settings.MAX_CONSECUTIVE_PUBLISH_FAILURES = 9
    for _ in range(2):
        resent(x, doubt)
        seen_in_vain(doubt, hours=1)
    decide(resend_item, doubt, reason="Once more")
    x.fault("duplicate")
    x.publish(doubt)
    post = stands(x, doubt, after=2)
    x.sweep(after=SOON)
    published_as(doubt, post, ["abandoned", "succeeded", "abandoned", "refused"])


def test_a_post_older_than_the_resend_is_the_first_try_s(x, doubt):
    resent(x, doubt)
    post = stands(x, doubt, after=1)
    x.sweep(after=SOON)
    published_as(doubt, post, ["succeeded", "abandoned"])


def test_a_post_younger_than_the_resend_is_the_resend_s_whoever_finds_it(x, doubt):
    """The late look for the first try comes before the first look for the resend."""
    resent(x, doubt)
    post = stands(x, doubt, after=2)
    look_late(x, doubt, number=1)
    published_as(doubt, post, ["abandoned", "succeeded"])


def test_a_first_try_whose_duplicate_stands_there_by_a_person_is_that_post(x):
    """Nothing else of the item could have made it: the item is published all the same."""
    item = x.approved(x.connected())
    x.fault("duplicate")
    x.publish(item)
    post = stands(x, item, after=1, source="web")
    x.sweep(after=SOON)
    published_as(item, post, ["succeeded"])


def test_a_clock_of_x_that_is_behind_ours_hides_no_post(x):
    item = x.approved(x.connected())
    x.fault("status", status=500)
    x.publish(item)
    begun = PublishAttempt.objects.get().started_at - timedelta(seconds=40)
    target = item.source_post.x_post_id
    post = x.simulator.say(
        "cafe", item.text, in_reply_to=target, source="api", created_at=begun.isoformat()
    )
    x.sweep(after=SOON)
    published_as(item, post["id"], ["succeeded"])


@pytest.fixture
def by_both(x):
    """Handed off, taken back, approved with the same words, and sent by us: in doubt."""
    item = x.pending(x.connected())
    taken_back(handed_off(item))
    decide(approve_item, item)
    x.fault("status", status=500)
    return x.publish(item)


@pytest.mark.parametrize(
    ("source", "outcomes", "counter"),
    [
        ("web", ["succeeded", "abandoned"], "handed_off_published_total"),
        ("api", ["abandoned", "succeeded"], "replies_published_total"),
    ],
)
def test_after_a_hand_off_and_a_send_the_client_that_x_names_tells_who_posted(
    x, by_both, source, outcomes, counter
):
    post = stands(x, by_both, after=2, source=source)
    x.sweep(after=SOON)
    published_as(by_both, post, outcomes)
    assert counted(counter) == 1


def test_a_post_from_before_the_send_is_the_hand_off_s(x, by_both):
    PublishAttempt.objects.filter(number=1).update(started_at=F("started_at") - timedelta(hours=1))
    post = stands(x, by_both, after=1, source="web")
    x.sweep(after=SOON)
    published_as(by_both, post, ["succeeded", "abandoned"])


def test_a_hand_off_that_a_person_posted_is_not_the_old_try_that_is_looked_for(x, doubt):
    decide(give_up_item, doubt, reason="By hand then")
    handed_off(doubt)
    post = stands(x, doubt, after=2, source="web")
    look_late(x, doubt, number=1)
    published_as(doubt, post, ["abandoned", "succeeded"])
    assert counted("handed_off_published_total") == 1


def test_an_old_try_found_while_the_item_is_handed_off_ends_the_hand_off(x, doubt):
    decide(give_up_item, doubt, reason="By hand then")
    handed_off(doubt)
    post = stands(x, doubt, after=1)
    look_late(x, doubt, number=1)
    published_as(doubt, post, ["succeeded", "abandoned"])
    assert not doubt.approvals.filter(voided_at=None, used_at=None).exists()
    assert Alarm.objects.get(over_at=None).kind == "late_match"


def test_a_second_post_beside_the_published_one_is_an_alarm_and_the_first_is_none(x, doubt):
    resent(x, doubt)
    stands(x, doubt, after=2)
    look_late(x, doubt, number=2)
    look_late(x, doubt, number=1)
    assert not Alarm.objects.filter(kind="published_twice").exists()
    stands(x, doubt, after=1)
    look_late(x, doubt, number=1)
    assert Alarm.objects.get(over_at=None).kind == "published_twice"
    assert doubt.state == State.PUBLISHED


# --- Late matches ---------------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["failed", "pending", "approved"])
def test_a_late_match_publishes_the_item_and_opens_an_incident(x, doubt, state):
    decide(give_up_item, doubt, reason="Gone")
    if state != "failed":
        decide(retry_item, doubt)
    if state == "approved":
        decide(approve_item, doubt)
    assert doubt.state == state
    post = stands(x, doubt, after=1)
    look_late(x, doubt)
    published_as(doubt, post, ["succeeded"])
    assert AuditEvent.objects.get(type="item.confirm").data["late"] is True
    assert Alarm.objects.get(over_at=None).kind == "late_match"
    assert not doubt.approvals.filter(voided_at=None, used_at=None).exists()


def test_nothing_is_confirmed_over_a_try_in_flight(x, doubt):
    decide(resend_item, doubt, reason="Gone")
    claim_item(doubt.pk, actor=WORKER, now=timezone.now())
    post = stands(x, doubt, after=1)
    look_late(x, doubt)
    assert (doubt.state, attempts(doubt)) == (State.PUBLISHING, ["abandoned", "in_flight"])
    assert PublishAttempt.objects.filter(number=1, next_look_at__gt=timezone.now()).exists()
    x.sweep(after=timedelta(seconds=130))  # the worker is gone: a doubt, and the late look again
    published_as(doubt, post, ["succeeded", "abandoned"])


def test_a_slow_answer_to_a_try_that_was_given_up_is_not_settled_over_one_in_flight(x, doubt):
    decide(resend_item, doubt, reason="Gone")
    claim_item(doubt.pk, actor=WORKER, now=timezone.now())
    first = PublishAttempt.objects.get(number=1)
    for move, post in (("confirm", "7"), ("fail", ""), ("release", ""), ("doubt", "")):
        with pytest.raises(WrongState):
            settle_attempt(first.pk, move, actor=WORKER, now=timezone.now(), x_post_id=post)
    assert attempts(doubt) == ["abandoned", "in_flight"]


def _rejected(item):
    decide(retry_item, item)
    decide(reject_item, item, reason="Not after all")


def _expired(x, item):
    decide(retry_item, item)
    QueueItem.objects.update(relevant_until=timezone.now())
    x.sweep()
    item.refresh_from_db()
    QueueItem.objects.update(relevant_until=None)


@pytest.mark.parametrize("state", ["rejected", "expired"])
def test_a_late_match_of_what_was_decided_otherwise_is_told_once_and_moves_nothing(x, doubt, state):
    decide(give_up_item, doubt, reason="Gone")
    _rejected(doubt) if state == "rejected" else _expired(x, doubt)
    post = stands(x, doubt, after=1)
    for _ in range(3):
        look_late(x, doubt)
    assert (doubt.state, attempts(doubt)) == (state, ["abandoned"])
    told = AuditEvent.objects.get(type="item.late_match")
    assert told.data == {"attempt": 1, "state": state, "x_post_id": post}
    assert told.subject == doubt.subject
    assert Alarm.objects.get(over_at=None).kind == "late_match"
    assert compare_counters() == []


def test_what_was_found_late_answers_its_post_for_good(x, doubt):
    """The item was rejected, and stands: another one for the same post is held back as a duplicate."""
    decide(give_up_item, doubt, reason="Gone")
    _rejected(doubt)
    stands(x, doubt, after=1)
    look_late(x, doubt)
    post, person = doubt.source_post, operator(doubt.workspace)
    again = propose_item(
        doubt.workspace,
        source_post=post,
        text="In other words",
        actor=person,
        now=timezone.now(),
    )
    decide(approve_item, again)
    assert x.publish(again).blocked_reason == "duplicate"
    assert len(x.machine_posts()) == 1


def test_an_alarm_that_a_person_closed_is_not_raised_again_by_the_same_post(x, doubt):
    decide(give_up_item, doubt, reason="Gone")
    _rejected(doubt)
    stands(x, doubt, after=1)
    look_late(x, doubt)
    Alarm.objects.update(over_at=timezone.now())
    look_late(x, doubt)
    assert not Alarm.objects.filter(over_at=None).exists()


def test_two_tries_that_could_have_made_it_are_one_late_match(x, doubt):
    resent(x, doubt)
    seen_in_vain(doubt, hours=1)
    decide(give_up_item, doubt, reason="Gone")
    _rejected(doubt)
    stands(x, doubt, after=1)
    for number in (1, 2, 1):
        look_late(x, doubt, number=number)
    assert AuditEvent.objects.filter(type="item.late_match").count() == 1


def test_what_was_found_on_x_after_it_expired_is_not_put_back_into_the_queue(x, doubt):
    decide(give_up_item, doubt, reason="Gone")
    _expired(x, doubt)
    stands(x, doubt, after=1)
    look_late(x, doubt)
    with pytest.raises(AlreadyPosted, match="#1 stands on X already"):
        decide(retry_item, doubt)
    doubt.refresh_from_db()
    assert doubt.state == State.EXPIRED


def test_other_words_of_the_same_item_are_another_post(x, doubt):
    """The first try said something else: its post is found by its own words, and ends the resend."""
    decide(give_up_item, doubt, reason="Gone")
    decide(retry_item, doubt)
    first_words = doubt.text
    decide(edit_item, doubt, text="Something else entirely")
    decide(approve_item, doubt)
    x.fault("status", status=500)
    x.publish(doubt)
    begun = datetime.now(UTC).isoformat()
    post = x.simulator.say(
        "cafe",
        first_words,
        in_reply_to=doubt.source_post.x_post_id,
        source="api",
        created_at=begun,
    )
    x.sweep(after=SOON)
    doubt.refresh_from_db()
    assert doubt.state == State.UNCONFIRMED
    look_late(x, doubt, number=1)
    published_as(doubt, post["id"], ["succeeded", "abandoned"])

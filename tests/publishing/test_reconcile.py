"""Doubts: looked for three times, settled by what stands on X, never sent again by the machine."""

from datetime import timedelta

import pytest
from django.db.models import F
from django.utils import timezone

from publishing.errors import NotOnOurTimeline
from publishing.models import PublishAttempt, QueueItem
from publishing.services import approve_item, settle_attempt
from publishing.states import State
from tests.acts import say_which
from tests.worlds import WORKER, attempts, operator
from workspaces.models import Counter
from x_integration.models import XAccount


@pytest.fixture
def doubt(x):
    """An unconfirmed item of which nothing stands on X."""
    item = x.approved(x.connected())
    x.fault("status", status=500)
    return x.publish(item)


@pytest.fixture
def hidden(x):
    """An unconfirmed item that X published, though nobody was told."""
    item = x.approved(x.connected())
    x.fault("lost_answer")
    return x.publish(item)


def timeline(item: QueueItem) -> str:
    """The path of the account's own timeline."""
    return f"/2/users/{item.workspace.x_account.x_user_id}/tweets"


def test_nobody_looks_before_fifteen_seconds(x, hidden):
    x.sweep(after=timedelta(seconds=10))
    assert x.calls("GET", timeline(hidden)) == []


def test_three_looks_and_then_a_person(x, doubt):
    seen = []
    for after in (20, 60, 130, 140, 605, 700, 5000):
        x.sweep(after=timedelta(seconds=after))
        seen.append(len(x.calls("GET", timeline(doubt))))
    doubt.refresh_from_db()
    assert seen == [1, 1, 2, 2, 3, 3, 3]
    assert (doubt.state, doubt.needs_person) == (State.UNCONFIRMED, True)


def test_the_looks_are_due_after_fifteen_seconds_two_minutes_and_ten(x, doubt):
    for due in (timedelta(seconds=15), timedelta(minutes=2), timedelta(minutes=10)):
        assert PublishAttempt.objects.filter(next_look_at=F("started_at") + due).exists()
        x.sweep(after=due + timedelta(seconds=5))
    assert PublishAttempt.objects.get().next_look_at is None


def test_a_look_that_failed_is_tried_again_and_counts_for_nothing(x, hidden):
    x.fault("status", method="GET", path=timeline(hidden), status=503)
    assert x.sweep(after=timedelta(seconds=20)).not_seen == 1
    assert PublishAttempt.objects.get().looks == 0
    assert x.sweep(after=timedelta(seconds=90)).confirmed == 1


def test_a_day_without_a_look_is_flagged_for_a_person(x, hidden):
    x.fault("status", method="GET", path=timeline(hidden), status=503, times=2)
    x.sweep(after=timedelta(hours=23))
    assert not QueueItem.objects.get().needs_person
    x.sweep(after=timedelta(hours=25))
    hidden.refresh_from_db()
    assert (hidden.state, hidden.needs_person) == (State.UNCONFIRMED, True)


def test_a_found_post_counts_once_however_often_it_is_looked_for(x, hidden):
    for seconds in (20, 90, 140, 700):
        x.sweep(after=timedelta(seconds=seconds))
    hidden.refresh_from_db()
    assert (hidden.state, attempts(hidden)) == (State.PUBLISHED, ["succeeded"])
    assert Counter.objects.get(name="replies_published_total").value == 1
    assert Counter.objects.get(name="unconfirmed_total").labels == "settled=published"


def test_what_is_found_after_all_waits_for_nobody_any_more(x, doubt):
    for seconds in (20, 130, 610):
        x.sweep(after=timedelta(seconds=seconds))
    doubt.refresh_from_db()
    assert doubt.needs_person
    post = x.simulator.say("cafe", doubt.text, in_reply_to=doubt.source_post.x_post_id)["id"]
    say_which(doubt, post)
    doubt.refresh_from_db()
    assert (doubt.state, doubt.needs_person) == (State.PUBLISHED, False)


def test_a_post_that_answers_somebody_else_is_not_said_to_be_it(x, doubt):
    other = x.mention(doubt.workspace, by="rui")
    post = x.simulator.say("cafe", doubt.text, in_reply_to=other["id"])["id"]
    with pytest.raises(NotOnOurTimeline):
        say_which(doubt, post)


def test_the_same_text_under_another_post_is_not_it(x, doubt):
    other = x.mention(doubt.workspace, by="rui")
    x.simulator.say("cafe", doubt.text, in_reply_to=other["id"])
    assert x.sweep(after=timedelta(seconds=20)).not_found == 1


def test_another_text_under_the_same_post_is_not_it(x, doubt):
    x.simulator.say("cafe", "Something else", in_reply_to=doubt.source_post.x_post_id)
    assert x.sweep(after=timedelta(seconds=20)).not_found == 1


def test_a_post_from_before_the_first_try_is_not_it(x, doubt):
    before = (timezone.now() - timedelta(minutes=2)).isoformat()
    x.simulator.say("cafe", doubt.text, in_reply_to=doubt.source_post.x_post_id, created_at=before)
    assert x.sweep(after=timedelta(seconds=20)).not_found == 1


def test_of_two_that_say_the_same_the_older_one_is_it(x, hidden):
    target = hidden.source_post.x_post_id
    (ours,) = x.machine_posts()
    x.simulator.say("cafe", hidden.text, in_reply_to=target, source="web")
    x.sweep(after=timedelta(seconds=20))
    hidden.refresh_from_db()
    assert (hidden.state, hidden.x_post_id) == (State.PUBLISHED, ours["id"])


def test_a_post_that_belongs_to_another_item_is_not_it(x, doubt):
    post = x.simulator.say("cafe", doubt.text, in_reply_to=doubt.source_post.x_post_id)
    other = x.approved(doubt.workspace, by="rui")
    QueueItem.objects.filter(pk=other.pk).update(state=State.PUBLISHED, x_post_id=post["id"])
    assert x.sweep(after=timedelta(seconds=20)).not_found == 1


@pytest.mark.parametrize(
    "text",
    [
        "Tea & cake <3 at https://cafe.example/menu/?a=1&b=2 today",
        "Cafe\u0301 time \U0001f468\u200d\U0001f373",
        "two\n\nlines   and spaces ",
    ],
)
def test_a_text_that_x_rewrites_is_recognised(x, text):
    item = x.pending(x.connected())
    QueueItem.objects.update(text=text)
    approve_item(item.pk, version=1, actor=operator(item.workspace), now=timezone.now())
    x.fault("lost_answer")
    x.publish(item)
    assert x.sweep(after=timedelta(seconds=20)).confirmed == 1


def test_a_slow_worker_settles_after_the_sweep_doubted(x, hidden):
    """The sweep was first; the worker's own answer then confirms the doubt, once."""
    attempt = PublishAttempt.objects.get()
    settle_attempt(
        attempt.pk,
        "confirm",
        actor=WORKER,
        now=timezone.now(),
        x_post_id=x.machine_posts()[0]["id"],
    )
    x.sweep(after=timedelta(seconds=20))
    assert Counter.objects.get(name="replies_published_total").value == 1


def test_another_account_on_the_workspace_cannot_settle_a_doubt(x, hidden):
    XAccount.objects.update(x_user_id="999")
    assert x.sweep(after=timedelta(seconds=20)).not_seen == 1


def test_an_approval_that_ran_out_expires_the_item(x):
    item = x.approved(x.connected())
    assert x.sweep(after=timedelta(hours=25)).expired == 1
    item.refresh_from_db()
    assert item.state == State.EXPIRED


@pytest.mark.parametrize("state", ["pending", "approved"])
def test_what_is_too_late_to_be_said_expires_and_its_approval_is_void(x, state):
    cafe = x.connected()
    item = x.pending(cafe) if state == "pending" else x.approved(cafe)
    QueueItem.objects.update(relevant_until=timezone.now() + timedelta(minutes=5))
    assert x.sweep(after=timedelta(minutes=4)).expired == 0
    assert x.sweep(after=timedelta(minutes=6)).expired == 1
    item.refresh_from_db()
    assert item.state == State.EXPIRED
    assert not item.approvals.filter(voided_at=None).exists()


def test_one_item_that_cannot_be_settled_does_not_keep_the_others_waiting(x, hidden):
    second = x.approved(x.connected("other"))
    x.fault("lost_answer")
    x.publish(second)
    x.fault("status", method="GET", path=timeline(hidden), status=500)
    swept = x.sweep(after=timedelta(seconds=20))
    assert (swept.not_seen, swept.confirmed) == (1, 1)

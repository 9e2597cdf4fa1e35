"""compare_counters knows what people posted for us, what came through the direct door, and what nobody wants."""

from dataclasses import replace
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from publishing.models import PublishAttempt
from publishing.services import (
    compare,
    compare_workspace,
    give_up_item,
    hand_off_item,
    publish_directly,
    reject_item,
    retry_item,
)
from publishing.states import State
from tests.worlds import environment, manage, operator
from workspaces.models import Counter
from x_integration.client import XClient


@pytest.fixture
def cafe(x):
    """A connected workspace."""
    return x.connected()


def hand_off(item):
    item.refresh_from_db()
    who, now = operator(item.workspace), timezone.now()
    hand_off_item(item.pk, version=item.version, actor=who, now=now)
    item.refresh_from_db()
    return item


def by_hand(x, cafe, *, by="lia"):
    """A hand-off that a person posted and that was found; its item."""
    item = hand_off(x.pending(cafe, by=by))
    x.simulator.say("cafe", item.text, in_reply_to=item.source_post.x_post_id, source="web")
    x.sweep(after=timedelta(minutes=5))
    item.refresh_from_db()
    assert item.state == State.PUBLISHED
    return item


def directly(cafe, text: str = "The bar is open!"):
    return publish_directly(
        cafe,
        text=text,
        in_reply_to=None,
        actor=operator(cafe, door="api"),
        x=XClient(),
        clock=timezone.now,
    )


def unnamed(monkeypatch) -> None:
    """X names no post's client."""
    read = compare._own_posts
    monkeypatch.setattr(
        compare,
        "_own_posts",
        lambda *a: [replace(post, raw={**post.raw, "source": None}) for post in read(*a)],
    )


def test_hand_offs_and_direct_ones_are_counted_apart(x, cafe):
    x.publish(x.approved(cafe, by="rui"))
    directly(cafe)
    by_hand(x, cafe)
    x.simulator.say("cafe", "Something of a person's own", source="web")
    done = manage("compare_counters", env=environment(x.simulator))
    assert (done.returncode, done.stderr) == (0, "")
    assert (
        f"{cafe.slug}: counters 2, audit 2, timeline 2; of these direct: counter 1, audit 1; "
        "by hand: counter 1, audit 1, timeline 1"
    ) in done.stdout


def _lose(type_: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        cursor.execute("DELETE FROM workspaces_auditevent WHERE type = %s", [type_])
        cursor.execute("SET session_replication_role = origin")


def _raise(name: str) -> None:
    Counter.objects.filter(name=name).update(value=7)


DAMAGE = {
    "a hand-off that was deleted on X": (
        lambda x, item: x.simulator.take_down(item.x_post_id),
        "was handed off and is in the audit, but not on the timeline",
    ),
    "a counter of hand-offs": (
        lambda x, item: _raise("handed_off_published_total"),
        "the counters say 7 handed off, the audit 1",
    ),
    "a counter of direct ones": (
        lambda x, item: _raise("direct_publish_total"),
        "the counters say 7 direct, the audit 1",
    ),
    "the audit row of a hand-off": (
        lambda x, item: _lose("item.confirm_by_hand"),
        "the counters say 1 handed off, the audit 0",
    ),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_each_difference_is_told_and_red(x, cafe, damage):
    directly(cafe)
    item = by_hand(x, cafe)
    act, sentence = DAMAGE[damage]
    act(x, item)
    done = manage("compare_counters", env=environment(x.simulator))
    assert done.returncode == 1
    assert sentence in done.stderr


def test_where_x_names_no_client_a_found_hand_off_is_no_stray(x, cafe, monkeypatch):
    """The machine had tried the same words before, and X had refused them."""
    item = x.approved(cafe)
    x.fault("status", status=400)
    x.publish(item)
    hand_off(item)
    x.simulator.say("cafe", item.text, in_reply_to=item.source_post.x_post_id, source="web")
    unnamed(monkeypatch)
    assert compare_workspace(cafe, x=XClient()).differences == ()  # not found yet
    x.sweep(after=timedelta(minutes=5))
    legs = compare_workspace(cafe, x=XClient())
    assert (legs.differences, legs.timeline, legs.by_hand) == ((), 0, (1, 1, 1))


def test_a_hand_off_is_no_excuse_for_what_a_machine_sent(x, cafe):
    item = hand_off(x.pending(cafe))
    target = item.source_post.x_post_id
    post = x.simulator.say("cafe", item.text, in_reply_to=target, source="api")
    legs = compare_workspace(cafe, x=XClient())
    assert legs.differences == (f"{post['id']} is on the timeline, but not in the audit",)


def test_what_was_rejected_and_stands_all_the_same_says_what_to_do(x, cafe):
    item = x.approved(cafe)
    x.fault("status", status=500)
    x.publish(item)
    PublishAttempt.objects.update(looks=3)
    who, now = operator(cafe), timezone.now()
    give_up_item(item.pk, version=1, reason="Gone", actor=who, now=now)
    retry_item(item.pk, version=1, actor=who, now=now)
    reject_item(item.pk, version=1, reason="Not after all", actor=who, now=now)
    target = item.source_post.x_post_id
    post = x.simulator.say("cafe", item.text, in_reply_to=target, source="api")["id"]
    x.sweep(after=timedelta(hours=2))
    (difference,) = compare_workspace(cafe, x=XClient()).differences
    assert difference == (
        f"{post} is on the timeline, but not in the audit as published: "
        f"item:{item.number} was rejected, delete the post on X"
    )
    x.simulator.take_down(post)
    assert compare_workspace(cafe, x=XClient()).differences == ()


def planned(monkeypatch, post) -> None:
    """X names another program as the maker of the post."""
    read = compare._own_posts

    def own_posts(*a):
        return [
            replace(each, raw={**each.raw, "source": "A planner"})
            if each.id == post["id"]
            else each
            for each in read(*a)
        ]

    monkeypatch.setattr(compare, "_own_posts", own_posts)


def test_what_another_program_posts_is_told_and_is_no_difference(x, cafe, monkeypatch):
    x.publish(x.approved(cafe))
    planned(monkeypatch, x.simulator.say("cafe", "Planned last week", source="api"))
    legs = compare_workspace(cafe, x=XClient())
    assert (legs.differences, legs.timeline, legs.others) == ((), 1, 1)
    assert str(legs).endswith("timeline 1; 1 by other programs")


def test_until_x_has_told_our_own_name_every_program_is_in_question(x, cafe, monkeypatch):
    post = x.simulator.say("cafe", "Planned last week", source="api")
    planned(monkeypatch, post)
    legs = compare_workspace(cafe, x=XClient())
    assert legs.differences == (f"{post['id']} is on the timeline, but not in the audit",)


def test_our_words_by_another_program_are_a_double(x, cafe, monkeypatch):
    item = x.publish(x.approved(cafe))
    target = item.source_post.x_post_id
    double = x.simulator.say("cafe", item.text, source="api", in_reply_to=target)
    planned(monkeypatch, double)
    legs = compare_workspace(cafe, x=XClient())
    assert legs.differences == (f"{double['id']} is on the timeline, but not in the audit",)

"""Counters, audit and timeline agree, in separate processes and across restarts; damage turns it red."""

from dataclasses import replace
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from publishing.models import QueueItem
from publishing.services import compare, compare_workspace
from publishing.states import State
from tests.clusters import Cluster, Web, eventually
from tests.worlds import environment, manage
from workspaces.models import AuditEvent, Counter
from x_integration.client import XClient
from x_integration.models import XAccount


def _legs(x, web: Web, slug: str) -> tuple[float, int, int]:
    confirmed = AuditEvent.objects.filter(type="item.confirm", data__kind="reply").count()
    return web.replies_published()[slug], confirmed, len(x.machine_posts())


@pytest.mark.slow
def test_three_legs_agree_before_and_after_restarting_web_and_worker(x, free_port, tmp_path):
    workspace = x.connected()
    env = {**environment(x.simulator), "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    for round_, names in enumerate((("lia", "rui"), ("kenji", "noor", "ana")), start=1):
        with Web(env, free_port) as web, Cluster(env):
            for name in names:
                x.approved(workspace, by=name, nudge=True)
            assert eventually(lambda: not QueueItem.objects.exclude(state=State.PUBLISHED).exists())
            assert _legs(x, web, workspace.slug) == ((2, 2, 2) if round_ == 1 else (5, 5, 5))
    with Web(env, free_port) as web:
        assert _legs(x, web, workspace.slug) == (5, 5, 5)
    assert manage("compare_counters", env=env).returncode == 0


@pytest.fixture
def published(x):
    """One published reply, and what a command needs to look at it."""
    item = x.publish(x.approved(x.connected()))
    return item, environment(x.simulator)


def test_agreeing_legs_are_green(published):
    item, env = published
    done = manage("compare_counters", env=env)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"{item.workspace.slug}: counters 1, audit 1, timeline 1" in done.stdout


def _lose_audit_row() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        cursor.execute("DELETE FROM workspaces_auditevent WHERE type = 'item.confirm'")
        cursor.execute("SET session_replication_role = origin")


def _spoil_counter() -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE workspaces_counter SET value = 'NaN' WHERE name LIKE 'replies_pub%'")


DAMAGE = {
    "a counter that was raised": (
        lambda x, item: Counter.objects.filter(name="replies_published_total").update(value=2),
        "counter 2, audit 1",
    ),
    "a counter that was lost": (
        lambda x, item: Counter.objects.filter(name="replies_published_total").delete(),
        "counter 0, audit 1",
    ),
    "a counter that is no number any more": (
        lambda x, item: _spoil_counter(),
        "the counters say NaN, the audit 1",
    ),
    "an audit row that was lost": (lambda x, item: _lose_audit_row(), "counter 1, audit 0"),
    "a post that was deleted on X": (
        lambda x, item: x.simulator.take_down(item.x_post_id),
        "is in the audit, but not on the timeline",
    ),
    "a post that was doubled": (
        lambda x, item: x.simulator.say(
            "cafe", item.text, source="api", in_reply_to=item.source_post.x_post_id
        ),
        "is on the timeline, but not in the audit",
    ),
    "a post that nobody approved": (
        lambda x, item: x.simulator.say("cafe", "Bypass!", source="api"),
        "is on the timeline, but not in the audit",
    ),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_leg_turns_the_check_red_and_is_named(x, published, damage):
    item, env = published
    act, sentence = DAMAGE[damage]
    act(x, item)
    done = manage("compare_counters", env=env)
    assert done.returncode == 1
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_what_a_person_posts_by_hand_is_no_difference(x, published):
    _, env = published
    x.simulator.say("cafe", "Hello from the counter", source="web")
    assert manage("compare_counters", env=env).returncode == 0


def test_a_doubt_that_nobody_has_settled_yet_is_no_difference(x, published):
    item, env = published
    second = x.approved(item.workspace, by="rui")
    x.fault("lost_answer")
    assert x.publish(second).state == State.UNCONFIRMED
    done = manage("compare_counters", env=env)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_double_beside_a_doubt_is_no_excuse(x, published):
    """One post may be the doubt's; the second one is a double, whoever made it."""
    item, env = published
    second = x.approved(item.workspace, by="rui")
    x.fault("lost_answer")
    x.publish(second)
    x.simulator.say("cafe", second.text, source="api", in_reply_to=second.source_post.x_post_id)
    done = manage("compare_counters", env=env)
    assert done.returncode == 1
    assert done.stderr.count("is on the timeline, but not in the audit") == 1


def test_a_person_who_posts_a_doubts_text_by_hand_turns_nothing_red(x, published):
    """Reconcile takes it for the item's own, and so does the comparison."""
    item, env = published
    second = x.approved(item.workspace, by="rui")
    x.fault("status", status=500)
    x.publish(second)
    x.simulator.say("cafe", second.text, source="web", in_reply_to=second.source_post.x_post_id)
    assert x.sweep(after=timedelta(seconds=20)).confirmed == 1
    done = manage("compare_counters", env=env)
    assert (done.returncode, done.stderr) == (0, "")
    assert "counters 2, audit 2, timeline 2" in done.stdout


def _shown(post, **changes):
    return replace(post, raw={**post.raw, **changes})


def test_where_x_names_no_client_nobody_is_blamed(x, published, monkeypatch):
    item, _ = published
    x.simulator.say("cafe", "By hand", source="web")
    read = compare._own_posts
    monkeypatch.setattr(
        compare, "_own_posts", lambda *a: [_shown(post, source=None) for post in read(*a)]
    )
    legs = compare_workspace(item.workspace, x=XClient())
    assert (legs.differences, legs.timeline) == ((), 1)


def test_where_x_names_no_client_a_double_of_ours_is_still_found(x, published, monkeypatch):
    item, _ = published
    target = item.source_post.x_post_id
    double = x.simulator.say("cafe", item.text, source="api", in_reply_to=target)["id"]
    read = compare._own_posts
    monkeypatch.setattr(
        compare, "_own_posts", lambda *a: [_shown(post, source=None) for post in read(*a)]
    )
    legs = compare_workspace(item.workspace, x=XClient())
    assert legs.differences == (f"{double} is on the timeline, but not in the audit",)


def test_what_is_older_than_x_shows_is_told_and_is_no_difference(x, published, monkeypatch):
    item, _ = published
    x.publish(x.approved(item.workspace, by="rui"))
    read = compare._own_posts
    monkeypatch.setattr(compare, "_POSTS_THAT_X_SHOWS", 1)
    monkeypatch.setattr(compare, "_own_posts", lambda *a: list(read(*a))[:1])
    legs = compare_workspace(item.workspace, x=XClient())
    assert (legs.differences, legs.audit, legs.timeline, legs.unread) == ((), 2, 1, 1)


def test_a_timeline_that_was_not_read_is_not_said_to_agree(x, published):
    item, env = published
    XAccount.objects.update(revoked_at=timezone.now())
    done = manage("compare_counters", env=env)
    assert done.returncode == 0
    assert f"no account is live: {item.workspace.slug}" in done.stdout
    assert "Counters, audit and timeline agree" not in done.stdout


def test_an_unreachable_x_is_said_and_is_not_green(published):
    _, env = published
    done = manage("compare_counters", env={**env, "X_API_BASE_URL": "http://127.0.0.1:1"})
    assert done.returncode == 1
    assert "the timeline could not be read" in done.stderr

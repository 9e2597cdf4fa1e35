"""Counters, audit and timeline agree, in separate processes and across restarts; damage turns it red."""

import pytest
from django.db import connection

from publishing.models import QueueItem
from publishing.states import State
from tests.clusters import Cluster, Web, eventually
from tests.worlds import environment, manage
from workspaces.models import AuditEvent, Counter


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


DAMAGE = {
    "a counter that was raised": (
        lambda x, item: Counter.objects.filter(name="replies_published_total").update(value=2),
        "counter 2, audit 1",
    ),
    "a counter that was lost": (
        lambda x, item: Counter.objects.filter(name="replies_published_total").delete(),
        "counter 0, audit 1",
    ),
    "an audit row that was lost": (lambda x, item: _lose_audit_row(), "counter 1, audit 0"),
    "a post that was deleted on X": (
        lambda x, item: x.simulator.take_down(item.x_post_id),
        "is in the audit, but not on the timeline",
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


def test_an_unreachable_x_is_said_and_is_not_green(published):
    _, env = published
    done = manage("compare_counters", env={**env, "X_API_BASE_URL": "http://127.0.0.1:1"})
    assert done.returncode == 1
    assert "the timeline could not be read" in done.stderr

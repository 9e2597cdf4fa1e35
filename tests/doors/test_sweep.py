"""The route sweep: whoever uses whatever, nothing is posted without a live approval of exactly that."""

from time import monotonic

import pytest
from django_q.models import OrmQ
from django_q.tasks import async_task

from publishing.models import QueueItem
from tests.clusters import Cluster, eventually
from tests.doors import routes
from tests.doors.words import AWAY, WORDS
from tests.doors.work import run_command
from tests.worlds import environment, manage

# Each with a world of its own, so that they may run side by side; whether any door of theirs can
# publish or change something at all is said beside them.
GROUPS = {
    "admin/publishing/queueitem/<path:object_id>/change/": (4, 40),
    "admin/publishing/": (1, 5),
    "admin/workspaces/": (0, 10),
    "admin/x_integration/": (0, 2),
    "admin/": (0, 1),
    "publishing/": (0, 20),
    "": (0, 5),
}


def _group_of(route):
    return next(group for group in GROUPS if route.path.startswith(group))


@pytest.mark.slow
@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group or "the rest")
def test_every_url_by_everybody(sweep, group):
    posts, changes = GROUPS[group]
    begun = monotonic()
    found = [route for route in routes.urls() if _group_of(route) == group]
    for route in found:
        sweep.walk(route)
    print(
        f"{group}: {len(found)} routes x {len(routes.METHODS)} methods x {len(sweep.callers)} "
        f"callers: {sweep.calls} calls, {sweep.changes} changes, {sweep.judge.posts} posts with a "
        f"live approval, 0 without, {monotonic() - begun:.0f} s"
    )
    assert sweep.judge.posts >= posts, "the operators' own decisions published nothing"
    assert sweep.changes >= changes, "hardly a call changed anything"


def test_everybody_is_who_they_are(sweep):
    inside = {}
    for caller in sweep.callers:
        page = caller.call("GET", "/admin/", b"", "", {})
        api = caller.call("GET", f"/publishing/queue/{sweep.world.cafe.pk}", b"", "", {})
        inside[caller.name] = (page, api)
    people = {name: inside[name] for name in ("nobody", *sweep.world.people)}
    assert people == {
        "nobody": (302, 401),
        "owner": (200, 200),
        "admin": (200, 200),
        "member": (200, 200),
        "stranger": (200, 404),
        "superuser": (200, 404),
        "clerk with every permission": (200, 404),
    }
    keys = {name: inside[name][1] for name in sweep.world.keys}
    assert keys.pop("key of a stranger") == 404
    let_in = {name for name, status in keys.items() if status == 200}
    assert let_in == {"key queue:read", "key of every scope", "key of a member"}


def test_every_task_with_every_item(sweep):
    ran = sweep.tasks()
    assert ran >= len(routes.tasks()) * 20


def test_every_command(sweep):
    assert set(WORDS) | set(AWAY) == set(routes.commands())
    given = {name: [words(sweep.world) for words in each] for name, each in WORDS.items()}
    assert sweep.commands(given) >= len(WORDS)


def test_the_demos_commands_refuse_a_database_that_is_not_its_own(sweep):
    for name in ("demo_data", "demo_once", "demo_prepare"):
        assert "not the demo's" in run_command(name)
    sweep.judge.look("demo", None)


def test_commands_that_become_another_process_publish_nothing(sweep):
    env = environment(sweep.x.simulator)
    for name, words in AWAY.items():
        if words:
            assert manage(name, *words, env=env).returncode == 0, name
    sweep.judge.look("away", None)


def test_a_real_worker_with_every_task_sends_nothing(sweep):
    QueueItem.objects.update(not_before=None)
    for name in set(routes.tasks()) - {"revfirst.tasks.task"}:  # a wrapper's result travels nowhere
        async_task(name)
    for item in sweep.world.items.values():
        async_task("publishing.tasks.publish_one", item.pk)
    with Cluster(environment(sweep.x.simulator)):
        assert eventually(lambda: not OrmQ.objects.exists(), seconds=60)
    sweep.judge.look("a worker", None)

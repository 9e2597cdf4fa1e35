"""Once a switch has answered, no request to publish begins, whatever is running."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

import pytest
import requests
from django.contrib.auth.models import Permission
from django.test import Client
from django.utils import timezone
from django_q.tasks import async_task

from publishing.models import Approval, QueueItem
from publishing.services import publish_batch
from publishing.services.approvals import content_hash, snapshot_of
from publishing.states import State
from revfirst.wait import wait_out
from tests.clusters import Cluster, Web, eventually
from tests.factories import QueueItemFactory, SourcePostFactory
from tests.worlds import WORKER, World, environment, manage, operator
from workspaces.actors import Actor
from workspaces.models import User, Workspace
from workspaces.services import kill_switch, pause_workspace, place_hold
from workspaces.services.switches import wait_until_nothing_begins
from x_integration.models import SourcePost

EACH = 8  # what a workspace may reply within an hour


def _batch(x: World, workspaces: int) -> list[Workspace]:
    """So many workspaces with eight approved replies each; no worker was told."""
    fans = [f"fan{n}" for n in range(EACH)]
    for fan in fans:
        x.simulator.make_user(fan)
    teams = [x.connected(f"cafe{n}") for n in range(workspaces)]
    asked = [
        (team, x.simulator.say(fan, f"@{team.x_account.username} hi"))
        for team in teams
        for fan in fans
    ]
    posts = SourcePost.objects.bulk_create(
        SourcePostFactory.build(workspace=team, x_post_id=said["id"], author_id=said["id"])
        for team, said in asked
    )
    items = QueueItem.objects.bulk_create(
        QueueItemFactory.build(workspace=post.workspace, source_post=post, state=State.APPROVED)
        for post in posts
    )
    Approval.objects.bulk_create(_yes(item) for item in items)
    x.simulator.settings(latency_ms=300)
    return teams


def _yes(item: QueueItem) -> Approval:
    """The owner's, as approve_item would have frozen it."""
    snapshot, now = snapshot_of(item, item.workspace.x_account), timezone.now()
    return Approval(
        item=item,
        version=item.version,
        snapshot=snapshot,
        content_hash=content_hash(snapshot),
        approved_by=operator(item.workspace).user,
        door="admin",
        approved_at=now,
        expires_at=now + timedelta(hours=1),
    )


def _begun(x: World, team: Workspace | None = None) -> list[datetime]:
    """When each request to publish reached X; of one workspace's account, or of all."""
    user = team.x_account.username if team else None
    calls = x.calls("POST", "/2/tweets")
    return [datetime.fromisoformat(c["at"]) for c in calls if user in (None, c["user"])]


def _go_on() -> None:
    """Whatever was held back is due again, and both hosts are told."""
    QueueItem.objects.filter(state=State.APPROVED).update(not_before=None)
    for _ in range(2):
        async_task("publishing.tasks.publish_due")


@contextmanager
def _workers(x: World, *, concurrency: int) -> Iterator[None]:
    """Two hosts whose batches outlast a command that takes seconds to start on a busy machine; ended at
    once when nothing is under way."""
    env = environment(x.simulator) | {"PUBLISH_CONCURRENCY": str(concurrency)}
    with Cluster(env) as one, Cluster(env) as other:
        yield
        wait_out(1)
        assert eventually(lambda: not QueueItem.objects.filter(state=State.PUBLISHING).exists())
        one.kill()
        other.kill()


def _counts() -> tuple[int, int]:
    """How many items are published, and how many still wait."""
    return tuple(  # type: ignore[return-value]
        QueueItem.objects.filter(state=state).count() for state in (State.PUBLISHED, State.APPROVED)
    )


@pytest.mark.slow
def test_after_the_kill_switch_answered_no_request_begins(x):
    _batch(x, workspaces=25)
    with _workers(x, concurrency=2):
        _go_on()
        assert eventually(lambda: len(_begun(x)) >= 10)
        answered = manage("kill_switch", "on", "--reason", "test", env=environment(x.simulator))
        at = timezone.now()
        _go_on()
    assert "is ON" in answered.stdout
    assert [begun for begun in _begun(x) if begun > at] == []
    published, waiting = _counts()
    assert published == len(x.machine_posts()) >= 10
    assert waiting >= 10  # the batch was running
    assert published + waiting == 200


@pytest.mark.slow
def test_a_hold_ends_a_running_batch_within_the_send_window(x):
    _batch(x, workspaces=25)
    with _workers(x, concurrency=2):
        _go_on()
        assert eventually(lambda: len(_begun(x)) >= 10)
        place_hold("no_credits", reason="test", actor=WORKER, now=timezone.now())
        wait_until_nothing_begins()
        at = timezone.now()
        _go_on()
    assert [begun for begun in _begun(x) if begun > at] == []
    published, waiting = _counts()
    assert published == len(x.machine_posts()) >= 10
    assert waiting >= 10  # the batch was running
    reasons = QueueItem.objects.filter(state=State.APPROVED).values_list(
        "blocked_reason", flat=True
    )
    assert "system_hold" in set(reasons)


class Browser:
    """Somebody who is logged in, over real HTTP."""

    def __init__(self, url: str, user: User) -> None:
        client = Client()
        client.force_login(user)
        self.url, self.session = url, requests.Session()
        self.session.cookies.set("sessionid", client.cookies["sessionid"].value)

    def press(self, page: str, button: str, **body: str) -> str:
        """Press a button of a page; what the next page says."""
        shown = self.session.get(self.url + page, timeout=20).text
        (token, *_) = re.findall(r'name="csrfmiddlewaretoken" value="(\w+)"', shown)
        sent = {**body, "csrfmiddlewaretoken": token}
        return self.session.post(self.url + button, sent, timeout=20).text


@pytest.mark.slow
def test_after_a_page_of_the_admin_answered_no_request_begins(x, free_port):
    paused, *_ = teams = _batch(x, workspaces=25)
    person = operator(paused).user
    assert person
    person.user_permissions.add(Permission.objects.get(codename="system_operator"))
    with Web(environment(x.simulator), free_port) as web, _workers(x, concurrency=2):
        browser = Browser(web.url, person)
        _go_on()
        assert eventually(lambda: len(_begun(x)) >= 10)
        workspace, switch = (
            f"/admin/workspaces/workspace/{paused.pk}/",
            "/admin/workspaces/systemswitch/",
        )
        said = browser.press(f"{workspace}change/", f"{workspace}pause/", reason="test")
        paused_at = timezone.now()
        assert "Paused: nothing of" in said
        _go_on()
        assert eventually(lambda: max(_begun(x)) > paused_at)  # the others go on
        said = browser.press(switch, f"{switch}on/", reason="test")
        stopped_at = timezone.now()
        assert "ON: nothing is published" in said
        _go_on()
    assert kill_switch()
    assert sum(len(_begun(x, team)) for team in teams) == len(_begun(x))
    assert [begun for begun in _begun(x, paused) if begun > paused_at] == []
    assert [begun for begun in _begun(x) if begun > stopped_at] == []
    published, waiting = _counts()
    assert published == len(x.machine_posts())
    assert published + waiting == EACH * len(teams)
    assert waiting > 0


def test_a_pause_of_one_workspace_lets_the_others_publish(x):
    paused, other = x.connected("one"), x.connected("two")
    items = [x.approved(workspace) for workspace in (paused, other)]
    pause_workspace(paused, reason="test", actor=Actor.command(), now=timezone.now(), wait=False)
    publish_batch(actor=WORKER, clock=timezone.now)
    for item in items:
        item.refresh_from_db()
    assert [item.state for item in items] == [State.APPROVED, State.PUBLISHED]

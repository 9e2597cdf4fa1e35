"""Doors beside the admin that can lead to a post: the API, the commands and the tasks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.test import override_settings
from django.urls import reverse
from django.utils import timezone
from django_q.models import OrmQ, Schedule
from django_q.scheduler import scheduler
from django_q.tasks import async_task

from publishing.models import QueueItem
from publishing.states import State
from tests.api import make_key, signed_in, with_key
from tests.clusters import Cluster, eventually
from tests.doors.stage import Control, Stage
from tests.doors.work import drain, run_command
from tests.worlds import environment
from workspaces.actors import Actor
from workspaces.models import ApiKey, Workspace
from workspaces.services import set_kill_switch

CONTROLS: dict[str, Control] = {}
KEY = "the-internal-key-of-the-sweep"


def proves(*doors: str):
    """Enter a control under the names of the doors that it uses."""

    def enter(control: Control) -> Control:
        CONTROLS.update(dict.fromkeys(doors, control))
        return control

    return enter


# --- the API ------------------------------------------------------------------------------------------


def _queue(stage: Stage, item: QueueItem | None = None, what: str = "queue-item") -> str:
    args: list[Any] = [stage.workspace.pk]
    return reverse(what, args=[*args, item.number]) if item else reverse("queue", args=args)


@proves("url publishing/queue/<uuid:workspace_id>")
def propose_and_approve(stage: Stage) -> Iterator[None]:
    """What a program of the owner's proposed, approved by the admin."""
    program = with_key(make_key(stage.workspace, stage.owner, ApiKey.Scope.QUEUE_PROPOSE)[1])
    answer = program.post(_queue(stage), {"text": "We open at nine."}, format="json")
    assert answer.status_code == 201
    yield
    stage.approve(stage.newest())


@proves("url publishing/queue/<uuid:workspace_id>/<int:number>")
def change_and_approve(stage: Stage) -> Iterator[None]:
    """An approved item that a program of the owner's changed, approved by the admin."""
    item = stage.approved()
    program = with_key(make_key(stage.workspace, stage.owner, ApiKey.Scope.QUEUE_EDIT)[1])
    body = {"version": item.version, "text": "Words that a program has changed."}
    assert program.patch(_queue(stage, item), body, format="json").status_code == 200
    yield
    stage.approve(item)


def _directly(stage: Stage, name: str, **body: str) -> Any:
    """The direct API with flag, role and internal key."""
    told = {"workspace_id": str(stage.workspace.pk), "text": "Straight out.", **body}
    open_ = {
        "PUBLISHING_DIRECT_API_ENABLED": True,
        "PUBLISHING_DIRECT_API_INTERNAL_KEY": KEY,
    }
    with override_settings(**open_):
        headers = {"X-Internal-Key": KEY, "Idempotency-Key": "once"}
        client = signed_in(stage.admin)
        first, second = (
            client.post(reverse(name), told, format="json", headers=headers) for _ in range(2)
        )
    assert (first.status_code, second.json()) == (201, first.json())


@proves("url publishing/post")
def post_directly(stage: Stage) -> Iterator[None]:
    """A post without an approval; the same key twice is one post."""
    yield
    _directly(stage, "direct-post")


@proves("url publishing/reply")
def reply_directly(stage: Stage) -> Iterator[None]:
    """The same, as a reply."""
    said = stage.x.mention(stage.workspace)
    yield
    _directly(stage, "direct-reply", in_reply_to_tweet_id=said["id"])


# --- the tasks ----------------------------------------------------------------------------------------


def _put(stage: Stage, item: QueueItem, task: str, *args: int) -> None:
    stage.approve(item)
    OrmQ.objects.all().delete()  # the nudge is lost
    async_task(task, *args)
    drain()
    item.refresh_from_db()
    assert item.state == State.PUBLISHED


@proves("task publishing.tasks.publish_one")
def task_of_one(stage: Stage) -> Iterator[None]:
    """The nudge of an approval."""
    item = stage.pending()
    yield
    _put(stage, item, "publishing.tasks.publish_one", item.pk)


@proves("task publishing.tasks.publish_due")
def task_of_all(stage: Stage) -> Iterator[None]:
    """What is due."""
    item = stage.pending()
    yield
    _put(stage, item, "publishing.tasks.publish_due")


@proves("task publishing.tasks.sweep")
def task_of_the_sweep(stage: Stage) -> Iterator[None]:
    """What a lost nudge left behind."""
    item = stage.pending()
    yield
    _put(stage, item, "publishing.tasks.sweep")


@proves("task control.tasks.cycle")
def task_of_the_cycle(stage: Stage) -> Iterator[None]:
    """What it hears and proposes, approved by a person."""
    stage.x.mention(stage.workspace)
    async_task("control.tasks.cycle")
    drain()
    item = stage.newest()
    yield
    stage.approve(item)


# --- the commands -------------------------------------------------------------------------------------


@proves("command sweep")
def command_sweep(stage: Stage) -> Iterator[None]:
    """The sweep by a timer of the operating system, with a lost nudge."""
    item = stage.pending()
    yield
    stage.approve(item)
    OrmQ.objects.all().delete()
    assert run_command("sweep") == ""
    drain()
    item.refresh_from_db()
    assert item.state == State.PUBLISHED


@proves("command run_cycle")
def command_cycle(stage: Stage) -> Iterator[None]:
    """What it hears and proposes, approved by a person."""
    stage.x.mention(stage.workspace)
    assert run_command("run_cycle") == ""
    item = stage.newest()
    yield
    stage.approve(item)


@proves("command kill_switch")
def command_kill_switch(stage: Stage) -> Iterator[None]:
    """The switch, let go on the host."""
    stage.approved()
    set_kill_switch(True, reason="tea", actor=Actor.command(), now=timezone.now())
    yield
    assert run_command("kill_switch", "off", "--reason", "drunk") == ""


@proves("command release_hold")
def command_release_hold(stage: Stage) -> Iterator[None]:
    """A containment, lifted on the host."""
    stage.approved()
    contained = {"contained_at": timezone.now(), "contained_reason": "three failures"}
    Workspace.objects.filter(pk=stage.workspace.pk).update(**contained)
    yield
    words = ("containment", stage.workspace.slug, "--reason", "looked")
    assert run_command("release_hold", *words) == ""


@proves("command qcluster")
def command_worker(stage: Stage) -> Iterator[None]:
    """A worker in a process of its own, with the nudge of an approval."""
    item = stage.pending()
    yield
    stage.approve(item)

    def published() -> bool:
        item.refresh_from_db()
        return item.state == State.PUBLISHED

    with Cluster(environment(stage.x.simulator)):
        assert eventually(published), item.state


@proves("command sync_schedules")
def command_schedules(stage: Stage) -> Iterator[None]:
    """The timetable alone: the engine's scheduler enqueues the sweep, which finds a lost nudge."""
    item = stage.pending()
    yield
    stage.approve(item)
    OrmQ.objects.all().delete()
    Schedule.objects.all().delete()
    assert run_command("sync_schedules") == ""
    scheduler()
    drain()
    item.refresh_from_db()
    assert item.state == State.PUBLISHED

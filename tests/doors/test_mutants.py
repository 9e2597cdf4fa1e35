"""Doors that publish by themselves, planted here: the sweep names each, and turns red on each."""

import sys
from time import monotonic
from types import FunctionType
from typing import Any

import pytest
from django.contrib import admin
from django.http import HttpResponse
from django.urls import clear_url_caches, path
from django.utils import timezone

from publishing import tasks
from publishing.admin import QueueItemAdmin
from publishing.models import QueueItem
from publishing.services import approve_item, gates
from publishing.services.approvals import freeze
from publishing.states import State
from revfirst import urls
from tests.doors.routes import Route
from tests.doors.table import check_every_door_is_known
from tests.doors.witness import witness
from workspaces.actors import Actor
from workspaces.models import User
from x_integration.client import XClient
from x_integration.services import get_workspace_x_access_token


def send(item: QueueItem) -> None:
    """Straight to X, as nothing of ours does."""
    token = get_workspace_x_access_token(item.workspace, now=timezone.now())
    XClient().create_post(
        item.text, in_reply_to=None, access_token=token or "", begin_before=monotonic() + 2
    )


def forge(item: QueueItem) -> None:
    """A yes in the owner's name, whoever asks."""
    owner = User.objects.get(username="owner-of-cafe")
    actor = Actor.operator(owner, door="admin")
    approve_item(item.pk, version=item.version, actor=actor, now=timezone.now())


def move(item: QueueItem) -> None:
    """The state alone, without anybody's yes."""
    QueueItem.objects.filter(pk=item.pk).update(state=State.APPROVED)


def renew(item: QueueItem) -> None:
    """A new yes for an item that has lost its own, in the name of whoever gave that."""
    with_account = QueueItem.objects.select_related("workspace", "source_post").get(pk=item.pk)
    owner = User.objects.get(username="owner-of-cafe")
    freeze(with_account, by=owner, door="admin", now=timezone.now())


@pytest.fixture
def planted(monkeypatch):
    """Plants a URL that does something with the pending item, for everybody."""

    def plant(act, which: str = "pending"):
        def view(request):
            act(QueueItem.objects.filter(text__endswith=f": {which}.").get())
            return HttpResponse("done")

        monkeypatch.setattr(urls, "urlpatterns", [*urls.urlpatterns, path("planted", view)])
        clear_url_caches()
        return Route("planted")

    yield plant
    monkeypatch.undo()
    clear_url_caches()


@pytest.mark.django_db
def test_a_url_without_a_control_is_named(planted):
    planted(send)
    with pytest.raises(AssertionError, match="no control and no reason for: url planted"):
        check_every_door_is_known()


@pytest.mark.parametrize(
    ("act", "which", "told"),
    [
        (send, "pending", "X was asked to post"),
        (forge, "pending", "somebody else approved"),
        (renew, "approved_missing", "somebody else approved"),
    ],
)
def test_a_url_that_publishes_turns_the_sweep_red(sweep, planted, act, which, told):
    with pytest.raises(AssertionError, match=told):
        sweep.walk(planted(act, which))


def test_a_url_that_moves_an_item_is_not_one_that_only_reads(sweep, planted, monkeypatch):
    monkeypatch.setitem(sys.modules["tests.doors.table"].CONTROLS, "url planted", "only reads")
    with pytest.raises(AssertionError, match="#1 became approved"):
        sweep.walk(planted(move))


@pytest.mark.django_db
def test_a_control_is_known_by_the_doors_that_it_goes_through(client, monkeypatch):
    used = witness(monkeypatch)
    client.get("/health/live")
    client.post("/admin/publishing/queueitem/7/change/", {"decision": "approve"})
    client.post("/admin/publishing/queueitem/", {"action": "approve"})
    assert used == {
        "url health/live",
        "url admin/publishing/queueitem/<path:object_id>/change/",
        "decision approve",
        "url admin/publishing/queueitem/",
        "action publishing.QueueItem.approve",
    }


@pytest.fixture
def planted_action(monkeypatch):
    """An action of the queue's page that asks nobody's role."""

    @admin.action(description="Send now")
    def send_now(page, request, rows):
        for item in QueueItem.objects.filter(pk__in=request.POST.getlist("_selected_action")):
            if item.text.endswith(": pending.") and item.state == State.PENDING:
                forge(item)

    page: Any = admin.site._registry[QueueItem]
    monkeypatch.setattr(QueueItemAdmin, "send_now", send_now, raising=False)
    monkeypatch.setattr(page, "actions", (*page.actions, "send_now"))


@pytest.mark.django_db
def test_an_action_without_a_control_is_named(planted_action):
    with pytest.raises(AssertionError, match=r"for: action publishing.QueueItem.send_now"):
        check_every_door_is_known()


def test_an_action_that_asks_nobodys_role_turns_the_sweep_red(sweep, planted_action):
    with pytest.raises(AssertionError, match="somebody else approved"):
        sweep.walk(Route("admin/publishing/queueitem/"))


@pytest.fixture
def planted_task(monkeypatch):
    """A task that sends what it is given."""

    def send_now(item_id: int = 0) -> None:
        for item in QueueItem.objects.filter(pk=item_id):
            send(item)

    assert isinstance(send_now, FunctionType)
    send_now.__module__ = tasks.__name__
    monkeypatch.setattr(tasks, "send_now", send_now, raising=False)


@pytest.mark.django_db
def test_a_task_without_a_control_is_named(planted_task):
    with pytest.raises(AssertionError, match=r"for: task publishing.tasks.send_now"):
        check_every_door_is_known()


def test_a_task_that_sends_turns_the_sweep_red(sweep, planted_task):
    with pytest.raises(AssertionError, match=r"task publishing.tasks.send_now: X was asked"):
        sweep.tasks()


@pytest.fixture
def no_approval_gate(monkeypatch):
    """The gates but the approval's."""
    others = tuple(gate for gate in gates.GATES if gate is not gates.APPROVAL)
    monkeypatch.setitem(gates.first_block.__kwdefaults__, "gates", others)


def test_a_missing_approval_gate_turns_the_sweep_red(sweep, no_approval_gate):
    with pytest.raises(AssertionError, match=r"task publishing.tasks.\w+: X was asked"):
        sweep.tasks()


def test_a_page_that_forgets_the_role_turns_the_sweep_red(sweep, monkeypatch):
    monkeypatch.setattr("publishing.services.deciders.check_operator", lambda user, workspace: None)
    page = "admin/publishing/queueitem/<path:object_id>/change/"
    with pytest.raises(AssertionError, match="a member approved"):
        sweep.walk(Route(page))

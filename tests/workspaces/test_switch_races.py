"""Who lets go decides about what they saw: a stop that comes meanwhile stands."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission
from django.db import connection, transaction
from django.test import Client
from django.utils import timezone

from revfirst.wait import wait_until
from tests.factories import MembershipFactory, WorkspaceFactory
from workspaces import services
from workspaces.actors import Actor
from workspaces.errors import ChangedMeanwhile
from workspaces.models import AuditEvent, SystemSwitch, Workspace

pytestmark = pytest.mark.django_db(transaction=True)
HOST = Actor.command()
SWITCH = "/admin/workspaces/systemswitch/"
LIST = "/admin/workspaces/workspace/"


def browser() -> Client:
    """Of somebody who may turn the switch and operates a workspace."""
    user = MembershipFactory(workspace=WorkspaceFactory(slug="cafe"), role="owner").user
    user.user_permissions.set(Permission.objects.filter(codename="system_operator"))
    client = Client()
    client.force_login(user)
    return client


def press(client: Client, path: str, **body: str) -> str:
    """Press a button; what the page that follows says."""
    try:
        answer = client.post(path, body, follow=True)
        return " ".join(answer.content.decode().split())
    finally:
        connection.close()


def somebody_waits() -> bool:
    """Whether a connection waits for a lock that another has."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)")
        return bool(cursor.fetchone()[0])


def test_a_stop_that_is_being_written_while_somebody_lets_go_stands():
    earlier = timezone.now() - timedelta(minutes=5)
    services.set_kill_switch(True, reason="a fire", actor=HOST, now=earlier, wait=False)
    client = browser()
    answer = {"reason": "put out", "confirmed": "yes", "seen": earlier.isoformat()}
    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            SystemSwitch.objects.update(reason="another fire", changed_at=timezone.now())
            said = pool.submit(press, client, f"{SWITCH}off/", **answer)
            assert wait_until(somebody_waits, seconds=10)
        assert "somebody stopped it, or let go of it, meanwhile" in said.result()
    switch = services.kill_switch()
    assert switch is not None
    assert switch.reason == "another fire"
    assert not AuditEvent.objects.filter(type="kill_switch.off").exists()


def test_a_containment_that_came_after_the_question_is_asked_about_again():
    client = browser()
    workspace = Workspace.objects.get()
    path = f"/admin/workspaces/workspace/{workspace.pk}/lift-containment/"
    now = timezone.now()
    services.contain_workspace(workspace, reason="3 failures", actor=HOST, now=now)
    seen = now.isoformat()
    assert f'name="seen" value="{seen}"' in press(client, path, reason="mended")
    services.lift_containment(workspace, actor=HOST, now=now)
    later = now + timedelta(minutes=1)
    services.contain_workspace(workspace, reason="3 more", actor=HOST, now=later)
    said = press(client, path, reason="mended", confirmed="yes", seen=seen)
    assert "because of this: 3 more" in said
    workspace.refresh_from_db()
    assert workspace.contained_at == later


def test_a_page_that_is_older_than_the_pause_resumes_nothing():
    client, now = browser(), timezone.now()
    workspace = Workspace.objects.get()
    services.pause_workspace(workspace, reason="a drill", actor=HOST, now=now, wait=False)
    path = f"/admin/workspaces/workspace/{workspace.pk}/"
    shown = client.get(f"{path}change/").content.decode()
    assert f'name="seen" value="{now.isoformat()}"' in shown
    services.resume_workspace(workspace, actor=HOST, now=now)
    later = now + timedelta(minutes=1)
    services.pause_workspace(workspace, reason="a fire", actor=HOST, now=later, wait=False)
    said = press(client, f"{path}resume/", seen=now.isoformat())
    assert "somebody stopped it, or let go of it, meanwhile" in said
    press(client, f"{path}resume/", seen=later.isoformat())
    workspace.refresh_from_db()
    assert workspace.paused_at is None


@pytest.mark.parametrize(
    ("action", "stopped"), [("resume", "paused"), ("lift_containment", "contained")]
)
def test_a_list_that_is_older_than_the_stop_lets_go_of_nothing(action, stopped):
    client, now = browser(), timezone.now()
    workspace, later = Workspace.objects.get(), now + timedelta(minutes=1)
    Workspace.objects.update(paused_at=now, contained_at=now)
    name = f"{stopped}-{workspace.pk}"
    assert f'name="{name}" value="{now.isoformat()}"' in client.get(LIST).content.decode()
    Workspace.objects.update(paused_at=later, contained_at=later)
    chosen = {"action": action, "reason": "mended", "_selected_action": str(workspace.pk)}
    said = press(client, LIST, **chosen, **{name: now.isoformat()})
    assert "somebody stopped it, or let go of it, meanwhile" in said
    press(client, LIST, **chosen, **{name: later.isoformat()})
    workspace.refresh_from_db()
    assert getattr(workspace, f"{stopped}_at") is None


@pytest.mark.parametrize("let_go", [services.resume_workspace, services.lift_containment])
def test_who_lets_go_of_an_earlier_stop_leaves_the_later_one(let_go):
    workspace, now = WorkspaceFactory(), timezone.now()
    Workspace.objects.update(paused_at=now, contained_at=now)
    earlier = (now - timedelta(minutes=1)).isoformat()
    with pytest.raises(ChangedMeanwhile):
        let_go(workspace, actor=HOST, now=now, seen=earlier)
    assert Workspace.objects.filter(paused_at=now, contained_at=now).exists()
    assert let_go(workspace, actor=HOST, now=now, seen=now.isoformat())


@pytest.mark.parametrize("stopped", ["switch", "workspace"])
def test_a_stop_pressed_while_somebody_lets_go_of_the_one_before_stops(stopped):
    """It was on before, and is off in a moment: whoever presses now does not take that for a stop."""
    workspace, now = WorkspaceFactory(), timezone.now()
    services.set_kill_switch(True, reason="a fire", actor=HOST, now=now, wait=False)
    services.pause_workspace(workspace, reason="a fire", actor=HOST, now=now, wait=False)

    def press_again() -> bool:
        try:
            if stopped == "switch":
                return services.set_kill_switch(
                    True, reason="smoke", actor=HOST, now=now, wait=False
                )
            return services.pause_workspace(
                workspace, reason="smoke", actor=HOST, now=now, wait=False
            )
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            SystemSwitch.objects.update(on=False)
            Workspace.objects.update(paused_at=None, paused_by="", paused_reason="")
            pressed = pool.submit(press_again)
            assert wait_until(somebody_waits, seconds=10)
        assert pressed.result()
    workspace.refresh_from_db()
    assert services.kill_switch() if stopped == "switch" else workspace.paused_at


def test_an_answer_that_did_not_see_the_second_press_lets_go_of_nothing():
    now = timezone.now()
    services.set_kill_switch(True, reason="a fire", actor=HOST, now=now, wait=False)
    switch = services.kill_switch()
    assert switch is not None
    seen = services.last_press(switch)
    services.set_kill_switch(True, reason="smoke", actor=HOST, now=now, wait=False)
    with pytest.raises(ChangedMeanwhile):
        services.set_kill_switch(False, reason="put out", actor=HOST, now=now, seen=seen)
    assert services.kill_switch() is not None


def test_what_is_off_cannot_be_turned_off_and_keeps_who_did_it():
    now = timezone.now()
    services.set_kill_switch(True, reason="a fire", actor=HOST, now=now, wait=False)
    assert services.set_kill_switch(False, reason="put out", actor=HOST, now=now)
    assert not services.set_kill_switch(False, reason="put out twice", actor=HOST, now=now)
    assert SystemSwitch.objects.get().reason == "put out"
    assert AuditEvent.objects.filter(type="kill_switch.off").count() == 1

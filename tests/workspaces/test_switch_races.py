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
from workspaces.models import AuditEvent, SystemSwitch, Workspace

pytestmark = pytest.mark.django_db(transaction=True)
HOST = Actor.command()
SWITCH = "/admin/workspaces/systemswitch/"


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
        assert "somebody turned the switch meanwhile" in said.result()
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

"""Who stops publishing in the tests of stops, and what was recorded of it."""

from datetime import UTC, datetime, timedelta

from django.contrib.auth.models import Permission

from tests.factories import MembershipFactory, UserFactory, WorkspaceFactory
from workspaces import services
from workspaces.actors import Actor
from workspaces.models import AuditEvent

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
LATER = NOON + timedelta(hours=1)
HOST = Actor.command()

BAD_REASONS = ["", "   ", "\n", "x" * 201]


def system_operator() -> Actor:
    """Somebody who may stop everybody."""
    user = UserFactory()
    user.user_permissions.add(Permission.objects.get(codename="system_operator"))
    return Actor.operator(user, door="admin")


def person(role: str, workspace=None) -> Actor:
    """Somebody with a role, or `stranger`."""
    if role == "stranger":
        return Actor.operator(UserFactory(), door="admin")
    workspace = workspace or WorkspaceFactory()
    user = MembershipFactory(workspace=workspace, role=role).user
    return Actor.operator(user, door="admin")


def turn(on: bool, actor: Actor = HOST, *, reason: str = "a fire", wait: bool = False) -> None:
    """Turn the kill switch."""
    services.set_kill_switch(on, reason=reason, actor=actor, now=NOON, wait=wait)


def audited() -> list[str]:
    """The types of what was recorded, in order."""
    return list(AuditEvent.objects.order_by("id").values_list("type", flat=True))


def pause(workspace, actor: Actor = HOST, **more) -> bool:
    """Pause without waiting."""
    told = {"reason": "a holiday", "now": NOON, "wait": False, **more}
    return services.pause_workspace(workspace, actor=actor, **told)

"""Workspaces and who belongs to them."""

from datetime import datetime

from django.db import transaction

from workspaces import audit
from workspaces.actors import Actor
from workspaces.models import Membership, User, Workspace


def create_workspace(
    *, slug: str, name: str, owner: User, actor: Actor, now: datetime
) -> Workspace:
    """Make a workspace whose owner may enter the admin. Raises ValidationError for a bad slug."""
    workspace = Workspace(slug=slug, name=name, created_at=now)
    with transaction.atomic(durable=True):
        workspace.full_clean()
        workspace.save(force_insert=True)
        Membership.objects.create(workspace=workspace, user=owner, role=Membership.Role.OWNER)
        User.objects.filter(pk=owner.pk).update(is_staff=True)
        audit.record(
            "workspace.create",
            workspace=workspace,
            subject="workspace",
            actor=actor,
            now=now,
            data={"owner": f"user:{owner.pk}"},
        )
    return workspace

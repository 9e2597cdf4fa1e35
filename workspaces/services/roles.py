"""Who may do what: read from the membership at every decision."""

from django.contrib.auth.models import AnonymousUser

from workspaces.errors import NotAllowed, WorkspaceNotFound
from workspaces.models import Membership, User, Workspace


def role_of(user: User, workspace: Workspace) -> str | None:
    """The role of an active person, or None; asked of the rows, not of `user` as it was read."""
    roles = Membership.objects.filter(workspace=workspace, user=user, user__is_active=True)
    return roles.values_list("role", flat=True).first()


def is_operator(user: User, workspace: Workspace) -> bool:
    """Whether `user` is an active owner or admin of `workspace`."""
    return role_of(user, workspace) in Membership.OPERATORS


def check_member(user: User, workspace: Workspace) -> None:
    """Raise WorkspaceNotFound: to a stranger, a workspace is simply missing."""
    if role_of(user, workspace) is None:
        raise WorkspaceNotFound


def check_operator(user: User, workspace: Workspace) -> None:
    """Raise WorkspaceNotFound to a stranger, NotAllowed to a member."""
    role = role_of(user, workspace)
    if role is None:
        raise WorkspaceNotFound
    if role not in Membership.OPERATORS:
        raise NotAllowed("Only an owner or admin of the workspace may do that.")


def is_system_operator(user: User | AnonymousUser) -> bool:
    """Whether `user` is active and holds the permission that stops and starts everybody."""
    return user.is_active and user.has_perm("workspaces.system_operator")


def check_system_operator(user: User) -> None:
    """Raise NotAllowed unless `user` is a system operator."""
    if not is_system_operator(user):
        raise NotAllowed("Only a system operator may do that.")


def approvers(workspace: Workspace) -> int:
    """How many active people can approve in `workspace`."""
    return Membership.objects.filter(
        workspace=workspace, role__in=Membership.OPERATORS, user__is_active=True
    ).count()

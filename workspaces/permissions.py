"""Which requests get in: nobody without a name, and no key where a view did not ask for one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from workspaces.errors import MissingScope, SessionOnly, WorkspaceNotFound
from workspaces.models import ApiKey, Membership, User

if TYPE_CHECKING:
    from rest_framework.views import APIView  # which imports this module


def scope_of(view: Any, method: str) -> str | None:
    """The scope that a key needs for that method of the view; None where only a session gets in.

    A view names `scope`: one for all its methods, or one per method.
    """
    scope = getattr(view, "scope", None)
    if isinstance(scope, Mapping):
        scope = scope.get("GET" if method == "HEAD" else method)
    return scope if isinstance(scope, str) else None


class HasScope(BasePermission):
    """The default of every view: somebody, and with a key, one that was made for this."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Whether they are somebody. Raises SessionOnly, MissingScope or WorkspaceNotFound."""
        if isinstance(request.auth, ApiKey):
            check_key(request.auth, scope_of(view, str(request.method)))
            if "workspace_id" in view.kwargs:
                check_place(request.auth, view.kwargs["workspace_id"])
        return isinstance(request.user, User)


class IsMemberSomewhere(BasePermission):
    """A person who belongs to some workspace."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Whether there is a membership."""
        return Membership.objects.filter(user=request.user.pk).exists()


def check_key(key: ApiKey, scope: str | None) -> None:
    """Raise SessionOnly where no key gets in, MissingScope where this one does not."""
    if scope is None:
        raise SessionOnly
    if scope not in key.scopes:
        raise MissingScope(f"The API key was made without the scope {scope}.")


def check_place(key: ApiKey, workspace_id: object) -> None:
    """Raise WorkspaceNotFound outside the key's own workspace, its maker's others included."""
    if str(key.workspace_id) != str(workspace_id):
        raise WorkspaceNotFound

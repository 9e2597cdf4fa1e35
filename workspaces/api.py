"""What every view of the API shares: who gets in, how often, and which workspace is meant."""

from collections.abc import Mapping
from typing import Any, ClassVar
from uuid import UUID

from rest_framework.exceptions import APIException, NotAuthenticated, Throttled
from rest_framework.request import Request
from rest_framework.views import APIView

from revfirst.errors import RevFirstError
from workspaces.actors import Actor
from workspaces.errors import WorkspaceNotFound
from workspaces.models import ApiKey, User, Workspace
from workspaces.permissions import check_place


class ApiView(APIView):
    """A view that says which scope a key needs: one for all methods, one per method, or None.

    None, the default, means that no key gets in.
    """

    scope: ClassVar[str | Mapping[str, str] | None] = None

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """As in the framework; whoever is not let in has asked all the same, and is counted.

        The framework counts last, so every other refusal comes before anybody was counted.
        """
        try:
            super().initial(request, *args, **kwargs)
        except Throttled:
            raise
        except (APIException, RevFirstError):
            self.check_throttles(request)
            raise


def person_of(request: Request) -> User:
    """Who asks, in person or by a key of theirs."""
    if not isinstance(request.user, User):
        raise NotAuthenticated
    return request.user


def actor_of(request: Request) -> Actor:
    """Who acts, through this door."""
    return Actor.operator(person_of(request), door="api")


def workspace_of(request: Request, workspace_id: UUID, *also: str) -> Workspace:
    """The workspace with its `also`, if the caller belongs to it. Raises WorkspaceNotFound."""
    if isinstance(request.auth, ApiKey):
        check_place(request.auth, workspace_id)
    own = Workspace.objects.visible_to(person_of(request))
    workspace = (own.select_related(*also) if also else own).filter(pk=workspace_id).first()
    if workspace is None:
        raise WorkspaceNotFound
    return workspace

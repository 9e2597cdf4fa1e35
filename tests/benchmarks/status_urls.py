"""The product's routes and `/bare/<id>`: the least that a view does which reads one row."""

from uuid import UUID

from django.http import HttpRequest, JsonResponse
from django.urls import path

from revfirst.urls import handler404, handler500
from revfirst.urls import urlpatterns as product
from workspaces.models import Workspace

__all__ = ["handler404", "handler500", "urlpatterns"]


def bare(request: HttpRequest, workspace_id: UUID) -> JsonResponse:
    """One query by primary key; no session, no person, no rights."""
    return JsonResponse(dict(Workspace.objects.values("id", "slug", "name").get(pk=workspace_id)))


urlpatterns = [*product, path("bare/<uuid:workspace_id>", bare)]

"""Admin pages of the workspaces that a person belongs to. A superuser is not a member by accident."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest
from django.utils import timezone

from revfirst.admin import ReadOnlyAdmin
from workspaces.actors import Actor
from workspaces.models import Membership, User, Workspace


class MembersAdmin(ReadOnlyAdmin):
    """Rows of the workspaces that the person belongs to, and of no other."""

    memberships_path = "workspace__memberships"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Another workspace's row is simply missing."""
        mine = {f"{self.memberships_path}__user": request.user}
        return super().get_queryset(request).filter(**mine)

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> Any:
        """The row; 404 where the stock page would send the person away with the id in a message."""
        found = super().get_object(request, object_id, from_field)
        if found is None:
            raise Http404
        return found

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """What the page's own filters ask, and nothing else: a free lookup is an oracle."""
        names = [name[0] if isinstance(name, tuple) else name for name in self.list_filter]
        endings = ("", "__exact", "__isnull", "__id__exact")
        asked = {f"{name}{ending}" for name in names for ending in endings}
        return lookup in asked and "\x00" not in str(value)

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Members see the app in the index."""
        return self.has_view_permission(request)

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Staff who belong to at least one workspace; rows are narrowed by `get_queryset`."""
        user = request.user
        staff = user.is_authenticated and user.is_active and user.is_staff
        return bool(staff and _roles(request))

    def has_operate_permission(self, request: HttpRequest) -> bool:
        """Whether to offer decisions; the service asks again, per row."""
        return request.user.is_active and not _roles(request).isdisjoint(Membership.OPERATORS)


class OwnWorkspaces(admin.RelatedFieldListFilter):
    """The workspaces that the person belongs to; of others not even the name is told."""

    def field_choices(self, field: Any, request: HttpRequest, model_admin: Any) -> list[Any]:
        """Id and slug of each."""
        own = Workspace.objects.filter(memberships__user=request.user.pk)
        return [(str(pk), slug) for pk, slug in own.values_list("pk", "slug")]


def user_of(request: HttpRequest) -> User:
    """Who is signed in; the admin site let nobody else in."""
    if not isinstance(request.user, User):
        raise PermissionDenied
    return request.user


def actor_of(request: HttpRequest) -> Actor:
    """The person at the admin's door."""
    return Actor.operator(user_of(request), door="admin")


def pressed(request: HttpRequest) -> dict[str, Any]:
    """What every service is told of a button: who pressed it, and when."""
    return {"actor": actor_of(request), "now": timezone.now()}


def _roles(request: HttpRequest) -> frozenset[str]:
    """The roles that the person holds anywhere: asked once per request, which asks many times."""
    known: frozenset[str] | None = request.META.get("revfirst.roles")
    if known is None:
        roles = Membership.objects.filter(user=request.user.pk).values_list("role", flat=True)
        known = request.META["revfirst.roles"] = frozenset(roles)
    return known

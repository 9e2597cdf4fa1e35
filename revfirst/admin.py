"""What every admin page of ours shares: nothing is changed but through a service, and a person
sees the workspaces that they belong to. A superuser is not a member by accident."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ActionForm
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest


class ReasonForm(ActionForm):
    """The action bar, with room for the reason."""

    reason = forms.CharField(required=False, max_length=200, label="Reason")


class ReadOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """No page of this kind adds, changes or deletes a row, for superusers neither."""

    actions_selection_counter = True
    list_per_page = 50
    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never."""
        return False


class MembersAdmin(ReadOnlyAdmin):
    """Rows of the workspaces that the person belongs to, and of no other."""

    memberships_path = "workspace__memberships"
    operator_roles = ("owner", "admin")

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
        return request.user.is_active and not _roles(request).isdisjoint(self.operator_roles)


def _roles(request: HttpRequest) -> frozenset[str]:
    """The roles that the person holds anywhere: asked once per request, which asks many times.

    The memberships are a relation that an app to the right of this room brings.
    """
    known: frozenset[str] | None = request.META.get("revfirst.roles")
    if known is None:
        memberships = getattr(request.user, "memberships")  # noqa: B009
        known = frozenset(memberships.values_list("role", flat=True))
        request.META["revfirst.roles"] = known
    return known


def tell(request: HttpRequest, done: int, what: str, refusals: Iterable[tuple[str, str]]) -> None:
    """Say how many rows went through, and why each of the others did not."""
    if done:
        messages.success(request, f"{done} {what}.")
    for subject, why in refusals:
        messages.error(request, f"{subject}: {why}")

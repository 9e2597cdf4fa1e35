"""Workspaces, people, the switch and the audit log in the admin."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group
from django.db.models import CharField, F, Q, QuerySet
from django.db.models.functions import Cast
from django.http import HttpRequest
from django.utils.html import format_html

from revfirst.admin import ReadOnlyAdmin
from workspaces.keys_admin import ApiKeyAdmin
from workspaces.members_admin import MembersAdmin
from workspaces.models import Alarm, AuditChain, AuditEvent, Counter, User, Workspace
from workspaces.switches_admin import SystemHoldAdmin, SystemSwitchAdmin
from workspaces.workspace_admin import WorkspaceAdmin

# The admin finds them here; their pages stand in modules of their own.
__all__ = ["ApiKeyAdmin", "SystemHoldAdmin", "SystemSwitchAdmin", "WorkspaceAdmin"]


class SuperusersOnly(admin.ModelAdmin):  # type: ignore[type-arg]
    """A page of Django's own through which somebody could take more rights than they have."""

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Superusers only, as below."""
        return _is_superuser(request)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """No permission that can be given away opens this page."""
        return _is_superuser(request)

    has_add_permission = has_view_permission
    has_change_permission = has_view_permission
    has_delete_permission = has_view_permission


@admin.register(User)
class PeopleAdmin(SuperusersOnly, UserAdmin):  # type: ignore[type-arg]
    """Who can log in. Whoever may change people may become anybody: superusers only."""


admin.site.unregister(Group)


@admin.register(Group)
class GroupsAdmin(SuperusersOnly, GroupAdmin):
    """What groups of people may do. Whoever may change their own group may do everything."""


def _is_superuser(request: HttpRequest) -> bool:
    user = request.user
    return user.is_authenticated and user.is_active and user.is_superuser


@admin.register(Alarm)
class AlarmAdmin(MembersAdmin):
    """What a person has to look at: what is open first, then the newest."""

    list_display = ("state", "kind", "of", "detail", "raised", "over")
    list_display_links = ("kind",)
    list_filter = ("kind",)
    list_select_related = ("workspace",)
    fields = list_display
    ordering = (F("over_at").desc(nulls_first=True), "-raised_at", "-pk")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Alarm]:
        """Those of the person's workspaces; the system's for system operators."""
        seen = Q(workspace__in=Workspace.objects.filter(memberships__user=request.user.pk))
        if request.user.has_perm("workspaces.system_operator"):
            seen |= Q(workspace=None)
        return Alarm.objects.filter(seen)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Members, and system operators who belong to no workspace: they mend what stops everybody."""
        user = request.user
        operates = user.is_active and user.is_staff and user.has_perm("workspaces.system_operator")
        return bool(operates) or super().has_view_permission(request, obj)

    @admin.display(description="state", ordering="over_at")
    def state(self, alarm: Alarm) -> str:
        """Whether it is over, by colour and word."""
        tone, word = ("quiet", "over") if alarm.over_at else ("bad", "open")
        return format_html('<span class="state tone-{}">{}</span>', tone, word)

    @admin.display(description="workspace", ordering="workspace__slug")
    def of(self, alarm: Alarm) -> str:
        """The workspace, or all of them."""
        return str(alarm.workspace or "every workspace")

    @admin.display(description="raised", ordering="raised_at")
    def raised(self, alarm: Alarm) -> str:
        """Since when, in UTC."""
        return f"since {alarm.raised_at:%Y-%m-%d %H:%M} UTC"

    @admin.display(description="over", ordering="over_at")
    def over(self, alarm: Alarm) -> str:
        """Until when, in UTC."""
        return f"until {alarm.over_at:%Y-%m-%d %H:%M} UTC" if alarm.over_at else "not over yet"


@admin.register(AuditEvent)
class AuditEventAdmin(MembersAdmin):
    """What happened, newest first. Nobody adds, changes or deletes."""

    list_display = ("seq", "at", "type", "subject", "actor", "door", "details", "short_hash")
    list_filter = ("type", "door")
    search_fields = ("subject",)
    ordering = ("-at", "-seq")

    def get_queryset(self, request: HttpRequest) -> QuerySet[AuditEvent]:
        """The chains of the person's workspaces; the system's for system operators."""
        own = Workspace.objects.filter(memberships__user=request.user.pk)
        chains = list(own.annotate(chain=Cast("pk", CharField())).values_list("chain", flat=True))
        if request.user.has_perm("workspaces.system_operator"):
            chains.append(AuditChain.SYSTEM)
        return AuditEvent.objects.filter(chain__in=chains)

    @admin.display(description="details")
    def details(self, event: AuditEvent) -> str:
        """What the row holds, hashes cut: the whole of it is on the row's page."""
        return ", ".join(
            f"{name.replace('_', ' ')}: {str(value)[:20]}" for name, value in event.data.items()
        )

    @admin.display(description="hash")
    def short_hash(self, event: AuditEvent) -> str:
        """The first characters: enough to compare by eye."""
        return event.hash[:12]


@admin.register(Counter)
class CounterAdmin(ReadOnlyAdmin):
    """The counters as /metrics shows them."""

    list_display = ("chain", "name", "labels", "value")
    ordering = ("chain", "name", "labels")

"""Workspaces, people, the switch and the audit log in the admin."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.db.models import CharField, QuerySet
from django.db.models.functions import Cast
from django.http import HttpRequest
from django.utils import timezone

from revfirst.admin import MembersAdmin, ReadOnlyAdmin, ReasonForm, tell
from revfirst.errors import RevFirstError
from workspaces import services
from workspaces.actors import Actor
from workspaces.models import AuditChain, AuditEvent, Counter, SystemSwitch, User, Workspace

admin.site.register(User, UserAdmin)


@admin.register(Workspace)
class WorkspaceAdmin(MembersAdmin):
    """The person's workspaces; pause and resume."""

    memberships_path = "memberships"
    list_display = ("slug", "name", "paused_at", "paused_reason", "contained_at")
    action_form = ReasonForm
    actions = ("pause", "resume", "lift_containment")

    @admin.action(description="Pause publishing (reason needed)", permissions=["operate"])
    def pause(self, request: HttpRequest, queryset: QuerySet[Workspace]) -> None:
        """Stop the selected workspaces; returns when nothing can begin any more."""
        reason = request.POST.get("reason", "")

        def pause(workspace: Workspace, actor: Actor) -> None:
            services.pause_workspace(workspace, reason=reason, actor=actor, now=timezone.now())

        self._each(request, queryset, "paused", pause)

    @admin.action(description="Resume publishing", permissions=["operate"])
    def resume(self, request: HttpRequest, queryset: QuerySet[Workspace]) -> None:
        """Let the selected workspaces publish again."""

        def resume(workspace: Workspace, actor: Actor) -> None:
            services.resume_workspace(workspace, actor=actor, now=timezone.now())

        self._each(request, queryset, "resumed", resume)

    @admin.action(description="Lift containment", permissions=["operate"])
    def lift_containment(self, request: HttpRequest, queryset: QuerySet[Workspace]) -> None:
        """Let contained workspaces publish again."""

        def lift(workspace: Workspace, actor: Actor) -> None:
            services.lift_containment(workspace, actor=actor, now=timezone.now())

        self._each(request, queryset, "lifted", lift)

    def _each(
        self, request: HttpRequest, queryset: QuerySet[Workspace], what: str, act: Any
    ) -> None:
        done, refusals = 0, []
        for workspace in queryset:
            try:
                act(workspace, Actor.operator(request.user, door="admin"))  # type: ignore[arg-type]
                done += 1
            except RevFirstError as error:
                refusals.append((str(workspace), str(error)))
        tell(request, done, what, refusals)


@admin.register(SystemSwitch)
class SystemSwitchAdmin(ReadOnlyAdmin):
    """The kill switch as it stands; `manage.py kill_switch` turns it."""

    list_display = ("name", "on", "reason", "changed_by", "changed_at")


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

"""A workspace in the admin: whether it publishes, by which limits, and the buttons that change it."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, reverse
from django.utils import timezone
from django.utils.html import format_html

from revfirst.admin import ReasonForm, act_on_each, badge, told
from revfirst.errors import RevFirstError
from workspaces import reasons, services
from workspaces.actors import Actor
from workspaces.members_admin import MembersAdmin
from workspaces.models import Workspace
from workspaces.policy_form import PolicyForm
from workspaces.switch_pages import stops_of_everybody, workspace_page, workspace_state


@admin.register(Workspace)
class WorkspaceAdmin(MembersAdmin):
    """The person's workspaces: pause and resume, lift containment, change the policy."""

    memberships_path = "memberships"
    list_display = ("slug", "name", "publishing", "why")
    action_form = ReasonForm
    actions = ("pause", "resume", "lift_containment")
    fieldsets = (
        ("All fields", {"classes": ("collapse",), "fields": ("slug", "name", "id", "created_at")}),
    )

    @admin.display(description="publishing")
    def publishing(self, workspace: Workspace) -> str:
        """Whether it may publish, by colour and word; and which stops this page shows."""
        return format_html(
            '{}<input type="hidden" name="paused-{}" value="{}">'
            '<input type="hidden" name="contained-{}" value="{}">',
            badge(workspace_state(workspace)),
            workspace.pk,
            _instant(workspace.paused_at),
            workspace.pk,
            _instant(workspace.contained_at),
        )

    @admin.display(description="why")
    def why(self, workspace: Workspace) -> str:
        """The reason of what stops it."""
        return workspace_state(workspace).sentence or "–"

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The list, below whatever stops everybody."""
        if request.method == "GET":
            for note in stops_of_everybody(timezone.now()):
                messages.warning(request, f"{note.word.capitalize()}: {note.sentence}")
        return super().changelist_view(request, extra_context)

    # --- actions on several ---------------------------------------------------------------------

    @admin.action(description="Pause publishing (reason needed)", permissions=["operate"])
    def pause(self, request: HttpRequest, queryset: QuerySet[Workspace]) -> None:
        """Stop all of the selected workspaces, then return when nothing can begin any more."""
        pause = partial(
            services.pause_workspace, wait=False, reason=_reason(request), **_by(request)
        )
        try:
            act_on_each(request, queryset, "paused", pause)
        finally:
            services.wait_until_nothing_begins()

    @admin.action(description="Resume publishing", permissions=["operate"])
    def resume(self, request: HttpRequest, queryset: QuerySet[Workspace]) -> None:
        """End the pause of each selected workspace, as this page showed it."""

        def resume(workspace: Workspace) -> None:
            seen = request.POST.get(f"paused-{workspace.pk}")
            services.resume_workspace(workspace, seen=seen, **_by(request))

        act_on_each(request, queryset, "resumed", resume)

    @admin.action(description="Lift containment (reason needed)", permissions=["operate"])
    def lift_containment(self, request: HttpRequest, queryset: QuerySet[Workspace]) -> None:
        """Lift the containment of each selected workspace, as this page showed it."""

        def lift(workspace: Workspace) -> None:
            seen, reason = request.POST.get(f"contained-{workspace.pk}"), _reason(request)
            services.lift_containment(workspace, seen=seen, reason=reason, **_by(request))

        act_on_each(request, queryset, "lifted", lift)

    # --- the page and its buttons ---------------------------------------------------------------

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """The workspace's page."""
        workspace = self.get_object(request, object_id)
        context = {
            "policy_form": PolicyForm(workspace),
            **workspace_page(workspace, request.user, timezone.now()),  # type: ignore[arg-type]
            **(extra_context or {}),
        }
        return super().change_view(request, object_id, form_url, context)

    def get_urls(self) -> list[URLPattern]:
        """The buttons' addresses in front of the stock ones, the last of which takes any path."""
        views = {
            "pause": self.pause_view,
            "resume": self.resume_view,
            "lift_containment": self.lift_view,
            "policy": self.policy_view,
        }
        return [
            *(
                self.button(f"<uuid:workspace_id>/{name.replace('_', '-')}/", name, view)
                for name, view in views.items()
            ),
            *super().get_urls(),
        ]

    def pause_view(self, request: HttpRequest, workspace_id: Any) -> HttpResponse:
        """Stop the workspace, and answer when nothing of it can begin any more."""
        workspace = self.get_object(request, str(workspace_id))
        pause = partial(
            services.pause_workspace, workspace, reason=_reason(request), **_by(request)
        )
        done = f"Paused: nothing of {workspace} can begin any more."
        if told(request, pause, done, "It was paused before."):
            return self._back(workspace)
        return self._page_again(request, workspace, typed_reason=_reason(request))

    def resume_view(self, request: HttpRequest, workspace_id: Any) -> HttpResponse:
        """Let the workspace publish again."""
        workspace = self.get_object(request, str(workspace_id))
        seen = request.POST.get("seen")
        resume = partial(services.resume_workspace, workspace, seen=seen, **_by(request))
        told(request, resume, "It may publish again.", "It was not paused.")
        return self._back(workspace)

    def lift_view(self, request: HttpRequest, workspace_id: Any) -> HttpResponse:
        """Ask whether it is meant, and lift the containment when the answer comes."""
        workspace = self.get_object(request, str(workspace_id))
        try:
            services.check_operator(request.user, workspace)  # type: ignore[arg-type]
            reason = reasons.checked(_reason(request))
        except RevFirstError as error:
            messages.error(request, str(error))
            return self._back(workspace)
        if workspace.contained_at is None:
            messages.info(request, "It was not contained.")
            return self._back(workspace)
        seen = workspace.contained_at.isoformat()
        if request.POST.get("confirmed") != "yes" or request.POST.get("seen") != seen:
            return self.ask_first(
                request,
                title=f"Lift the containment of {workspace}?",
                sentences=[
                    f"It was contained because of this: {workspace.contained_reason or '–'}",
                    "What failed until now counts no more, and what is approved and due may go out.",
                    f"Your reason: {reason}",
                ],
                label="Lift the containment",
                back=self._back(workspace).url,
                reason=reason,
                seen=seen,
            )
        lift = partial(
            services.lift_containment, workspace, reason=reason, seen=seen, **_by(request)
        )
        told(request, lift, "The containment is lifted.", "It was not contained.")
        return self._back(workspace)

    def policy_view(self, request: HttpRequest, workspace_id: Any) -> HttpResponse:
        """Change what the person changed on the page."""
        workspace = self.get_object(request, str(workspace_id))
        form = PolicyForm(workspace, request.POST)
        if form.is_valid():
            change = partial(
                services.change_policy, workspace, changes=form.changes(), **_by(request)
            )
            if told(request, change, "The policy is changed.", "Nothing was changed."):
                return self._back(workspace)
        else:
            messages.error(
                request, "The policy was not changed: see what is said beside the field."
            )
        return self._page_again(request, workspace, policy_form=form)

    def _back(self, workspace: Workspace) -> HttpResponseRedirect:
        return HttpResponseRedirect(reverse(self.page_name("change"), args=[workspace.pk]))

    def _page_again(
        self, request: HttpRequest, workspace: Workspace, **typed: object
    ) -> HttpResponse:
        """The page as it is now, with what the person typed: a refusal loses nothing."""
        request.method = "GET"
        return self.change_view(request, str(workspace.pk), extra_context=typed)


def _by(request: HttpRequest) -> dict[str, Any]:
    """Who acts, and when."""
    return {"actor": Actor.operator(request.user, door="admin"), "now": timezone.now()}  # type: ignore[arg-type]


def _instant(at: datetime | None) -> str:
    return at.isoformat() if at else ""


def _reason(request: HttpRequest) -> str:
    return request.POST.get("reason", "")

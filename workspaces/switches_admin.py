"""The kill switch and the system holds in the admin: for system operators alone."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import F
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, reverse
from django.utils import timezone

from revfirst.admin import ReadOnlyAdmin, badge, told
from revfirst.errors import RevFirstError
from revfirst.words import when
from workspaces import reasons, services
from workspaces.actors import Actor
from workspaces.errors import ChangedMeanwhile
from workspaces.models import SystemHold, SystemSwitch, User
from workspaces.switch_pages import hold_page, hold_state, person, switch_page


class SystemAdmin(ReadOnlyAdmin):
    """What belongs to no workspace: seen by system operators, acted upon by nobody else."""

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Whoever may see the rows sees the app in the index."""
        return self.has_view_permission(request)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """System operators, and whoever was given the stock permission to look."""
        user = request.user
        return (user.is_staff and services.is_system_operator(user)) or bool(
            super().has_view_permission(request, obj)
        )

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> Any:
        """The row; 404 where the stock page would send the person away."""
        found = super().get_object(request, object_id, from_field)
        if found is None:
            raise Http404
        return found

    @staticmethod
    def operator(request: HttpRequest) -> User:
        """Who is signed in, if that is a system operator. Raises PermissionDenied."""
        user = request.user
        if not isinstance(user, User) or not services.is_system_operator(user):
            raise PermissionDenied
        return user


@admin.register(SystemSwitch)
class SystemSwitchAdmin(SystemAdmin):
    """The kill switch: its one page says how it stands, and turns it. No row means off."""

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The switch's page in place of a list of one."""
        if request.method == "POST" or not self.has_view_permission(request):
            raise PermissionDenied
        return self._page(request)

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """The same page; nobody adds or changes the row itself."""
        if object_id is None:
            raise PermissionDenied
        response = self.changelist_view(request)
        self.get_object(request, object_id)
        return response

    def get_urls(self) -> list[URLPattern]:
        """The buttons' addresses in front of the stock ones, the last of which takes any path."""
        return [
            self.button("on/", "on", self.turn_on),
            self.button("off/", "off", self.turn_off),
            *super().get_urls(),
        ]

    def turn_on(self, request: HttpRequest) -> HttpResponse:
        """Stop everybody at once, and answer when no request can begin any more."""
        return self._turn(request, True, "The kill switch is ON: nothing can begin any more.")

    def turn_off(self, request: HttpRequest) -> HttpResponse:
        """Ask whether it is meant, and let everybody publish again when the answer comes."""
        page = switch_page(self.operator(request), timezone.now())
        seen = page["seen"]
        if not page["is_on"] or request.POST.get("seen") != seen:
            messages.error(request, str(ChangedMeanwhile()))
            return redirect(self.page_name("changelist"))
        try:
            reason = reasons.checked(request.POST.get("reason", ""))
        except RevFirstError as error:
            messages.error(request, str(error))
            return self._page(request)
        if request.POST.get("confirmed") == "yes":
            done = "The kill switch is off: everybody may publish again."
            return self._turn(request, False, done, seen=seen)
        return self.ask_first(
            request,
            title="Let everybody publish again?",
            sentences=[
                f"It is on since {page['since']}, by {page['by']}: {page['switch'].reason}",
                "A system hold stands too: nothing goes out until it is lifted."
                if page["holds"]
                else "What is approved and due in every workspace goes out within a minute.",
                f"Your reason: {reason}",
            ],
            label="Turn the kill switch off",
            back=reverse(self.page_name("changelist")),
            reason=reason,
            seen=seen,
        )

    def _turn(
        self, request: HttpRequest, on: bool, done: str, *, seen: str | None = None
    ) -> HttpResponse:
        actor = Actor.operator(self.operator(request), door="admin")
        reason = request.POST.get("reason", "")

        def turn() -> bool:
            return services.set_kill_switch(
                on, reason=reason, actor=actor, now=timezone.now(), seen=seen
            )

        if told(request, turn, done, _was_on()):
            return redirect(self.page_name("changelist"))
        return self._page(request)

    def _page(self, request: HttpRequest) -> HttpResponse:
        """How it stands now, with what the person typed: a refusal loses nothing."""
        context = {
            **self.admin_site.each_context(request),
            **switch_page(request.user, timezone.now()),  # type: ignore[arg-type]
            "opts": self.opts,
            "title": "Kill switch",
            "typed_reason": request.POST.get("reason", ""),
        }
        return TemplateResponse(request, "admin/workspaces/systemswitch/switch.html", context)


def _was_on() -> str:
    """Who turned it on before, if it is: what a second press is told."""
    switch = services.kill_switch()
    if switch is None:
        return "Nothing can begin any more. The kill switch was ON already."
    return (
        "Nothing can begin any more. "
        f"The kill switch was ON already, since {when(switch.changed_at, timezone.now())}, "
        f"by {person(switch.changed_by)}: {switch.reason}"
    )


@admin.register(SystemHold)
class SystemHoldAdmin(SystemAdmin):
    """What stops everybody until a person lifts it: those that stand first, then the newest."""

    list_display = ("kind", "state", "reason", "placed", "lifted")
    list_filter = ("kind",)
    ordering = (F("lifted_at").desc(nulls_first=True), "-placed_at", "-pk")
    fieldsets = (
        ("All fields", {"classes": ("collapse",), "fields": ("kind", "reason", "placed_at")}),
    )

    @admin.display(description="state", ordering="lifted_at")
    def state(self, hold: SystemHold) -> str:
        """Whether it stands, by colour and word."""
        return badge(hold_state(hold))

    @admin.display(description="placed", ordering="placed_at")
    def placed(self, hold: SystemHold) -> str:
        """Since when, and by whom."""
        return f"{when(hold.placed_at, timezone.now())}, by {person(hold.placed_by)}"

    @admin.display(description="lifted", ordering="lifted_at")
    def lifted(self, hold: SystemHold) -> str:
        """When, by whom and why, if it is."""
        if hold.lifted_at is None:
            return "not lifted"
        return f"{when(hold.lifted_at, timezone.now())}, by {person(hold.lifted_by)}: {hold.lifted_reason}"

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """The hold's page."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        page = hold_page(self.get_object(request, object_id), request.user, timezone.now())  # type: ignore[arg-type]
        return super().change_view(request, object_id, form_url, {**page, **(extra_context or {})})

    def get_urls(self) -> list[URLPattern]:
        """The button's address in front of the stock ones."""
        return [self.button("<int:hold_id>/lift/", "lift", self.lift_view), *super().get_urls()]

    def lift_view(self, request: HttpRequest, hold_id: int) -> HttpResponse:
        """Ask whether it is meant, and lift the hold when the answer comes."""
        actor = Actor.operator(self.operator(request), door="admin")
        hold = self.get_object(request, str(hold_id))
        here = redirect(self.page_name("change"), hold.pk)
        if hold.lifted_at:
            messages.info(request, "It was lifted before.")
            return here
        try:
            reason = reasons.checked(request.POST.get("reason", ""))
        except RevFirstError as error:
            messages.error(request, str(error))
            return here
        if request.POST.get("confirmed") != "yes":
            return self.ask_first(
                request,
                title=f"Lift the hold {hold.kind}?",
                sentences=[
                    f"It stands since {when(hold.placed_at, timezone.now())}: {hold.reason}",
                    "What is approved and due goes out again, unless something else stops it.",
                    f"Your reason: {reason}",
                ],
                label="Lift the hold",
                back=here.url,
                reason=reason,
            )

        def lift() -> bool:
            return services.lift_hold(hold.kind, reason=reason, actor=actor, now=timezone.now())

        told(request, lift, "The hold is lifted.", "It was lifted before.")
        return here

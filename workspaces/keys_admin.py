"""API keys in the admin: see those of one's workspaces, make one, end one."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.html import format_html
from django.views.decorators.cache import never_cache

from revfirst.admin import act_on_each
from revfirst.errors import RevFirstError
from workspaces import services
from workspaces.members_admin import MembersAdmin, pressed
from workspaces.models import ApiKey, User, Workspace

_MEANINGS = {
    ApiKey.Scope.STATUS_READ: "see how it stands with the account",
    ApiKey.Scope.QUEUE_READ: "read the queue",
    ApiKey.Scope.QUEUE_PROPOSE: "propose replies and posts",
    ApiKey.Scope.QUEUE_EDIT: "edit and reject (owner or admin)",
    ApiKey.Scope.AUDIT_READ: "read the audit log",
    ApiKey.Scope.PUBLISH_DIRECT: "publish without an approval, where that is on (owner or admin)",
}


class NewKeyForm(forms.Form):
    """What a key is for."""

    workspace = forms.ModelChoiceField(Workspace.objects.none())
    name = forms.CharField(max_length=60, help_text="Which program uses it.")
    scopes = forms.MultipleChoiceField(
        choices=[(scope, f"{scope}: {meaning}") for scope, meaning in _MEANINGS.items()],
        widget=forms.CheckboxSelectMultiple,
        label="May",
    )

    def __init__(self, user: User, *args: Any, **kwargs: Any) -> None:
        """For one of the person's workspaces."""
        super().__init__(*args, **kwargs)
        self.fields["workspace"].queryset = Workspace.objects.visible_to(user)  # type: ignore[attr-defined]


@admin.register(ApiKey)
class ApiKeyAdmin(MembersAdmin):
    """The keys of the person's workspaces. What is shown of a key does not open anything."""

    list_display = ("name", "state", "starts", "of", "made_by", "may", "used", "made")
    list_display_links = ("name",)
    list_select_related = ("workspace", "user")
    fields = ("state", "name", "starts", "of", "made_by", "may", "used", "made", "revoked_at")
    ordering = ("-created_at", "-pk")
    actions = ("revoke",)

    @admin.display(description="state")
    def state(self, key: ApiKey) -> str:
        """Whether it opens anything, by colour and word."""
        tone, word = ("quiet", "revoked") if key.revoked_at else ("good", "live")
        return format_html('<span class="state tone-{}">{}</span>', tone, word)

    @admin.display(description="starts with")
    def starts(self, key: ApiKey) -> str:
        """The part that may be seen again."""
        return f"{key.prefix}_…"

    @admin.display(description="workspace", ordering="workspace__slug")
    def of(self, key: ApiKey) -> str:
        """Where it acts."""
        return str(key.workspace)

    @admin.display(description="made by", ordering="user__username")
    def made_by(self, key: ApiKey) -> str:
        """Whose membership it carries."""
        return f"by {key.user}"

    @admin.display(description="may")
    def may(self, key: ApiKey) -> str:
        """Its scopes."""
        return ", ".join(key.scopes)

    @admin.display(description="last used", ordering="last_used_at")
    def used(self, key: ApiKey) -> str:
        """To the minute, in UTC."""
        return f"used {key.last_used_at:%Y-%m-%d %H:%M} UTC" if key.last_used_at else "never used"

    @admin.display(description="made", ordering="created_at")
    def made(self, key: ApiKey) -> str:
        """When, in UTC."""
        return f"made {key.created_at:%Y-%m-%d %H:%M} UTC"

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Every member; the service asks again, per scope."""
        return self.has_view_permission(request)

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        """Whether to offer it; the service asks again, per key."""
        return self.has_view_permission(request)

    @admin.action(description="Revoke", permissions=["revoke"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> None:
        """End each selected key at once."""
        act_on_each(
            request,
            queryset,
            "revoked",
            lambda key: services.revoke_api_key(key.pk, **pressed(request)),
        )

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Ask what the key is for; make it, and show it this once.

        It stands in the answer to the POST alone: in no session, message or address.
        """
        return _new_key(request, self)


@never_cache
def _new_key(request: HttpRequest, page: ApiKeyAdmin) -> HttpResponse:
    if not page.has_add_permission(request):
        raise PermissionDenied
    by = pressed(request)
    form = NewKeyForm(by["actor"].user, request.POST or None)
    context = {
        **page.admin_site.each_context(request),
        "opts": page.opts,
        "form": form,
        "title": "New API key",
    }
    if request.method == "POST" and form.is_valid():
        try:
            key, secret = services.create_api_key(**form.cleaned_data, **by)
        except RevFirstError as error:
            form.add_error(None, str(error))
        else:
            context |= {"key": key, "secret": secret, "title": "Your new API key"}
    return TemplateResponse(request, "admin/workspaces/apikey/new.html", context)

"""The account and what people said to it. Tokens are on no page; an account changes by a button."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from csp.decorators import csp_update
from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, reverse
from django.utils import timezone

from revfirst.admin import badge
from revfirst.errors import RevFirstError
from revfirst.words import distance, in_words
from workspaces import reasons
from workspaces.actors import Actor
from workspaces.members_admin import MembersAdmin, user_of
from workspaces.models import Workspace
from workspaces.services import check_operator, is_operator
from x_integration import services
from x_integration.account_page import account_page, meaning_of, unconnected
from x_integration.feeds_admin import FeedAdmin
from x_integration.models import SourcePost, XAccount

__all__ = ["FeedAdmin", "SourcePostAdmin", "XAccountAdmin"]
LIST, ACCOUNT = "admin:x_integration_xaccount_changelist", "admin:x_integration_xaccount_change"
Said = tuple[int, str]
Act = Callable[[XAccount, Actor, datetime], Said]


_RENEWALS = {
    "success": (messages.SUCCESS, "The token is renewed."),
    "refused": (messages.ERROR, "X does not renew this connection any more: connect it again."),
    "failed": (
        messages.WARNING,
        "X did not renew the token this time; it stays as it was, and the worker tries again.",
    ),
    "unknown": (
        messages.WARNING,
        "X gave no clear answer and may have renewed the token; the worker tries it once more.",
    ),
    "skipped_locked": (
        messages.INFO,
        "Nothing was done: somebody is renewing the token, or did so less than a minute ago.",
    ),
    "skipped_unsure": (
        messages.WARNING,
        "Nothing was done: X may have renewed it the last time, and trying soon may end it.",
    ),
    "skipped_disabled": (
        messages.WARNING,
        "Nothing was done: renewal is switched off here (X_AUTO_REFRESH_ENABLED).",
    ),
    "skipped_no_refresh_token": (
        messages.ERROR,
        "There is nothing to renew the token with: connect the account again.",
    ),
}


@admin.register(XAccount)
class XAccountAdmin(MembersAdmin):
    """The connection of each workspace: how it is, and the buttons that change it."""

    list_display = ("__str__", "workspace", "reason", "publish", "expires", "hold")
    list_select_related = ("workspace",)
    fieldsets = (
        (
            "All fields",
            {
                "classes": ("collapse",),
                "fields": (
                    "workspace",
                    "username",
                    "x_user_id",
                    "reason",
                    "publish",
                    "scope",
                    "expires_at",
                    "last_refresh_at",
                    "last_refresh_error",
                    "held_at",
                    "held_reason",
                    "revoked_at",
                ),
            },
        ),
    )

    @admin.display(description="connection")
    def reason(self, account: XAccount) -> str:
        """The status in one word."""
        return badge(meaning_of(account.connected_reason(timezone.now())))

    @admin.display(description="publishing")
    def publish(self, account: XAccount) -> str:
        """Whether it can publish now."""
        return "can publish" if account.publish_ready(timezone.now()) else "cannot publish"

    @admin.display(description="token", ordering="expires_at")
    def expires(self, account: XAccount) -> str:
        """How long its token lives."""
        now = timezone.now()
        if account.revoked_at or account.expires_at is None:
            return "no token" if account.access_token is None else "no known end"
        verb = "expired" if account.expires_at <= now else "expires"
        return f"{verb} {distance(account.expires_at, now)}"

    @admin.display(description="hold", ordering="held_reason")
    def hold(self, account: XAccount) -> str:
        """Why it is held, if it is."""
        return f"held: {in_words(account.held_reason)}" if account.held_at else "not held"

    # --- pages --------------------------------------------------------------------------------

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The list, below what is not connected yet."""
        context = {"unconnected": unconnected(user_of(request)), **(extra_context or {})}
        return _leading_to_x(super().changelist_view)(request, context)

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """The account's page."""
        account = self.get_object(request, object_id)
        context = {**account_page(account, user_of(request)), **(extra_context or {})}
        return _leading_to_x(super().change_view)(request, object_id, form_url, context)

    def get_urls(self) -> list[URLPattern]:
        """The buttons' addresses in front of the stock ones, the last of which takes any path."""
        renew = partial(self.press, act=_renew)
        return [
            self.button("connect/<uuid:workspace_id>/", "connect", self.connect_view),
            self.button("<int:account_id>/renew/", "renew", renew),
            self.button("<int:account_id>/lift-hold/", "lift_hold", self.lift_view),
            self.button(
                "<int:account_id>/disconnect/", "disconnect", self.disconnect_view, "GET", "HEAD"
            ),
            *super().get_urls(),
        ]

    # --- what the buttons do --------------------------------------------------------------------

    def connect_view(self, request: HttpRequest, workspace_id: Any) -> HttpResponse:
        """Send an operator to X's page of consent; the callback stores what comes of it."""
        user = user_of(request)
        workspace = get_object_or_404(Workspace.objects.visible_to(user), pk=workspace_id)
        try:
            begun = services.begin_authorization(workspace, user=user, now=timezone.now())
        except RevFirstError as error:
            messages.error(request, f"{workspace}: {error}")
            return redirect(LIST)
        return HttpResponseRedirect(begun.authorize_url)

    def press(self, request: HttpRequest, account_id: int, act: Act) -> HttpResponse:
        """Do for an operator what a button of the account's page says; tell there what came of it."""
        account, user = self.get_object(request, str(account_id)), user_of(request)
        try:
            check_operator(user, account.workspace)
            level, sentence = act(account, Actor.operator(user, door="admin"), timezone.now())
        except RevFirstError as error:
            level, sentence = messages.ERROR, f"{account}: {error}"
        messages.add_message(request, level, sentence)
        return redirect(ACCOUNT, account.pk)

    def lift_view(self, request: HttpRequest, account_id: int) -> HttpResponse:
        """Ask whether it is meant, and lift the account's hold when the answer comes."""
        account = self.get_object(request, str(account_id))
        given = request.POST.get("reason", "")
        lift = partial(_lift_hold, reason=given, seen=request.POST.get("seen"))
        try:
            check_operator(user_of(request), account.workspace)
            reason = reasons.checked(given)
        except RevFirstError:
            return self.press(request, account_id, lift)  # which says what is wrong
        seen = account.held_at.isoformat() if account.held_at else None
        confirmed = request.POST.get("confirmed") == "yes" and request.POST.get("seen") == seen
        if seen is None or confirmed:
            return self.press(request, account_id, lift)
        return self.ask_first(
            request,
            title=f"Lift the hold on {account}?",
            sentences=[
                f"It is held because of this: {in_words(account.held_reason)}",
                "What is approved and due goes out within a minute.",
                f"Your reason: {reason}",
            ],
            label="Lift the hold",
            back=reverse(ACCOUNT, args=[account.pk]),
            reason=reason,
            seen=seen,
        )

    def disconnect_view(self, request: HttpRequest, account_id: int) -> HttpResponse:
        """Ask whether it is meant, and disconnect when the answer comes."""
        if request.method == "POST":
            return self.press(request, account_id, _disconnect)
        account = self.get_object(request, str(account_id))
        if not is_operator(user_of(request), account.workspace):
            raise PermissionDenied
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "original": account,
            "title": f"Disconnect {account}?",
        }
        return TemplateResponse(request, "admin/x_integration/xaccount/disconnect.html", context)


@admin.register(SourcePost)
class SourcePostAdmin(MembersAdmin):
    """What people said."""

    list_display = ("posted_at", "author_username", "said", "lang", "eligibility")
    list_filter = ("eligibility", "lang")
    ordering = ("-posted_at",)

    @admin.display(description="text", ordering="text")
    def said(self, post: SourcePost) -> str:
        """Its words, or that they are forgotten."""
        return post.words


def _leading_to_x(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """A page with a Connect button: Chromium asks the page's policy about a form's redirects too."""
    x = urlsplit(settings.X_AUTHORIZE_URL)
    return csp_update({"form-action": [f"{x.scheme}://{x.netloc}"]})(view)  # type: ignore[return-value]


# --- acts -----------------------------------------------------------------------------------------


def _renew(account: XAccount, actor: Actor, now: datetime) -> Said:
    """Renew the tokens; what came of it."""
    outcome = services.renew_by_hand(account.workspace, actor=actor, now=now)
    level, sentence = _RENEWALS[outcome]
    return level, f"{account}: {sentence}"


def _lift_hold(
    account: XAccount, actor: Actor, now: datetime, *, reason: str, seen: str | None
) -> Said:
    """Lift the hold, if there is one."""
    if services.lift_account_hold(
        account.workspace, reason=reason, seen=seen, actor=actor, now=now
    ):
        return messages.SUCCESS, f"{account}: the hold is lifted."
    return messages.INFO, f"{account}: there was no hold."


def _disconnect(account: XAccount, actor: Actor, now: datetime) -> Said:
    """Forget the tokens here and at X."""
    if account.revoked_at is not None:
        return messages.INFO, f"{account} was disconnected before."
    if services.revoke_workspace_x_tokens(account.workspace, actor=actor, now=now):
        return messages.SUCCESS, f"{account} is disconnected, and X has confirmed it."
    return messages.WARNING, (
        f"{account} is disconnected here, but X did not confirm it: on X, remove the app under "
        "Settings, Security and account access, Apps and sessions, Connected apps."
    )

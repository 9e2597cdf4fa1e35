"""The account's API: connect, status, revoke."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.contrib.auth.views import redirect_to_login
from django.http import HttpResponseBase
from django.shortcuts import redirect
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.authentication import SessionAuthentication
from rest_framework.permissions import AllowAny
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from revfirst.api import Input as StrictInput
from workspaces.api import ApiView, actor_of, person_of, workspace_of
from workspaces.models import ApiKey, User, Workspace
from x_integration import services
from x_integration.client import XClient
from x_integration.models import XAccount


class StartedShape(serializers.Serializer[Any]):
    """Where the person's browser goes next, within ten minutes."""

    authorize_url = serializers.CharField()
    state = serializers.CharField()
    expires_in = serializers.IntegerField(help_text="Seconds.")
    scope = serializers.CharField()


class ConnectedShape(serializers.Serializer[Any]):
    """The account that was connected."""

    connected = serializers.BooleanField()
    account_username = serializers.CharField()


class StatusShape(serializers.Serializer[Any]):
    """How it stands with the account."""

    workspace_id = serializers.UUIDField()
    connected = serializers.BooleanField()
    connected_reason = serializers.CharField()
    access_token_valid = serializers.BooleanField()
    is_expired = serializers.BooleanField()
    can_auto_refresh = serializers.BooleanField()
    has_refresh_token = serializers.BooleanField()
    token_type = serializers.CharField(allow_null=True)
    expires_at = serializers.DateTimeField(allow_null=True)
    scope = serializers.CharField()
    has_publish_scope = serializers.BooleanField()
    publish_ready = serializers.BooleanField()
    account_user_id = serializers.CharField(allow_null=True)
    account_username = serializers.CharField(allow_null=True)
    last_refresh_at = serializers.DateTimeField(allow_null=True)
    last_refresh_error = serializers.CharField(allow_null=True)
    updated_at = serializers.DateTimeField(allow_null=True)


class RevokedShape(serializers.Serializer[Any]):
    """Whether X confirmed; here it is revoked in any case."""

    revoked = serializers.BooleanField()
    confirmed_by_x = serializers.BooleanField()


class Authorize(ApiView):
    """Start connecting an account (owner, admin)."""

    class AuthorizeInput(StrictInput):
        """Which workspace the account is for."""

        workspace_id = serializers.UUIDField()

    @extend_schema(request=AuthorizeInput, responses=StartedShape)
    def post(self, request: Request) -> Response:
        """`authorize_url`, `state`, `expires_in` and `scope`."""
        given = self.AuthorizeInput(data=request.data)
        given.is_valid(raise_exception=True)
        workspace = workspace_of(request, given.validated_data["workspace_id"])
        started = services.begin_authorization(
            workspace, user=person_of(request), now=timezone.now()
        )
        return Response(
            {
                "authorize_url": started.authorize_url,
                "state": started.state,
                "expires_in": started.expires_in,
                "scope": started.scope,
            }
        )


class FailedPage(BaseRenderer):
    """What kept an account from being connected, as a page in the admin's look."""

    media_type = "text/html"
    format = "html"
    charset = "utf-8"
    UNREADABLE = "X sent you back without what belongs to a connection; begin again."

    def render(
        self,
        data: Mapping[str, Any],
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> str:
        """The error's sentence; nothing of the address, which holds X's code and the state."""
        request = (renderer_context or {})["request"]
        context = {
            **admin.site.each_context(request),
            "title": "Connect X",
            "sentence": self.UNREADABLE if data.get("code") == "invalid" else data.get("detail"),
        }
        return render_to_string("x_integration/connect_failed.html", context, request=request)


@method_decorator(never_cache, name="dispatch")
class Callback(ApiView):
    """Where X sends the person back; the single-use state says who it is.

    A browser, which asks for a page, is led to the account's page or shown what went wrong.
    """

    authentication_classes = (SessionAuthentication,)  # a program's key is nobody here
    permission_classes = (AllowAny,)
    renderer_classes = (JSONRenderer, FailedPage)

    class Input(serializers.Serializer[Any]):
        """X's query string; `code` is absent when consent was denied."""

        state = serializers.CharField(max_length=500)
        code = serializers.CharField(max_length=2000, required=False, default="")

    @extend_schema(parameters=[Input], responses={(200, "application/json"): ConnectedShape})
    def get(self, request: Request) -> HttpResponseBase:
        """Exchange the code (it lives 30 s) and name the connected account."""
        given = self.Input(data=request.query_params)
        given.is_valid(raise_exception=True)
        visitor = request.user if isinstance(request.user, User) else None
        account = services.complete_authorization(
            **given.validated_data, x=XClient(), now=timezone.now(), visitor=visitor
        )
        if isinstance(request.accepted_renderer, FailedPage):
            return _to_the_account(request, account)
        return Response({"connected": True, "account_username": account.username})


def _to_the_account(request: Request, account: XAccount) -> HttpResponseBase:
    """The account's page, by way of the login where nobody is signed in."""
    messages.success(request, f"{account} is connected.")
    page = reverse("admin:x_integration_xaccount_change", args=[account.pk])
    return redirect(page) if isinstance(request.user, User) else redirect_to_login(page)


@method_decorator(never_cache, name="dispatch")
class Status(ApiView):
    """Whether the account can publish, and if not, why (member)."""

    scope = ApiKey.Scope.STATUS_READ

    @extend_schema(responses=StatusShape)
    def get(self, request: Request, workspace_id: UUID) -> Response:
        """How it stands with the account, field by field, and no token."""
        workspace = workspace_of(request, workspace_id, "x_account")
        account = getattr(workspace, "x_account", None)
        return Response(account_status(workspace, account, now=timezone.now()))


class Revoke(ApiView):
    """Disconnect the account, here and at X (owner, admin)."""

    @extend_schema(request=None, responses=RevokedShape)
    def post(self, request: Request, workspace_id: UUID) -> Response:
        """Whether X confirmed; here it is revoked in any case."""
        workspace = workspace_of(request, workspace_id, "x_account")
        confirmed = services.revoke_workspace_x_tokens(
            workspace, actor=actor_of(request), now=timezone.now()
        )
        return Response({"revoked": True, "confirmed_by_x": confirmed})


def account_status(
    workspace: Workspace, account: XAccount | None, *, now: datetime
) -> dict[str, Any]:
    """The status of an account as the API shows it; instants are UTC."""
    if account is None:
        account = XAccount(workspace=workspace, revoked_at=None)
        reason = "not_connected"
    else:
        reason = account.connected_reason(now)
    return {
        "workspace_id": workspace.pk,
        "connected": account.connected(now),
        "connected_reason": reason,
        "access_token_valid": account.access_token_valid(now),
        "is_expired": account.is_expired(now),
        "can_auto_refresh": account.can_auto_refresh,
        "has_refresh_token": account.refresh_token is not None,
        "token_type": account.token_type if account.access_token else None,
        "expires_at": account.expires_at,
        "scope": account.scope,
        "has_publish_scope": account.has_publish_scope,
        "publish_ready": account.publish_ready(now),
        "account_user_id": account.x_user_id or None,
        "account_username": account.username or None,
        "last_refresh_at": account.last_refresh_at,
        "last_refresh_error": account.last_refresh_error or None,
        "updated_at": account.updated_at,
    }

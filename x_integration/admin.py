"""The account and the posts it was told, for reading. Tokens are on no page."""

from django.contrib import admin
from django.utils import timezone

from workspaces.members_admin import MembersAdmin
from x_integration.models import SourcePost, XAccount


@admin.register(XAccount)
class XAccountAdmin(MembersAdmin):
    """The connection of each workspace."""

    list_display = ("username", "workspace", "reason", "publish_ready", "expires_at", "held_reason")
    list_select_related = ("workspace",)
    fields = (
        "workspace",
        "username",
        "x_user_id",
        "reason",
        "publish_ready",
        "scope",
        "expires_at",
        "last_refresh_at",
        "last_refresh_error",
        "held_at",
        "held_reason",
        "revoked_at",
    )

    @admin.display(description="connection")
    def reason(self, account: XAccount) -> str:
        """The status in one word."""
        return account.connected_reason(timezone.now()).replace("_", " ")

    @admin.display(boolean=True, description="can publish")
    def publish_ready(self, account: XAccount) -> bool:
        """Whether it can publish now."""
        return account.publish_ready(timezone.now())


@admin.register(SourcePost)
class SourcePostAdmin(MembersAdmin):
    """What people said."""

    list_display = ("posted_at", "author_username", "text", "lang", "eligibility")
    list_filter = ("eligibility", "lang")
    ordering = ("-posted_at",)

"""Every route. No trailing slashes outside /admin/."""

from django.contrib import admin
from django.urls import path
from django.views.generic import RedirectView

from revfirst import views
from x_integration import api as x_api

handler404 = "revfirst.api.not_found"
handler500 = "revfirst.api.failed"
urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path("admin", RedirectView.as_view(pattern_name="admin:index")),
    path("admin/", admin.site.urls),
    path("health", views.health_view, name="health"),
    path("health/live", views.live_view, name="health-live"),
    path("version", views.version_view, name="version"),
    path("metrics", views.metrics_view, name="metrics"),
    path("integrations/x/oauth/authorize", x_api.Authorize.as_view(), name="x-authorize"),
    path("integrations/x/oauth/callback", x_api.Callback.as_view(), name="x-callback"),
    path(
        "integrations/x/oauth/status/<uuid:workspace_id>", x_api.Status.as_view(), name="x-status"
    ),
    path(
        "integrations/x/oauth/revoke/<uuid:workspace_id>", x_api.Revoke.as_view(), name="x-revoke"
    ),
]

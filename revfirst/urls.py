"""Every route. No trailing slashes outside /admin/."""

from django.contrib import admin
from django.urls import path
from django.views.generic import RedirectView

from publishing import api, direct_api
from revfirst import views
from workspaces import api_docs
from x_integration import api as x_api

handler400 = "revfirst.api.bad_request"
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
    path("publishing/post", direct_api.DirectPost.as_view(), name="direct-post"),
    path("publishing/reply", direct_api.DirectReply.as_view(), name="direct-reply"),
    path("publishing/queue/<uuid:workspace_id>", api.Queue.as_view(), name="queue"),
    path(
        "publishing/queue/<uuid:workspace_id>/<int:number>", api.Item.as_view(), name="queue-item"
    ),
    path(
        "publishing/queue/<uuid:workspace_id>/<int:number>/reject",
        api.Reject.as_view(),
        name="queue-reject",
    ),
    path("publishing/audit/<uuid:workspace_id>", api.Audit.as_view(), name="audit"),
    path("api/schema", api_docs.Schema.as_view(), name="api-schema"),
    path("api/docs", api_docs.Docs.as_view(), name="api-docs"),
]

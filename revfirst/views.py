"""Pages that belong to no app: health, version, metrics."""

from django.conf import settings
from django.db import DatabaseError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.utils.crypto import constant_time_compare
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST

from revfirst import health, metrics


@never_cache
@require_safe
def health_view(request: HttpRequest) -> JsonResponse:
    """200 when every check is well, else 503; says which."""
    found = health.run_checks()
    well = all(check.ok for check in found.values())
    body = {
        "status": "ok" if well else "failing",
        "checks": {name: {"ok": c.ok, "detail": c.detail} for name, c in found.items()},
    }
    return JsonResponse(body, status=200 if well else 503)


@never_cache
@require_safe
def live_view(request: HttpRequest) -> JsonResponse:
    """200 while this process answers; asks nobody else."""
    return JsonResponse({"status": "ok"})


@require_safe
def version_view(request: HttpRequest) -> JsonResponse:
    """Name, version, commit, environment."""
    return JsonResponse(health.version())


@never_cache
@require_safe
def metrics_view(request: HttpRequest) -> HttpResponse:
    """Prometheus text; asks for the bearer `METRICS_TOKEN` when one is set."""
    if not settings.METRICS_ENABLED:
        raise Http404
    if settings.METRICS_TOKEN:
        given = request.headers.get("Authorization", "")
        if not constant_time_compare(given, f"Bearer {settings.METRICS_TOKEN}"):
            return JsonResponse(
                {"code": "unauthorized", "detail": "A bearer is needed."}, status=401
            )
    try:
        text = metrics.exposition()
    except DatabaseError:  # half of the numbers would look like all of them
        return JsonResponse(
            {"code": "unavailable", "detail": "The database does not answer."}, status=503
        )
    return HttpResponse(text, content_type=CONTENT_TYPE_LATEST)

"""The one place that knows which HTTP number an error has."""

import logging
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import OperationalError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.http import http_date
from django.views import defaults
from rest_framework import exceptions, serializers
from rest_framework.response import Response
from rest_framework.views import exception_handler, set_rollback

from revfirst.errors import Conflict, Invalid, Missing, Refused, RevFirstError, Unavailable
from revfirst.storable import storable_text

logger = logging.getLogger(__name__)


class Input(serializers.Serializer[Any]):
    """What a caller sends; a field that nobody asked for is refused by its name."""

    def to_internal_value(self, data: Any) -> Any:
        """The fields' values. Raises ValidationError."""
        unknown = set(data) - set(self.fields) if isinstance(data, Mapping) else set()
        if unknown:
            told = [exceptions.ErrorDetail("There is no such field.", code="unknown")]
            names = (storable_text(str(name))[:60] for name in sorted(unknown)[:20])
            raise exceptions.ValidationError(dict.fromkeys(names, told))
        return super().to_internal_value(data)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """A path that leads nowhere: a page for people under /admin/, JSON for programs elsewhere."""
    if request.path.startswith("/admin/"):
        return defaults.page_not_found(request, exception)
    return JsonResponse({"code": "not_found", "detail": "There is nothing here."}, status=404)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """What no view wants to read: a foreign host name, a thousand parameters."""
    if request.path.startswith("/admin/"):
        return defaults.bad_request(request, exception)
    return JsonResponse({"code": "bad_request", "detail": "That cannot be read."}, status=400)


def failed(request: HttpRequest) -> HttpResponse:
    """Something of ours broke; what, stands in the log."""
    if request.path.startswith("/admin/"):
        return defaults.server_error(request)
    return JsonResponse({"code": "error", "detail": "Something went wrong here."}, status=500)


STATUS = {Missing: 404, Refused: 403, Conflict: 409, Invalid: 422, Unavailable: 503}


def status_of(error: RevFirstError) -> int:
    """The HTTP status of one of our errors; 400 for a family that has none."""
    return next((number for family, number in STATUS.items() if isinstance(error, family)), 400)


def handle_exception(error: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's exception handler: `{"code", "detail", "fields"?}` for every error; None is a 500."""
    if isinstance(error, RevFirstError):
        set_rollback()
        told = {"code": error.code, "detail": str(error)}
        return Response(told, status=status_of(error), headers=_when(error))
    if isinstance(error, OperationalError):  # a lock that somebody holds, or no database at all
        logger.error("database_unavailable", exc_info=error)
        return Response({"code": "unavailable", "detail": "Try again in a moment."}, status=503)
    response = exception_handler(error, context)
    if response is None:
        return None
    if isinstance(error, exceptions.ValidationError):
        response.data = {
            "code": "invalid",
            "detail": "Some fields need attention.",
            "fields": error.get_full_details(),
        }
    elif isinstance(error, exceptions.APIException):
        response.data = {"code": error.get_codes(), "detail": str(error.detail)}
    else:  # Http404 and PermissionDenied of Django itself
        code = "not_found" if response.status_code == 404 else "permission_denied"
        response.data = {"code": code, "detail": str(response.data.get("detail", code))}
    return response


def _when(error: RevFirstError) -> dict[str, str]:
    """`Retry-After`, where the error says until when."""
    until = getattr(error, "not_before", None)
    return {"Retry-After": http_date(until.timestamp())} if isinstance(until, datetime) else {}

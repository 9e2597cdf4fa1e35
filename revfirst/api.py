"""The one place that knows which HTTP number an error has."""

from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views import defaults
from rest_framework import exceptions
from rest_framework.parsers import JSONParser
from rest_framework.response import Response
from rest_framework.views import exception_handler, set_rollback

from revfirst.errors import Conflict, Invalid, Missing, Refused, RevFirstError, Unavailable


class DeepJSONParser(JSONParser):
    """JSON, where nesting beyond measure is bad input like any other."""

    def parse(self, *args: Any, **kwargs: Any) -> Any:
        """The body's value. Raises ParseError."""
        try:
            return super().parse(*args, **kwargs)
        except RecursionError:
            raise exceptions.ParseError("JSON parse error - it is nested too deeply.") from None


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """A path that leads nowhere: a page for people under /admin/, JSON for programs elsewhere."""
    if request.path.startswith("/admin/"):
        return defaults.page_not_found(request, exception)
    return JsonResponse({"code": "not_found", "detail": "There is nothing here."}, status=404)


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
        return Response({"code": error.code, "detail": str(error)}, status=status_of(error))
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

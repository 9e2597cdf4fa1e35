"""How the OpenAPI document tells what every view of the API shares: scopes, errors, both ways in."""

from __future__ import annotations

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from rest_framework import serializers
from rest_framework.permissions import AllowAny

from workspaces.permissions import scope_of

ERRORS = {
    400: "The request cannot be read, or `fields` need attention.",
    401: "Nobody is signed in, and no live API key came.",
    403: "Not allowed: the role, the key's scope, or the route takes no key.",
    404: "Missing: there is no such thing, or it belongs to a workspace that is not yours.",
    406: "The answer is JSON, and `Accept` does not take it.",
    409: "Not in the present state: edited, decided or used in the meantime, held by a gate, or X said no.",
    413: "The body is too large.",
    415: "The body is no JSON.",
    422: "Read, but not usable: X would not take the text, for one.",
    429: "Too often: `Retry-After` says how many seconds to wait.",
    503: "Something that this depends on does not answer: try again.",
}


def null_or_a_shape(result: Any, **_: Any) -> Any:
    """A field that is null or a shape says so: in OpenAPI 3.0, `nullable` widens nothing that is referred to."""
    null = {"type": "object", "nullable": True, "enum": [None]}
    for shape in result["components"]["schemas"].values():
        for field in shape.get("properties", {}).values():
            if field.get("nullable") and "allOf" in field:
                del field["nullable"]
                field["oneOf"] = [*field.pop("allOf"), null]
    return result


class ErrorShape(serializers.Serializer[Any]):
    """Every error has this shape."""

    code = serializers.CharField(help_text="Stable, for programs.")
    detail = serializers.CharField(help_text="A sentence for people.")
    fields = serializers.DictField(  # type: ignore[assignment]
        required=False, help_text="What is wrong with which field."
    )


class ApiKeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """An API key as a bearer."""

    target_class = "workspaces.authentication.ApiKeyAuthentication"
    name = "apiKey"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, Any]:
        """How the document names it."""
        told = (
            "A key of one workspace, made in the admin: it acts for its maker, within its scopes."
        )
        return {"type": "http", "scheme": "bearer", "description": told}


class SessionScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """A person who is signed in."""

    target_class = "rest_framework.authentication.SessionAuthentication"
    name = "session"
    priority = 1

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, Any]:
        """How the document names it."""
        told = "The admin's session; what changes something needs the X-CSRFToken header as well."
        return {"type": "apiKey", "in": "cookie", "name": "sessionid", "description": told}


class ApiSchema(AutoSchema):
    """A view's operation, with what its scope and our errors add."""

    def get_operation(self, *args: Any, **kwargs: Any) -> dict[str, Any] | None:
        """As the framework tells it, and each error that may come."""
        operation = super().get_operation(*args, **kwargs)
        if operation is None:
            return None
        error = self.resolve_serializer(ErrorShape(), "response").ref
        for status in self._errors(operation):
            operation["responses"].setdefault(
                str(status),
                {
                    "description": ERRORS[status],
                    "content": {"application/json": {"schema": error}},
                },
            )
        return operation

    def get_auth(self) -> list[dict[str, Any]]:
        """No key where the view names no scope; nothing at all where it is open."""
        if self._is_open:
            super().get_auth()
            return [{}]
        auths = super().get_auth()
        return [each for each in auths if self._scope or ApiKeyScheme.name not in each]

    def get_operation_id(self) -> str:
        """The view's name and the method's."""
        return f"{type(self.view).__name__.lower()}_{self.method.lower()}"

    def get_description(self) -> str:  # type: ignore[override]
        """The method's own words, and who gets in."""
        return f"{super().get_description()}\n\n{self._who}"

    def get_summary(self) -> str:
        """The view's first line."""
        return (self.view.__doc__ or "").strip().partition("\n")[0].rstrip(".")

    def get_serializer_name(self, serializer: Any, direction: str) -> str:
        """The class's name without what only the code needs to tell things apart."""
        return type(serializer).__name__.removesuffix("Shape").removesuffix("Input")

    @property
    def _scope(self) -> str | None:
        return scope_of(self.view, self.method)

    @property
    def _is_open(self) -> bool:
        return any(isinstance(each, AllowAny) for each in self.view.get_permissions())

    @property
    def _who(self) -> str:
        if self._is_open:
            return "Open to everybody."
        if self._scope is None:
            return "A session only: no API key gets in."
        return f"Scope of a key: `{self._scope}`."

    def _errors(self, operation: dict[str, Any]) -> list[int]:
        statuses = {400, 403, 404, 406, 429, 503}
        # Who comes back from X is known by the state: it may be used up, and its person out of the team.
        statuses |= {409} if self._is_open else {401}
        if "requestBody" in operation:
            statuses |= {409, 413, 415, 422}
        return sorted(statuses)

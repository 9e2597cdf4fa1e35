"""The OpenAPI document, and a page that reads it to people who are signed in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.contrib import admin
from django.contrib.auth.views import redirect_to_login
from django.http import HttpResponseBase
from django.template.response import TemplateResponse
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from drf_spectacular.generators import SchemaGenerator
from rest_framework.exceptions import NotAuthenticated
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from workspaces.api import ApiView
from workspaces.permissions import HasScope, IsMemberSomewhere


def document() -> dict[str, Any]:
    """The OpenAPI document of every route, whoever asks."""
    made: dict[str, Any] = SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
    return made


@method_decorator(never_cache, name="dispatch")
class Schema(ApiView):
    """The OpenAPI document (somebody who belongs to a workspace)."""

    schema = None
    permission_classes = (HasScope, IsMemberSomewhere)

    def get(self, request: Request) -> Response:
        """The document."""
        return Response(document())


class WhateverIsAsked(DefaultContentNegotiation):
    """A page for whoever asks; in JSON, there is nothing of it but errors."""

    def select_renderer(
        self, request: Request, renderers: Any, format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        """The first, whatever is accepted."""
        return renderers[0], renderers[0].media_type


@method_decorator(never_cache, name="dispatch")
class Docs(ApiView):
    """The document as a page of the admin."""

    schema = None
    content_negotiation_class = WhateverIsAsked
    permission_classes = (HasScope, IsMemberSomewhere)

    def get(self, request: Request) -> HttpResponseBase:
        """The page."""
        context = {
            **admin.site.each_context(request),
            **page_of(document()),
            "title": "API",
        }
        return TemplateResponse(request, "workspaces/api_docs.html", context)

    def handle_exception(self, exc: Exception) -> Any:
        """As everywhere, but a browser in which nobody is signed in is led to the login."""
        accepted = self.request.headers.get("Accept", "")
        if isinstance(exc, NotAuthenticated) and "text/html" in accepted:
            return redirect_to_login(self.request.path)
        return super().handle_exception(exc)


def page_of(schema: dict[str, Any]) -> dict[str, Any]:
    """What the page loops over: operations, ways in, and shapes."""
    components = schema["components"]
    return {
        "operations": list(_operations(schema)),
        "ways_in": components["securitySchemes"],
        "shapes": [
            {
                "name": name,
                "description": _plain(shape.get("description", "")),
                "fields": _fields(shape),
            }
            for name, shape in components["schemas"].items()
            if "properties" in shape
        ],
    }


def _operations(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            said, _, who = operation["description"].rpartition("\n\n")
            yield {
                "id": operation["operationId"],
                "method": method.upper(),
                "path": path,
                "summary": operation["summary"],
                "said": _plain(said),
                "who": _plain(who),
                "parameters": [_parameter(each) for each in operation.get("parameters", [])],
                "body": _shape_in(operation.get("requestBody", {})),
                "answers": [
                    {
                        "status": status,
                        "says": _plain(each["description"]),
                        "shape": _shape_in(each),
                    }
                    for status, each in sorted(operation["responses"].items())
                ],
            }


def _parameter(parameter: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": parameter["name"],
        "where": parameter["in"],
        "type": _type(parameter["schema"]),
        "required": parameter.get("required", False),
        "description": _plain(parameter.get("description", "")),
    }


def _plain(text: str) -> str:
    """Markdown's only sign that we use means nothing on a page."""
    return text.replace("`", "")


def _shape_in(part: dict[str, Any]) -> str:
    """The name of the shape that a body has; blank where it has none."""
    for media in part.get("content", {}).values():
        return _name(media.get("schema", {}))
    return ""


def _name(schema: dict[str, Any]) -> str:
    return str(schema.get("$ref", "")).rpartition("/")[2]


def _fields(shape: dict[str, Any]) -> list[dict[str, Any]]:
    required = shape.get("required", [])
    return [
        {
            "name": name,
            "type": _type(field),
            "required": name in required,
            "description": _plain(field.get("description", "").partition("\n")[0]),
        }
        for name, field in shape["properties"].items()
    ]


def _type(schema: dict[str, Any]) -> str:
    """A field's type in a few words."""
    for few in ("allOf", "oneOf", "anyOf"):
        if few in schema:
            return " or ".join(_type(each) for each in schema[few])
    if "$ref" in schema:
        return _name(schema)
    if "enum" in schema:
        return ", ".join("null" if each is None else str(each) for each in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_type(schema['items'])}"
    word = schema.get("format") or schema.get("type", "anything")
    return f"{word} or null" if schema.get("nullable") else str(word)

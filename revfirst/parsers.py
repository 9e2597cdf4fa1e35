"""What a request's body may be.

Apart from revfirst.api: the framework's own views load this module while they are being loaded.
"""

from collections.abc import Mapping
from typing import IO, Any

from rest_framework import exceptions
from rest_framework.parsers import JSONParser

LARGEST_BODY = 65_536


class BodyTooLarge(exceptions.APIException):
    """More than any request of ours needs."""

    status_code = 413
    default_code = "too_large"
    default_detail = f"The body is larger than {LARGEST_BODY:,} bytes."


class DeepJSONParser(JSONParser):
    """JSON in UTF-8; a body beyond measure, in length or in depth, is bad input like any other."""

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        """The body's value. Raises ParseError or BodyTooLarge."""
        context = dict(parser_context or {})
        # No more than this many bytes is read of a request, and none where it names no length.
        length = context["request"].META.get("CONTENT_LENGTH") or "0"
        if not length.isdecimal() or int(length) > LARGEST_BODY:
            raise BodyTooLarge
        # RFC 8259: UTF-8 alone. A codec that the caller names may take long, or mean something else.
        context["encoding"] = "utf-8"
        try:
            return super().parse(stream, media_type, context)
        except RecursionError:
            raise exceptions.ParseError("JSON parse error - it is nested too deeply.") from None

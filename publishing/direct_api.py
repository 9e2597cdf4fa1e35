"""Publishing over HTTP without an approval: shut unless it is opened, and never open in production.

Who asks, whether it is open, and the internal key are looked at before what is asked for.
"""

from __future__ import annotations

import re
from typing import Any

from django.conf import settings
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from publishing import services
from publishing.api import TextField, read
from publishing.errors import DirectPublishingDisabled, InvalidInternalKey
from publishing.models import QueueItem
from publishing.states import State
from revfirst.api import Input
from workspaces.api import ApiView, actor_of, person_of, workspace_of
from workspaces.models import ApiKey, Workspace
from workspaces.services import check_operator
from x_integration.client import XClient

LONGEST_KEY = 200
_PRINTABLE = re.compile(rf"[\x20-\x7e]{{1,{LONGEST_KEY}}}")
_TAKEN_UP = (State.PENDING, State.APPROVED, State.HANDED_OFF)
_ANSWERS = {
    State.PUBLISHED: (201, ""),
    State.UNCONFIRMED: (202, "X may have it: we look before anybody sends it again."),
    State.PUBLISHING: (409, "This Idempotency-Key is being worked on: ask again in a moment."),
    **dict.fromkeys(_TAKEN_UP, (202, "A person has taken it up: it may be published yet.")),
}
_FAILED = (502, "X did not take it.")


class Where(serializers.Serializer[Any]):
    """The workspace alone, of whatever else was sent."""

    workspace_id = serializers.UUIDField()


class DirectPostInput(Input):
    """What is published, and where."""

    workspace_id = serializers.UUIDField()
    text = TextField()


class DirectReplyInput(DirectPostInput):
    """What is said, where, and to which post."""

    in_reply_to_tweet_id = serializers.RegexField(r"^[0-9]{1,19}$")


class DirectShape(serializers.Serializer[Any]):
    """The item as it stands now."""

    number = serializers.IntegerField()
    state = serializers.ChoiceField(choices=State.choices)
    x_post_id = serializers.CharField(allow_null=True)
    code = serializers.CharField(allow_null=True, help_text="What kept it from being published.")
    words = serializers.CharField(allow_null=True, help_text="X's own words.")
    detail = serializers.CharField(
        required=False, help_text="A sentence, where it is not published."
    )


_HEADERS = [
    OpenApiParameter("X-Internal-Key", str, OpenApiParameter.HEADER, required=True),
    OpenApiParameter(
        "Idempotency-Key",
        str,
        OpenApiParameter.HEADER,
        description="At most 200 printable ASCII characters: the same key is never published twice.",
    ),
]
_RESPONSES = {
    201: OpenApiResponse(DirectShape, "Published."),
    202: OpenApiResponse(DirectShape, "Unconfirmed: X may have it, or it may be sent again."),
    502: OpenApiResponse(DirectShape, "X did not take it."),
}


@method_decorator(never_cache, name="dispatch")
class DirectPost(ApiView):
    """Publish a post without an approval (owner, admin; not in production)."""

    scope = ApiKey.Scope.PUBLISH_DIRECT

    @extend_schema(request=DirectPostInput, parameters=_HEADERS, responses=_RESPONSES)
    def post(self, request: Request) -> Response:
        """Publish now, through every gate but the approval; the answer says what X made of it."""
        return _publish(request, DirectPostInput)


@method_decorator(never_cache, name="dispatch")
class DirectReply(ApiView):
    """Publish a reply without an approval (owner, admin; not in production)."""

    scope = ApiKey.Scope.PUBLISH_DIRECT

    @extend_schema(request=DirectReplyInput, parameters=_HEADERS, responses=_RESPONSES)
    def post(self, request: Request) -> Response:
        """Publish now, through every gate but the approval; the answer says what X made of it."""
        return _publish(request, DirectReplyInput)


def _publish(request: Request, shape: type[Input]) -> Response:
    workspace = _admitted(request)
    given = read(shape, request.data)
    item = services.publish_directly(
        workspace,
        text=given["text"],
        in_reply_to=given.get("in_reply_to_tweet_id"),
        actor=actor_of(request),
        x=XClient(),
        clock=timezone.now,
        idempotency_key=idempotency_key(request),
    )
    return answer(item)


def _admitted(request: Request) -> Workspace:
    """The workspace, for an operator of it, while the door is open, with the internal key."""
    where = Where(data=request.data)
    where.is_valid(raise_exception=True)
    workspace = workspace_of(request, where.validated_data["workspace_id"])
    check_operator(person_of(request), workspace)
    if not settings.PUBLISHING_DIRECT_API_ENABLED:
        raise DirectPublishingDisabled
    ours = settings.PUBLISHING_DIRECT_API_INTERNAL_KEY
    if not ours or not constant_time_compare(request.headers.get("X-Internal-Key", ""), ours):
        raise InvalidInternalKey
    return workspace


def idempotency_key(request: Request) -> str:
    """The header's value; blank where there is none. Raises ValidationError."""
    given = request.headers.get("Idempotency-Key")
    if given is not None and not _PRINTABLE.fullmatch(given):
        told = f"From 1 to {LONGEST_KEY} printable ASCII characters."
        raise ValidationError({"Idempotency-Key": told})
    return given or ""


def answer(item: QueueItem) -> Response:
    """What the caller learns of the item as it stands; what is no success has the shape of an error."""
    status, detail = _ANSWERS.get(State(item.state), _FAILED)
    body: dict[str, Any] = {
        "number": item.number,
        "state": item.state,
        "x_post_id": item.x_post_id or None,
        "code": item.last_error or None,
        "words": item.last_words or None,
    }
    if status == 409:
        body["code"] = "in_progress"
    if status == 502:
        body["code"] = item.last_error or "not_published"
    if detail:
        body["detail"] = detail
    return Response(body, status=status)

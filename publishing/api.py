"""The queue and the audit log over HTTP. No route approves."""

from __future__ import annotations

from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from django.db.models import Model, QuerySet
from django.urls import reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from publishing import services
from publishing.errors import ItemNotFound, SourcePostNotFound
from publishing.models import Kind, QueueItem
from publishing.services.times import FURTHEST_AHEAD
from publishing.shapes import (
    AuditPageShape,
    ItemInFullShape,
    QueuePageShape,
    event_body,
    item_body,
    item_in_full,
)
from publishing.states import State
from revfirst.api import Input
from workspaces.api import ApiView, actor_of, workspace_of
from workspaces.models import ApiKey, AuditEvent, Workspace
from x_integration.models import SourcePost

Scope = ApiKey.Scope
Row = TypeVar("Row", bound=Model)
LARGEST_PAGE = 100
WINDOW = 1000
"""Numbers that one page looks through for a kind, which no index knows."""


class PageInput(Input):
    """Where a page begins, and how long it is."""

    cursor = serializers.IntegerField(
        min_value=1,
        max_value=2**63 - 1,
        required=False,
        help_text="`next_cursor` of the page before.",
    )
    limit = serializers.IntegerField(min_value=1, max_value=LARGEST_PAGE, default=50)


class VersionField(serializers.IntegerField):
    """The version of an item that was seen."""

    def __init__(self, **kwargs: Any) -> None:
        """Whatever fits the column."""
        super().__init__(min_value=1, max_value=2**31 - 1, **kwargs)


class TextField(serializers.CharField):
    """A text as it will stand on X: kept as it is sent, measured by the service."""

    def __init__(self, **kwargs: Any) -> None:
        """No blanks are cut off."""
        super().__init__(trim_whitespace=False, max_length=10_000, **kwargs)

    def to_internal_value(self, data: Any) -> str:
        """The text; a number has more than one spelling, so it is none. Raises ValidationError."""
        if not isinstance(data, str):
            self.fail("invalid")
        return str(super().to_internal_value(data))


@method_decorator(never_cache, name="dispatch")
class Queue(ApiView):
    """The queue of a workspace (member)."""

    scope = {"GET": Scope.QUEUE_READ, "POST": Scope.QUEUE_PROPOSE}

    class Filters(PageInput):
        """Which items, and which page of them."""

        state = serializers.ChoiceField(choices=State.choices, required=False)
        kind = serializers.ChoiceField(choices=Kind.choices, required=False)

    class Proposal(Input):
        """A reply, where it names the post that it answers, or a post."""

        text = TextField()
        source_post_id = serializers.RegexField(
            r"^[0-9]{1,19}$",
            required=False,
            allow_null=True,
            help_text="X's id of a stored post that somebody said to this workspace.",
        )
        scheduled_for = serializers.DateTimeField(
            required=False,
            allow_null=True,
            help_text="Of a post: in the future, within a publish window, half an hour from other posts.",
        )

        def validate_scheduled_for(self, instant: datetime | None) -> datetime | None:
            """The instant; an approval must be able to outlive it. Raises ValidationError."""
            if instant and instant > timezone.now() + FURTHEST_AHEAD:
                raise serializers.ValidationError("That is more than ten years ahead.")
            return instant

    @extend_schema(parameters=[Filters], responses=QueuePageShape)
    def get(self, request: Request, workspace_id: UUID) -> Response:
        """A page of the queue, newest first.

        With `kind`, a page may hold fewer items than `limit`, or none, and still have a next one.
        """
        asked = read(self.Filters, request.query_params)
        workspace = workspace_of(request, workspace_id)
        items, next_cursor = _queue_page(workspace, asked)
        now = timezone.now()
        bodies = [item_body(item, now=now) for item in items]
        return Response({"items": bodies, "next_cursor": next_cursor})

    @extend_schema(request=Proposal, responses={201: ItemInFullShape})
    def post(self, request: Request, workspace_id: UUID) -> Response:
        """Put a reply or a post into the queue; it waits there for a person's approval."""
        given = read(self.Proposal, request.data)
        workspace, now = workspace_of(request, workspace_id), timezone.now()
        item = services.propose_item(
            workspace,
            text=given["text"],
            source_post=_source_post(workspace, given.get("source_post_id")),
            scheduled_for=given.get("scheduled_for"),
            actor=actor_of(request),
            now=now,
        )
        where = reverse("queue-item", args=[workspace.pk, item.number])
        return Response(item_in_full(item, now=now), status=201, headers={"Location": where})


@method_decorator(never_cache, name="dispatch")
class Item(ApiView):
    """One item of the queue (member; to edit: owner, admin)."""

    scope = {"GET": Scope.QUEUE_READ, "PATCH": Scope.QUEUE_EDIT}

    class Edit(Input):
        """The new text, the version of the item that was seen, and for a post of our own another time."""

        version = VersionField()
        text = TextField()
        scheduled_for = serializers.DateTimeField(
            required=False, help_text="As for a proposal; left out, the time stays as it is."
        )

    @extend_schema(responses=ItemInFullShape)
    def get(self, request: Request, workspace_id: UUID, number: int) -> Response:
        """The item, its latest approval and its tries, and what holds it."""
        item = _item(workspace_of(request, workspace_id), number)
        return Response(item_in_full(item, now=timezone.now()))

    @extend_schema(request=Edit, responses=ItemInFullShape)
    def patch(self, request: Request, workspace_id: UUID, number: int) -> Response:
        """Change text or time: an approval becomes void, and the item waits for a person again."""
        given = read(self.Edit, request.data)
        item = _item(workspace_of(request, workspace_id), number)
        now = timezone.now()
        edited = services.edit_item(item.pk, **given, actor=actor_of(request), now=now)
        return Response(item_in_full(edited, now=now))


@method_decorator(never_cache, name="dispatch")
class Reject(ApiView):
    """Decide that an item is not published (owner, admin)."""

    scope = Scope.QUEUE_EDIT

    class Rejection(Input):
        """Why, and the version of the item that was seen."""

        version = VersionField()
        reason = serializers.CharField(max_length=200)

    @extend_schema(request=Rejection, responses=ItemInFullShape)
    def post(self, request: Request, workspace_id: UUID, number: int) -> Response:
        """Reject the item, which is final."""
        given = read(self.Rejection, request.data)
        item = _item(workspace_of(request, workspace_id), number)
        now = timezone.now()
        rejected = services.reject_item(item.pk, **given, actor=actor_of(request), now=now)
        return Response(item_in_full(rejected, now=now))


@method_decorator(never_cache, name="dispatch")
class Audit(ApiView):
    """What happened in a workspace (member)."""

    scope = Scope.AUDIT_READ

    class Filters(PageInput):
        """Which rows, and which page of them."""

        type = serializers.CharField(
            max_length=60, required=False, help_text="Such as item.approve."
        )
        subject = serializers.CharField(max_length=60, required=False, help_text="Such as item:42.")

    @extend_schema(parameters=[Filters], responses=AuditPageShape)
    def get(self, request: Request, workspace_id: UUID) -> Response:
        """A page of the audit log, newest first; each row has the hash of the one before."""
        asked = read(self.Filters, request.query_params)
        workspace = workspace_of(request, workspace_id)
        rows = AuditEvent.objects.filter(chain=str(workspace.pk), **_only(asked, "type", "subject"))
        events, next_cursor = _page(rows, "seq", asked)
        return Response(
            {"events": [event_body(event) for event in events], "next_cursor": next_cursor}
        )


def read(shape: type[Input], data: Any) -> dict[str, Any]:
    """What the caller sent, checked. Raises ValidationError."""
    given = shape(data=data)
    given.is_valid(raise_exception=True)
    return dict(given.validated_data)


def _only(given: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: given[name] for name in names if name in given}


def _item(workspace: Workspace, number: int) -> QueueItem:
    rows = QueueItem.objects.filter(workspace=workspace, number=number)
    item = rows.select_related("source_post", "written_by").first()
    if item is None:
        raise ItemNotFound
    return item


def _source_post(workspace: Workspace, x_post_id: str | None) -> SourcePost | None:
    if x_post_id is None:
        return None
    standing = SourcePost.objects.standing()
    post = standing.filter(workspace=workspace, x_post_id=x_post_id).first()
    if post is None:
        raise SourcePostNotFound
    return post


def _queue_page(workspace: Workspace, asked: dict[str, Any]) -> tuple[list[QueueItem], str | None]:
    """A page and the next one's cursor, in a number of steps that the queue's length does not change."""
    rows = QueueItem.objects.filter(workspace=workspace, **_only(asked, "state"))
    rows = rows.select_related("source_post").defer("block_reasons", "source_post__payload")
    if "kind" not in asked:
        return _page(rows, "number", asked)
    newest = rows.order_by("-number").values_list("number", flat=True).first() or 0
    floor = min(asked.get("cursor", newest + 1), newest + 1) - WINDOW
    items, next_cursor = _page(rows.filter(kind=asked["kind"], number__gte=floor), "number", asked)
    return items, next_cursor or (str(floor) if floor > 1 else None)


def _page(rows: QuerySet[Row], key: str, asked: dict[str, Any]) -> tuple[list[Row], str | None]:
    """The rows below the cursor, the greatest `key` first, and the cursor of those that follow."""
    if "cursor" in asked:
        rows = rows.filter(**{f"{key}__lt": asked["cursor"]})
    found = list(rows.order_by(f"-{key}")[: asked["limit"] + 1])
    shown = found[: asked["limit"]]
    return shown, str(getattr(shown[-1], key)) if len(found) > len(shown) else None

"""How the API shows the queue and the audit log."""

from datetime import datetime
from typing import Any

from rest_framework import serializers

from publishing.models import Approval, Kind, PublishAttempt, QueueItem
from publishing.services import price_of_item, why_refused
from publishing.states import Outcome, State
from workspaces.models import AuditEvent
from x_integration.models import SourcePost


class SourcePostShape(serializers.Serializer[SourcePost]):
    """What somebody said on X."""

    x_post_id = serializers.CharField()
    author_username = serializers.CharField()
    text = serializers.CharField()
    lang = serializers.CharField()
    posted_at = serializers.DateTimeField()
    eligibility = serializers.ChoiceField(choices=SourcePost.Eligibility.choices)
    eligibility_reason = serializers.CharField()
    may_be_answered = serializers.BooleanField()
    url = serializers.CharField()


class ItemShape(serializers.Serializer[QueueItem]):
    """An item as a page of the queue shows it."""

    number = serializers.IntegerField(help_text="Its name within the workspace.")
    version = serializers.IntegerField(help_text="Grows with every edit; a decision names it.")
    kind = serializers.ChoiceField(choices=Kind.choices)
    state = serializers.ChoiceField(choices=State.choices)
    text = serializers.CharField()
    source_post = SourcePostShape(allow_null=True)
    origin = serializers.CharField()
    scheduled_for = serializers.DateTimeField(allow_null=True)
    created_at = serializers.DateTimeField()
    moved_at = serializers.DateTimeField(help_text="When it came into its state.")
    blocked_reason = serializers.CharField(allow_null=True)
    blocked_because = serializers.CharField(
        allow_null=True, help_text="What is wrong with the text, where that holds it back."
    )
    not_before = serializers.DateTimeField(allow_null=True)
    x_post_id = serializers.CharField(allow_null=True)
    price_usd = serializers.CharField(help_text="What X charges for it as it reads now.")


class ApprovalShape(serializers.Serializer[Approval]):
    """Somebody's yes to one exact content."""

    approved_by = serializers.CharField()
    approved_at = serializers.DateTimeField()
    door = serializers.CharField()
    version = serializers.IntegerField()
    expires_at = serializers.DateTimeField()
    content_hash = serializers.CharField()
    status = serializers.ChoiceField(choices=["live", "void", "used", "expired"])


class AttemptShape(serializers.Serializer[PublishAttempt]):
    """One try to publish, and what came of it."""

    number = serializers.IntegerField()
    outcome = serializers.ChoiceField(choices=Outcome.choices)
    started_at = serializers.DateTimeField()
    settled_at = serializers.DateTimeField(allow_null=True)
    code = serializers.CharField(allow_null=True)
    words = serializers.CharField(allow_null=True, help_text="X's own words.")
    x_post_id = serializers.CharField(allow_null=True)


class ItemInFullShape(ItemShape):
    """An item with its latest approval and its tries, the newest first."""

    written_by = serializers.CharField(allow_null=True)
    needs_person = serializers.BooleanField(help_text="It waits for somebody to look at it.")
    decision_reason = serializers.CharField(allow_null=True)
    approval = ApprovalShape(allow_null=True)
    attempts = AttemptShape(many=True)


class QueuePageShape(serializers.Serializer[Any]):
    """A page of the queue, newest first."""

    items = ItemShape(many=True)
    next_cursor = serializers.CharField(allow_null=True, help_text="Null on the last page.")


class EventShape(serializers.Serializer[AuditEvent]):
    """One row of the audit log."""

    chain = serializers.CharField()
    seq = serializers.IntegerField()
    at = serializers.DateTimeField()
    type = serializers.CharField()
    subject = serializers.CharField()
    actor = serializers.CharField()
    door = serializers.CharField()
    data = serializers.DictField()  # type: ignore[assignment]
    hash = serializers.CharField()
    prev_hash = serializers.CharField()


class AuditPageShape(serializers.Serializer[Any]):
    """A page of the audit log, newest first."""

    events = EventShape(many=True)
    next_cursor = serializers.CharField(allow_null=True, help_text="Null on the last page.")


_ATTEMPTS_SHOWN = 50
_POST_FIELDS = tuple(SourcePostShape().fields)
_EVENT_FIELDS = tuple(EventShape().fields)
_ITEM_FIELDS = (
    "number",
    "version",
    "kind",
    "state",
    "text",
    "origin",
    "scheduled_for",
    "created_at",
    "moved_at",
    "not_before",
)


def item_body(item: QueueItem, *, now: datetime) -> dict[str, Any]:
    """The item in short; asks the database for nothing that came with it."""
    post = item.source_post
    return {
        **{name: getattr(item, name) for name in _ITEM_FIELDS},
        "source_post": post and {name: getattr(post, name) for name in _POST_FIELDS},
        "blocked_reason": item.blocked_reason or None,
        "blocked_because": why_refused(item) or None,
        "x_post_id": item.x_post_id or None,
        "price_usd": str(price_of_item(item, now=now).usd),
    }


def item_in_full(item: QueueItem, *, now: datetime) -> dict[str, Any]:
    """The item with its latest approval and its tries."""
    approval = item.approvals.select_related("approved_by").order_by("-pk").first()
    attempts = item.attempts.order_by("-number").defer("snapshot")[:_ATTEMPTS_SHOWN]
    return {
        **item_body(item, now=now),
        "written_by": item.written_by.username if item.written_by else None,
        "needs_person": item.needs_person,
        "decision_reason": item.decision_reason or None,
        "approval": approval and _approval_body(approval, now),
        "attempts": [_attempt_body(attempt) for attempt in attempts],
    }


def event_body(event: AuditEvent) -> dict[str, Any]:
    """The row of the audit log."""
    return {name: getattr(event, name) for name in _EVENT_FIELDS}


def _approval_body(approval: Approval, now: datetime) -> dict[str, Any]:
    return {
        "approved_by": approval.approved_by.username,
        "approved_at": approval.approved_at,
        "door": approval.door,
        "version": approval.version,
        "expires_at": approval.expires_at,
        "content_hash": approval.content_hash,
        "status": _status(approval, now),
    }


def _status(approval: Approval, now: datetime) -> str:
    if approval.used_at:
        return "used"
    if approval.voided_at:
        return "void"
    return "live" if approval.expires_at > now else "expired"


def _attempt_body(attempt: PublishAttempt) -> dict[str, Any]:
    return {
        "number": attempt.number,
        "outcome": attempt.outcome,
        "started_at": attempt.started_at,
        "settled_at": attempt.settled_at,
        "code": attempt.code or None,
        "words": attempt.words or None,
        "x_post_id": attempt.x_post_id or None,
    }

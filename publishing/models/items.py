"""What we might publish, who said yes to exactly what, and what people changed in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Coalesce

from publishing.states import LIVE, State
from workspaces.models import User, Workspace
from x_integration.models import SourcePost

if TYPE_CHECKING:
    from datetime import datetime


class Kind(models.TextChoices):
    """What an item becomes on X."""

    REPLY = "reply"
    POST = "post"


class _LastByte(models.Func):
    """The last byte of a UUID, as a number."""

    template = "get_byte(decode(right(%(expressions)s::text, 2), 'hex'), 0)"
    output_field = models.IntegerField()


class QueueItemQuerySet(models.QuerySet["QueueItem"]):
    """Named reads of the queue."""

    def visible_to(self, user: User) -> QueueItemQuerySet:
        """Items of the workspaces that `user` is a member of."""
        return self.filter(workspace__memberships__user=user)

    def pending(self) -> QueueItemQuerySet:
        """Items that wait for a person."""
        return self.filter(state=State.PENDING)

    def due(self, now: datetime) -> QueueItemQuerySet:
        """Approved items that may be tried now, the longest waiting first."""
        return (
            self.filter(state=State.APPROVED)
            .filter(Q(not_before=None) | Q(not_before__lte=now))
            .filter(Q(scheduled_for=None) | Q(scheduled_for__lte=now))
            .order_by("moved_at")
        )

    def on_the_calendar(
        self, workspace: Workspace, start: datetime, end: datetime
    ) -> QueueItemQuerySet:
        """Posts of our own from `start` to before `end`; without a time, where they last moved."""
        posts = self.filter(workspace=workspace, kind=Kind.POST)
        timed = posts.alias(at=Coalesce("scheduled_for", "moved_at"))
        return timed.filter(at__gte=start, at__lt=end).order_by("at", "number")

    def that_take_a_slot(self) -> QueueItemQuerySet:
        """What keeps its place among posts of our own: planned ones that may yet go out, and published ones."""
        planned = Q(state__in=sorted(LIVE), scheduled_for__isnull=False)
        return self.filter(planned | Q(state=State.PUBLISHED))

    def of_share(self, share: int, shares: int) -> QueueItemQuerySet:
        """Items whose workspace falls to the share, of several at most 256 that divide the workspaces."""
        return self.alias(share=_LastByte("workspace_id") % shares).filter(share=share)

    def stranded(self, before: datetime) -> QueueItemQuerySet:
        """Items that have been publishing since before `before`: whoever claimed them is gone."""
        return self.filter(state=State.PUBLISHING, moved_at__lt=before)


class QueueItem(models.Model):
    """A reply or a post that we might publish; `#number` within its workspace.

    `state` moves by `publishing.services` only. `version` grows with every edit, and a decision
    names the version that was seen.
    """

    workspace = models.ForeignKey(Workspace, models.PROTECT, related_name="items")
    number = models.PositiveBigIntegerField()
    version = models.PositiveIntegerField(default=1)
    kind = models.CharField(max_length=5, choices=Kind)
    state = models.CharField(max_length=12, choices=State, default=State.PENDING)
    text = models.TextField()
    source_post = models.ForeignKey(
        SourcePost, models.PROTECT, null=True, blank=True, related_name="items"
    )
    scheduled_for = models.DateTimeField(null=True, blank=True)
    relevant_until = models.DateTimeField(
        null=True, blank=True, help_text="Afterwards it is too late to say this."
    )

    origin = models.CharField(max_length=20, help_text="template or person")
    template = models.CharField(max_length=60, blank=True)
    score = models.PositiveSmallIntegerField(
        null=True, blank=True, help_text="How much its post mattered when it was proposed, of 400."
    )
    written_by = models.ForeignKey(User, models.SET_NULL, null=True, blank=True, related_name="+")

    created_at = models.DateTimeField()
    moved_at = models.DateTimeField()
    not_before = models.DateTimeField(null=True, blank=True)
    blocked_reason = models.CharField(max_length=40, blank=True)
    block_reasons = models.JSONField(
        default=list, help_text="Reasons audited and counted so far: each counts once per item."
    )
    tries = models.PositiveSmallIntegerField(default=0)
    last_error = models.CharField(max_length=60, blank=True)
    last_words = models.CharField(max_length=400, blank=True, help_text="X's own words.")
    decision_reason = models.CharField(max_length=200, blank=True)
    x_post_id = models.CharField(max_length=19, blank=True)
    needs_person = models.BooleanField(default=False)

    objects = QueueItemQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["workspace", "number"], name="item_number_once"),
            models.UniqueConstraint(
                fields=["workspace", "source_post"],
                condition=Q(state__in=[*sorted(LIVE), State.PUBLISHED]),
                name="item_one_live_reply_per_post",
            ),
            models.UniqueConstraint(
                fields=["workspace", "x_post_id"],
                condition=~Q(x_post_id=""),
                name="item_x_post_id_once",
            ),
            models.CheckConstraint(
                condition=Q(state=State.PUBLISHED) & ~Q(x_post_id="")
                | ~Q(state=State.PUBLISHED) & Q(x_post_id=""),
                name="item_published_has_post_id",
            ),
            models.CheckConstraint(
                condition=Q(kind=Kind.REPLY, source_post__isnull=False)
                | Q(kind=Kind.POST, source_post=None),
                name="item_reply_has_source_post",
            ),
            models.CheckConstraint(condition=Q(state__in=State.values), name="item_state_known"),
        ]
        indexes = [
            models.Index(
                fields=["moved_at"], condition=Q(state=State.APPROVED), name="item_approved_due"
            ),
            models.Index(
                fields=["moved_at"], condition=Q(state=State.PUBLISHING), name="item_in_flight"
            ),
            models.Index(fields=["workspace", "state", "created_at"], name="item_queue"),
            models.Index(fields=["workspace", "state", "-number"], name="item_queue_newest"),
            models.Index(
                fields=["relevant_until"],
                condition=Q(state__in=[State.APPROVED, State.PENDING]),
                name="item_relevance",
            ),
            models.Index(
                "workspace",
                Coalesce("scheduled_for", "moved_at"),
                condition=Q(kind=Kind.POST),
                name="item_calendar",
            ),
        ]

    def __str__(self) -> str:
        return f"#{self.number}"

    @property
    def subject(self) -> str:
        """How audit rows name this item."""
        return f"item:{self.number}"

    @property
    def takes_place_at(self) -> datetime:
        """Where the calendar shows it."""
        return self.scheduled_for or self.moved_at


class Edit(models.Model):
    """What a person changed in an item's text, word by word; `version` is the one that came of it."""

    item = models.ForeignKey(QueueItem, models.CASCADE, related_name="edits")
    version = models.PositiveIntegerField()
    edited_by = models.ForeignKey(User, models.PROTECT, related_name="+")
    door = models.CharField(max_length=20)
    edited_at = models.DateTimeField()
    diff = models.JSONField(help_text='Pieces in order, each ["=", "+" or "-", words].')

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["item", "version"], name="edit_once_per_version"),
        ]

    def __str__(self) -> str:
        return f"{self.item} v{self.version} by {self.edited_by}"


class Approval(models.Model):
    """A person's yes to one exact content: frozen, hashed, and used up by one publication."""

    item = models.ForeignKey(QueueItem, models.PROTECT, related_name="approvals")
    version = models.PositiveIntegerField()
    snapshot = models.JSONField(help_text="What will be sent: account, kind, text, target, time.")
    content_hash = models.CharField(max_length=64)
    approved_by = models.ForeignKey(User, models.PROTECT, related_name="+")
    door = models.CharField(max_length=20)
    approved_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    voided_at = models.DateTimeField(null=True)
    used_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["item"],
                condition=Q(voided_at=None, used_at=None),
                name="approval_one_live_per_item",
            ),
            models.CheckConstraint(
                condition=Q(expires_at__gt=F("approved_at")), name="approval_lives_forward"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.item} v{self.version} by {self.approved_by}"

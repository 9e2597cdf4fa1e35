"""Each try to publish, and what keeps tries from going out twice or into the void."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import models
from django.db.models import Q

from publishing.models.items import Approval, Kind, QueueItem
from publishing.states import OPEN_OUTCOMES, WATCHED_OUTCOMES, Outcome
from workspaces.models import Workspace

if TYPE_CHECKING:
    from datetime import datetime


class PublishAttemptQuerySet(models.QuerySet["PublishAttempt"]):
    """Named reads of attempts."""

    def open(self) -> PublishAttemptQuerySet:
        """Attempts that published, or may have: they hold their reservations."""
        return self.filter(outcome__in=OPEN_OUTCOMES)

    def found_late(self) -> PublishAttemptQuerySet:
        """Attempts that were given up, and whose post stands on X while the item is not published."""
        return self.filter(outcome=Outcome.ABANDONED, reconciled=True)

    def to_look_for(self, now: datetime) -> PublishAttemptQuerySet:
        """Attempts whose post may yet be found and whose next look is due."""
        watched = self.filter(outcome__in=WATCHED_OUTCOMES, next_look_at__lte=now)
        return watched.order_by("next_look_at")


class PublishAttempt(models.Model):
    """One try to publish: what was sent, when, and what came of it.

    While it is open (in flight, unknown or successful) it holds its reservations: the cooldown of
    its thread and author, its place in the quotas, its price. `by_hand` is a hand-off, which a person
    posts; an attempt of the machine without an approval came through the direct API.
    """

    workspace = models.ForeignKey(Workspace, models.PROTECT, related_name="+", db_index=False)
    item = models.ForeignKey(QueueItem, models.PROTECT, related_name="attempts")
    number = models.PositiveSmallIntegerField()
    approval = models.ForeignKey(
        Approval, models.PROTECT, related_name="attempts", null=True, blank=True
    )
    by_hand = models.BooleanField(default=False)
    on_trial = models.BooleanField(
        default=False, help_text="The one try while the circuit breaker is open."
    )
    snapshot = models.JSONField()
    content_hash = models.CharField(max_length=64)
    kind = models.CharField(max_length=5, choices=Kind)
    target = models.CharField(max_length=19, blank=True, help_text="The post that it answers.")
    thread = models.CharField(max_length=19, blank=True, help_text="The target's conversation.")
    author_id = models.CharField(max_length=19, blank=True, help_text="The target's author.")
    text_hash = models.CharField(
        max_length=64, blank=True, help_text="Of the text as it is compared with the timeline."
    )
    usd = models.DecimalField(
        max_digits=8, decimal_places=4, default=0, help_text="What X charges for it."
    )
    priced_as = models.CharField(max_length=20, blank=True)
    charged = models.BooleanField(default=False, help_text="Whether the ledger has its price.")
    outcome = models.CharField(max_length=12, choices=Outcome, default=Outcome.IN_FLIGHT)
    started_at = models.DateTimeField()
    settled_at = models.DateTimeField(null=True)
    code = models.CharField(max_length=60, blank=True)
    words = models.CharField(max_length=400, blank=True)
    x_post_id = models.CharField(max_length=19, blank=True)
    reconciled = models.BooleanField(default=False)
    looks = models.PositiveSmallIntegerField(default=0)
    next_look_at = models.DateTimeField(null=True)

    objects = PublishAttemptQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["item", "number"], name="attempt_number_once"),
            models.UniqueConstraint(
                fields=["item"],
                condition=Q(outcome__in=[*OPEN_OUTCOMES]),
                name="attempt_one_open_per_item",
            ),
            models.CheckConstraint(
                condition=Q(outcome=Outcome.SUCCEEDED) & ~Q(x_post_id="")
                | ~Q(outcome=Outcome.SUCCEEDED) & Q(x_post_id=""),
                name="attempt_success_has_post_id",
            ),
            models.CheckConstraint(
                condition=Q(outcome=Outcome.IN_FLIGHT, settled_at=None)
                | ~Q(outcome=Outcome.IN_FLIGHT) & Q(settled_at__isnull=False),
                name="attempt_settled_unless_in_flight",
            ),
            models.CheckConstraint(
                condition=Q(by_hand=False) | Q(approval__isnull=False),
                name="attempt_by_hand_is_approved",
            ),
        ]
        indexes = [
            models.Index(
                fields=["next_look_at"],
                condition=Q(outcome__in=[*WATCHED_OUTCOMES]),
                name="attempt_watched",
            ),
            models.Index(
                fields=["-started_at"],
                condition=Q(by_hand=False),  # the breaker's; no gate may read along it
                name="attempt_newest",
            ),
            models.Index(fields=["workspace", "-started_at"], name="attempt_lately"),
            models.Index(
                fields=["workspace", "thread", "-started_at"],
                condition=Q(outcome__in=[*OPEN_OUTCOMES]),
                name="attempt_thread",
            ),
            models.Index(
                fields=["workspace", "author_id", "-started_at"],
                condition=Q(outcome__in=[*OPEN_OUTCOMES]),
                name="attempt_author",
            ),
            models.Index(
                fields=["workspace", "target", "text_hash"],
                condition=Q(outcome__in=[*OPEN_OUTCOMES]),
                name="attempt_content",
            ),
            models.Index(
                fields=["workspace", "target"],
                condition=Q(outcome=Outcome.ABANDONED, reconciled=True),
                name="attempt_found_late",
            ),
            models.Index(
                fields=["workspace"],
                condition=Q(outcome=Outcome.IN_FLIGHT),
                name="attempt_in_flight",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.item} try {self.number}: {self.outcome}"

    @property
    def subject(self) -> str:
        """How the ledger names it: item and number."""
        return f"{self.item.subject}/{self.number}"

    @property
    def is_direct(self) -> bool:
        """Whether it came through the direct API, which asks for no approval."""
        return self.approval_id is None


class CircuitBreaker(models.Model):
    """Open while X is silent or broken for everybody: one row, made on demand.

    Nothing is sent until `shut_until`; then one try goes, which closes it or shuts it again.
    """

    X = "x"

    name = models.CharField(max_length=20, primary_key=True, default=X)
    opened_at = models.DateTimeField(null=True, blank=True)
    shut_until = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(opened_at=None, shut_until=None)
                | Q(opened_at__isnull=False, shut_until__isnull=False),
                name="breaker_open_or_closed",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name}: {'open' if self.opened_at else 'closed'}"


class DirectRequest(models.Model):
    """A call of the direct API under an Idempotency-Key: the same key is never published twice."""

    workspace = models.ForeignKey(Workspace, models.PROTECT, related_name="+", db_index=False)
    key_hash = models.CharField(max_length=64)
    body_hash = models.CharField(max_length=64)
    item = models.OneToOneField(QueueItem, models.PROTECT, related_name="direct_request")
    created_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["workspace", "key_hash"], name="direct_request_once"),
        ]

    def __str__(self) -> str:
        return f"direct request for {self.item}"

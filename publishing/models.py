"""What we might publish, who said yes to exactly what, and each try to publish it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Coalesce

from publishing.states import LIVE, OPEN_OUTCOMES, WATCHED_OUTCOMES, Outcome, State
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


class OwnPost(QueueItem):
    """A post of our own: the items that the calendar shows."""

    class Meta:
        proxy = True
        verbose_name = "post of our own"
        verbose_name_plural = "calendar"


class PostingPlan(models.Model):
    """When a workspace says something of its own, beside its windows: one row, made on demand."""

    workspace = models.OneToOneField(
        Workspace, models.CASCADE, primary_key=True, related_name="posting_plan"
    )
    time_zone = models.CharField(max_length=60, default="UTC")
    posts_per_day = models.PositiveSmallIntegerField(default=0, help_text="The target; 0 is none.")
    late_minutes = models.PositiveSmallIntegerField(
        default=60, help_text="What is later than so many minutes is not said any more."
    )

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(posts_per_day__lte=48, late_minutes__gte=5, late_minutes__lte=1440),
                name="posting_plan_within_limits",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.workspace}: {self.posts_per_day} a day, {self.time_zone}"


class PublishWindow(models.Model):
    """Hours of a weekday in which posts of our own go out, in minutes after local midnight."""

    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="publish_windows")
    weekday = models.PositiveSmallIntegerField(help_text="0 is Monday.")
    opens = models.PositiveSmallIntegerField()
    closes = models.PositiveSmallIntegerField(help_text="1440 is midnight.")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["workspace", "weekday", "opens"], name="publish_window_once"
            ),
            models.CheckConstraint(
                condition=Q(weekday__lte=6, closes__lte=1440, opens__lt=F("closes")),
                name="publish_window_within_a_day",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.workspace}, weekday {self.weekday}: {self.opens} to {self.closes}"


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


class CandidateQuerySet(models.QuerySet["Candidate"]):
    """Named reads of candidates."""

    def waiting(self) -> CandidateQuerySet:
        """Those that nobody has looked at in their present version."""
        return self.filter(state=Candidate.State.NEW)


class Candidate(models.Model):
    """A source post on its way to a proposal: looked at once in each of its versions.

    It is proposed at most once. What was passed over for a reason that may end becomes new again, as the
    next version: when the rules changed (`rules` is their hash), or X lets us answer the post by now.
    """

    class State(models.TextChoices):
        """Where it stands."""

        NEW = "new"
        QUEUED = "queued"
        SKIPPED = "skipped"
        EXPIRED = "expired"

    source_post = models.OneToOneField(
        SourcePost, models.CASCADE, primary_key=True, related_name="candidate"
    )
    workspace = models.ForeignKey(
        Workspace, models.CASCADE, related_name="candidates", db_index=False
    )
    state = models.CharField(max_length=8, choices=State, default=State.NEW)
    reason = models.CharField(max_length=20, blank=True)
    version = models.PositiveIntegerField(default=1)
    rules = models.CharField(max_length=64)
    intent = models.CharField(max_length=20)
    score = models.PositiveSmallIntegerField()
    parts = models.JSONField(help_text="The points that make up the score.")
    found_at = models.DateTimeField()
    looked_at = models.DateTimeField(null=True, blank=True)

    objects = CandidateQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(state__in=["new", "queued", "expired"], reason="")
                | Q(state="skipped") & ~Q(reason=""),
                name="candidate_skipped_has_reason",
            ),
            models.CheckConstraint(
                condition=Q(state="new") | Q(looked_at__isnull=False),
                name="candidate_decided_was_looked_at",
            ),
        ]
        indexes = [
            models.Index(
                fields=["workspace", "-score"], condition=Q(state="new"), name="candidate_best"
            ),
            models.Index(
                fields=["workspace", "found_at"], condition=Q(state="new"), name="candidate_oldest"
            ),
            models.Index(
                fields=["workspace", "reason"],
                condition=Q(state="skipped"),
                name="candidate_skipped",
            ),
        ]

    def __str__(self) -> str:
        return str(self.source_post)


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


class OptOut(models.Model):
    """Somebody on X who asked this workspace to be left alone; nothing is sent to them."""

    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="opt_outs")
    author_id = models.CharField(max_length=19)
    author_username = models.CharField(max_length=50, blank=True)
    since = models.DateTimeField()
    noted_by = models.CharField(max_length=40)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["workspace", "author_id"], name="opt_out_once"),
        ]

    def __str__(self) -> str:
        return f"@{self.author_username or self.author_id}"


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

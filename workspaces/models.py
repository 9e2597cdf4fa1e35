"""People and the workspaces they share, the switches, the audit log and the counters."""

from __future__ import annotations

import uuid

from django.contrib.auth.models import AbstractUser
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import Q


class User(AbstractUser):
    """Somebody who can log in; what they may do in a workspace is their membership's role."""


class WorkspaceQuerySet(models.QuerySet["Workspace"]):
    """Named reads of workspaces."""

    def visible_to(self, user: User) -> WorkspaceQuerySet:
        """Workspaces that `user` is a member of; a superuser is not a member by accident."""
        return self.filter(memberships__user=user)


class Workspace(models.Model):
    """A team with one account on X, and the policy by which it publishes."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    slug = models.SlugField(unique=True)
    name = models.CharField(max_length=100)
    created_at = models.DateTimeField()

    paused_at = models.DateTimeField(null=True, blank=True)
    paused_by = models.CharField(max_length=40, blank=True)
    paused_reason = models.CharField(max_length=200, blank=True)
    contained_at = models.DateTimeField(null=True, blank=True)
    contained_reason = models.CharField(max_length=200, blank=True)
    containment_lifted_at = models.DateTimeField(null=True, blank=True)

    # The policy. Blank limits are those of the settings; the stricter of the two holds.
    four_eyes = models.BooleanField(
        default=True,
        help_text="When two or more people can approve, nobody approves their own text.",
    )
    approval_ttl_hours = models.PositiveIntegerField(
        null=True, blank=True, help_text="How long an approval lives."
    )
    thread_cooldown_minutes = models.PositiveIntegerField(
        null=True, blank=True, help_text="Between two replies of ours in one conversation."
    )
    author_cooldown_minutes = models.PositiveIntegerField(
        null=True, blank=True, help_text="Between two replies of ours to one person."
    )
    max_replies_per_hour = models.PositiveIntegerField(null=True, blank=True)
    max_replies_per_day = models.PositiveIntegerField(null=True, blank=True)
    max_consecutive_failures = models.PositiveIntegerField(
        null=True, blank=True, help_text="So many failures in a row contain the workspace."
    )
    daily_budget_usd = models.DecimalField(max_digits=12, decimal_places=2, null=True, blank=True)
    monthly_budget_usd = models.DecimalField(max_digits=12, decimal_places=2, null=True, blank=True)
    last_item_number = models.PositiveBigIntegerField(default=0, editable=False)

    objects = WorkspaceQuerySet.as_manager()

    class Meta:
        ordering = ["slug"]
        constraints = [
            # The label of the numbers that belong to no workspace.
            models.CheckConstraint(
                condition=~Q(slug="system"),
                name="workspace_slug_not_system",
                violation_error_message="A workspace cannot be called system.",
            ),
        ]

    def __str__(self) -> str:
        return self.slug


class Membership(models.Model):
    """What a person may do in a workspace. Owners and admins are its operators."""

    class Role(models.TextChoices):
        """The three roles; a member reads and proposes."""

        OWNER = "owner"
        ADMIN = "admin"
        MEMBER = "member"

    OPERATORS = (Role.OWNER, Role.ADMIN)

    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="memberships")
    user = models.ForeignKey(User, models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=10, choices=Role)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["workspace", "user"], name="membership_once"),
            models.CheckConstraint(
                condition=Q(role__in=["owner", "admin", "member"]), name="membership_role_known"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user} in {self.workspace}: {self.role}"


class ApiKey(models.Model):
    """What a program calls our API with: its maker's membership, narrowed to some scopes.

    Only the hash of the key is stored. `prefix` is the part that a person may see again.
    """

    class Scope(models.TextChoices):
        """What a key may be made for; a route without a scope takes no key."""

        STATUS_READ = "status:read"
        QUEUE_READ = "queue:read"
        QUEUE_PROPOSE = "queue:propose"
        QUEUE_EDIT = "queue:edit"
        AUDIT_READ = "audit:read"
        PUBLISH_DIRECT = "publish:direct"

    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="api_keys")
    user = models.ForeignKey(User, models.CASCADE, related_name="api_keys")
    name = models.CharField(max_length=60)
    prefix = models.CharField(max_length=12)
    key_hash = models.CharField(max_length=64, unique=True, editable=False)
    scopes = models.JSONField(default=list)
    created_at = models.DateTimeField()
    last_used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = "API key"

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"


class SystemSwitch(models.Model):
    """The kill switch: one row, made on demand; no row means off."""

    name = models.CharField(max_length=20, primary_key=True, default="kill_switch")
    on = models.BooleanField(default=False)
    reason = models.CharField(max_length=200, blank=True)
    changed_by = models.CharField(max_length=40)
    changed_at = models.DateTimeField()

    class Meta:
        permissions = [("system_operator", "May use the kill switch and lift system holds")]
        verbose_name_plural = "system switches"

    def __str__(self) -> str:
        return f"{self.name}: {'on' if self.on else 'off'}"


class SystemHold(models.Model):
    """Something that stops every workspace until a person lifts it."""

    kind = models.SlugField(max_length=40)
    reason = models.CharField(max_length=200)
    placed_at = models.DateTimeField()
    placed_by = models.CharField(max_length=40, blank=True)
    lifted_at = models.DateTimeField(null=True, blank=True)
    lifted_by = models.CharField(max_length=40, blank=True)
    lifted_reason = models.CharField(max_length=200, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["kind"], condition=Q(lifted_at=None), name="system_hold_once_per_kind"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind}: {self.reason}"


class Alarm(models.Model):
    """Something that a person has to look at; open until it is over. `workspace` is None for all."""

    kind = models.SlugField(max_length=40)
    workspace = models.ForeignKey(
        Workspace, models.CASCADE, null=True, blank=True, related_name="alarms"
    )
    detail = models.CharField(max_length=200)
    raised_at = models.DateTimeField()
    over_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "workspace"],
                condition=Q(over_at=None),
                nulls_distinct=False,
                name="alarm_open_once",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind}: {self.detail}"


class AuditChain(models.Model):
    """The head of one hash chain: one row per workspace, one for the system; made on demand."""

    SYSTEM = "system"

    name = models.CharField(max_length=36, primary_key=True)
    head_seq = models.PositiveBigIntegerField(default=0)
    head_hash = models.CharField(max_length=64)

    def __str__(self) -> str:
        return f"{self.name} at {self.head_seq}:{self.head_hash[:12]}"


class AuditEvent(models.Model):
    """One thing that happened. Append-only: triggers refuse update, delete and truncate.

    Holds our ids, states, codes and hashes, as plain values without foreign keys; never X text,
    third-party handles or secrets. `hash` covers every other column and the hash before.
    """

    id = models.BigIntegerField(primary_key=True)
    chain = models.CharField(max_length=36)
    seq = models.PositiveBigIntegerField()
    at = models.DateTimeField(db_index=True)
    type = models.CharField(max_length=60)
    subject = models.CharField(max_length=60)
    actor = models.CharField(max_length=40)
    door = models.CharField(max_length=20)
    data = models.JSONField(default=dict)
    prev_hash = models.CharField(max_length=64)
    hash = models.CharField(max_length=64)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["chain", "seq"], name="audit_seq_once_per_chain"),
            models.CheckConstraint(condition=Q(seq__gte=1), name="audit_seq_from_one"),
        ]
        indexes = [
            models.Index(fields=["subject", "seq"], name="audit_subject"),
            models.Index(fields=["chain", "type"], name="audit_chain_type"),
        ]

    def __str__(self) -> str:
        return f"{self.chain}#{self.seq} {self.type}"


class Counter(models.Model):
    """A business number since the beginning, changed only in a transaction that also audits."""

    chain = models.CharField(max_length=36)  # a workspace's id or "system", as in AuditChain
    name = models.CharField(max_length=60)
    labels = models.CharField(max_length=200, blank=True)  # "decision=approve,door=admin"
    value = models.DecimalField(
        max_digits=20, decimal_places=6, default=0, validators=[MinValueValidator(0)]
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["chain", "name", "labels"], name="counter_once"),
            models.CheckConstraint(condition=Q(value__gte=0), name="counter_never_negative"),
        ]

    def __str__(self) -> str:
        return f"{self.name}{{{self.labels}}} {self.value}"

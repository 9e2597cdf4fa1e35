"""Source posts on their way to a proposal, and people who want none."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from workspaces.models import Workspace
from x_integration.models import SourcePost


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

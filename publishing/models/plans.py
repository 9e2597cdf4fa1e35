"""Posts of our own, and the plan that they follow."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q

from publishing.models.items import QueueItem
from workspaces.models import Workspace


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

"""When a workspace says something of its own: its plan, its publish windows, and an index for the calendar."""

import django.db.models.deletion
from django.db import migrations, models
from django.db.models.functions import Coalesce


class Migration(migrations.Migration):
    dependencies = [
        ("publishing", "0006_candidates"),
        ("workspaces", "0005_keys_and_policy"),
    ]

    operations = [
        migrations.CreateModel(
            name="PostingPlan",
            fields=[
                (
                    "workspace",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="posting_plan",
                        serialize=False,
                        to="workspaces.workspace",
                    ),
                ),
                ("time_zone", models.CharField(default="UTC", max_length=60)),
                (
                    "posts_per_day",
                    models.PositiveSmallIntegerField(default=0, help_text="The target; 0 is none."),
                ),
                (
                    "late_minutes",
                    models.PositiveSmallIntegerField(
                        default=60,
                        help_text="What is later than so many minutes is not said any more.",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            ("late_minutes__gte", 5),
                            ("late_minutes__lte", 1440),
                            ("posts_per_day__lte", 48),
                        ),
                        name="posting_plan_within_limits",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="PublishWindow",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "workspace",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="publish_windows",
                        to="workspaces.workspace",
                    ),
                ),
                ("weekday", models.PositiveSmallIntegerField(help_text="0 is Monday.")),
                ("opens", models.PositiveSmallIntegerField()),
                ("closes", models.PositiveSmallIntegerField(help_text="1440 is midnight.")),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("workspace", "weekday", "opens"), name="publish_window_once"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("closes__lte", 1440),
                            ("opens__lt", models.F("closes")),
                            ("weekday__lte", 6),
                        ),
                        name="publish_window_within_a_day",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="OwnPost",
            fields=[],
            options={
                "verbose_name": "post of our own",
                "verbose_name_plural": "calendar",
                "proxy": True,
                "indexes": [],
                "constraints": [],
            },
            bases=("publishing.queueitem",),
        ),
        migrations.AddIndex(
            model_name="queueitem",
            index=models.Index(
                models.F("workspace"),
                Coalesce("scheduled_for", "moved_at"),
                condition=models.Q(("kind", "post")),
                name="item_calendar",
            ),
        ),
    ]

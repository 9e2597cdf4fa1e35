"""Candidates between source posts and items, the score of an item, and what people change in texts."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("publishing", "0005_newest_of_the_machine"),
        ("workspaces", "0005_keys_and_policy"),
        ("x_integration", "0006_the_mark_is_the_feed_s"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField(
            model_name="queueitem",
            name="score",
            field=models.PositiveSmallIntegerField(
                blank=True,
                help_text="How much its post mattered when it was proposed, of 400.",
                null=True,
            ),
        ),
        migrations.CreateModel(
            name="Candidate",
            fields=[
                (
                    "source_post",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="candidate",
                        serialize=False,
                        to="x_integration.sourcepost",
                    ),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("new", "New"),
                            ("queued", "Queued"),
                            ("skipped", "Skipped"),
                            ("expired", "Expired"),
                        ],
                        default="new",
                        max_length=8,
                    ),
                ),
                ("reason", models.CharField(blank=True, max_length=20)),
                ("version", models.PositiveIntegerField(default=1)),
                ("rules", models.CharField(max_length=64)),
                ("intent", models.CharField(max_length=20)),
                ("score", models.PositiveSmallIntegerField()),
                ("parts", models.JSONField(help_text="The points that make up the score.")),
                ("found_at", models.DateTimeField()),
                ("looked_at", models.DateTimeField(blank=True, null=True)),
                (
                    "workspace",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="candidates",
                        to="workspaces.workspace",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(
                        condition=models.Q(("state", "new")),
                        fields=["workspace", "-score"],
                        name="candidate_best",
                    ),
                    models.Index(
                        condition=models.Q(("state", "new")),
                        fields=["workspace", "found_at"],
                        name="candidate_oldest",
                    ),
                    models.Index(
                        condition=models.Q(("state", "skipped")),
                        fields=["workspace", "reason"],
                        name="candidate_skipped",
                    ),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("reason", ""), ("state__in", ["new", "queued", "expired"])),
                            models.Q(("state", "skipped"), models.Q(("reason", ""), _negated=True)),
                            _connector="OR",
                        ),
                        name="candidate_skipped_has_reason",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("state", "new"), ("looked_at__isnull", False), _connector="OR"
                        ),
                        name="candidate_decided_was_looked_at",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Edit",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("version", models.PositiveIntegerField()),
                ("door", models.CharField(max_length=20)),
                ("edited_at", models.DateTimeField()),
                (
                    "diff",
                    models.JSONField(help_text='Pieces in order, each ["=", "+" or "-", words].'),
                ),
                (
                    "edited_by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "item",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="edits",
                        to="publishing.queueitem",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("item", "version"), name="edit_once_per_version"
                    )
                ],
            },
        ),
    ]

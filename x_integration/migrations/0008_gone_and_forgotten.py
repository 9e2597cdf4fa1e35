"""What X shows no longer is marked, and its words are blanked: X asks for it within a day."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("workspaces", "0005_keys_and_policy"),
        ("x_integration", "0007_priced_calls"),
    ]

    operations = [
        migrations.AddField(
            model_name="sourcepost",
            name="forgotten_at",
            field=models.DateTimeField(editable=False, null=True),
        ),
        migrations.AddField(
            model_name="sourcepost",
            name="gone_at",
            field=models.DateTimeField(editable=False, null=True),
        ),
        migrations.AddField(
            model_name="sourcepost",
            name="gone_reason",
            field=models.CharField(
                blank=True,
                choices=[
                    ("not_found", "Not Found"),
                    ("not_authorized", "Not Authorized"),
                    ("author_protected", "Author Protected"),
                    ("author_gone", "Author Gone"),
                    ("refused", "Refused"),
                ],
                db_default="",
                default="",
                editable=False,
                max_length=16,
            ),
        ),
        migrations.AddField(
            model_name="sourcepost",
            name="looked_at",
            field=models.DateTimeField(editable=False, null=True),
        ),
        migrations.AddIndex(
            model_name="sourcepost",
            index=models.Index(fields=["author_id"], name="source_post_author"),
        ),
        migrations.AddIndex(
            model_name="sourcepost",
            index=models.Index(
                condition=models.Q(("gone_at__isnull", False)),
                fields=["workspace", "gone_at"],
                name="source_post_gone",
            ),
        ),
        migrations.AddIndex(
            model_name="sourcepost",
            index=models.Index(
                condition=models.Q(("looked_at__isnull", False)),
                fields=["workspace", "looked_at"],
                name="source_post_looked_at",
            ),
        ),
        migrations.AddConstraint(
            model_name="sourcepost",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("gone_at", None), ("gone_reason", "")),
                    models.Q(
                        ("gone_at__isnull", False), models.Q(("gone_reason", ""), _negated=True)
                    ),
                    _connector="OR",
                ),
                name="source_post_gone_has_reason",
            ),
        ),
        migrations.AddConstraint(
            model_name="sourcepost",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("forgotten_at", None),
                    models.Q(
                        ("author_username", ""),
                        ("gone_at__isnull", False),
                        ("payload", {}),
                        ("text", ""),
                    ),
                    _connector="OR",
                ),
                name="source_post_forgotten_is_blank",
            ),
        ),
    ]

"""The ledger has a row for each call that X charges for; until now it had the totals of a day alone.

What was spent before is carried over, one row for each total, so that the rows add up from the start.
"""

import django.db.models.deletion
from django.db import migrations, models

CARRY_OVER = """INSERT INTO x_integration_pricedcall
    (workspace_id, at, day, kind, units, unit_usd, usd, subject)
    SELECT workspace_id, day::timestamp AT TIME ZONE 'UTC', day, kind, 1, usd, usd, 'carried over'
    FROM x_integration_spend WHERE usd > 0"""


class Migration(migrations.Migration):
    dependencies = [
        ("workspaces", "0005_keys_and_policy"),
        ("x_integration", "0006_the_mark_is_the_feed_s"),
    ]

    operations = [
        migrations.AlterModelOptions(name="spend", options={"verbose_name_plural": "spend"}),
        migrations.CreateModel(
            name="PricedCall",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("at", models.DateTimeField()),
                ("day", models.DateField()),
                ("kind", models.CharField(max_length=20)),
                ("units", models.PositiveIntegerField()),
                ("unit_usd", models.DecimalField(decimal_places=4, max_digits=12)),
                ("usd", models.DecimalField(decimal_places=4, max_digits=12)),
                ("subject", models.CharField(max_length=40)),
                (
                    "workspace",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="priced_calls",
                        to="workspaces.workspace",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(fields=["workspace", "day", "kind"], name="priced_call_of_a_day")
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            ("units__gt", 0),
                            ("usd", models.F("units") * models.F("unit_usd")),
                        ),
                        name="priced_call_adds_up",
                    )
                ],
            },
        ),
        migrations.RunSQL(CARRY_OVER, migrations.RunSQL.noop),
    ]

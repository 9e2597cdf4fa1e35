"""What the reading that runs may cost, so that nobody publishes for the same money."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("publishing", "0007_posting_plan"),
        ("workspaces", "0005_keys_and_policy"),
    ]

    operations = [
        migrations.CreateModel(
            name="ReadingReservation",
            fields=[
                (
                    "workspace",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="reading_reservation",
                        serialize=False,
                        to="workspaces.workspace",
                    ),
                ),
                ("usd", models.DecimalField(decimal_places=4, max_digits=14)),
                ("until", models.DateTimeField()),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("usd__gte", 0)), name="reading_reservation_not_below_0"
                    )
                ],
            },
        ),
    ]

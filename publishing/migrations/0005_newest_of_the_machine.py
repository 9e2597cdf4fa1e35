"""The index of the newest attempts is the circuit breaker's alone: no gate may read along it."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("publishing", "0004_attempt_has_workspace")]

    operations = [
        migrations.RemoveIndex(model_name="publishattempt", name="attempt_newest"),
        migrations.AddIndex(
            model_name="publishattempt",
            index=models.Index(
                condition=models.Q(("by_hand", False)),
                fields=["-started_at"],
                name="attempt_newest",
            ),
        ),
    ]

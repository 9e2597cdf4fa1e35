"""The index of posts by workspace alone goes: the unique one begins with it, and each costs every reading."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("workspaces", "0005_keys_and_policy"),
        ("x_integration", "0008_gone_and_forgotten"),
    ]

    operations = [
        migrations.AlterField(
            model_name="sourcepost",
            name="workspace",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="source_posts",
                to="workspaces.workspace",
            ),
        ),
    ]

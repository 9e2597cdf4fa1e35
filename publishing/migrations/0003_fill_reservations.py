from django.db import migrations

FILL = """
UPDATE publishing_publishattempt AS attempt SET
    workspace_id = item.workspace_id,
    kind = item.kind,
    target = coalesce(post.x_post_id, ''),
    thread = coalesce(nullif(post.conversation_id, ''), post.x_post_id, ''),
    author_id = coalesce(post.author_id, '')
FROM publishing_queueitem AS item
LEFT JOIN x_integration_sourcepost AS post ON post.id = item.source_post_id
WHERE item.id = attempt.item_id
"""


class Migration(migrations.Migration):
    """What attempts reserve, for those that were made before they wrote it down."""

    dependencies = [("publishing", "0002_reservations")]

    operations = [migrations.RunSQL(FILL, migrations.RunSQL.noop)]

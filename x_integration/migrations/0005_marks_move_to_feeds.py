"""The mark of the mentions moves from the account to the workspace's feed."""

from django.db import migrations

_TO_FEEDS = """INSERT INTO x_integration_feed (workspace_id, kind, query, is_on, seen_until,
        reading_from, read_down_to, next_read_at, last_error)
    SELECT workspace_id, 'mentions', '', true, mentions_seen_until, '', '', now(), ''
    FROM x_integration_xaccount
    ON CONFLICT (workspace_id, kind, query) DO UPDATE SET seen_until = EXCLUDED.seen_until"""
_TO_ACCOUNTS = """UPDATE x_integration_xaccount AS account SET mentions_seen_until = feed.seen_until
    FROM x_integration_feed AS feed
    WHERE feed.workspace_id = account.workspace_id AND feed.kind = 'mentions'"""


class Migration(migrations.Migration):
    dependencies = [("x_integration", "0004_feeds")]

    operations = [migrations.RunSQL(_TO_FEEDS, _TO_ACCOUNTS)]

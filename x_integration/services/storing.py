"""Source posts as rows: a page of them is one statement."""

from collections.abc import Iterable
from datetime import datetime

from django.db import connection

from revfirst.storable import storable_json
from x_integration.eligibility import eligibility_of
from x_integration.models import SourcePost, XAccount
from x_integration.payloads import Post

_COLUMNS = {
    "x_post_id": "text",
    "author_id": "text",
    "author_username": "text",
    "text": "text",
    "lang": "text",
    "conversation_id": "text",
    "posted_at": "timestamptz",
    "eligibility": "text",
    "eligibility_reason": "text",
    "payload": "jsonb",
}
_NAMES = ", ".join(_COLUMNS)
# A post that is known keeps its words: X gives an edited one another id. What is counted of it, and
# what X lets us do with it, may be news; that it summoned us once stays true. What was gone once does
# not come back (docs/adr/0017-what-x-shows-no-longer-is-forgotten.md). The order keeps two
# writers of the same posts from waiting for each other; `xmax` is 0 on a row that is new.
_STORE = f"""INSERT INTO x_integration_sourcepost AS stored (workspace_id, ingested_at, {_NAMES})
    SELECT %s, %s, {_NAMES} FROM jsonb_to_recordset(%s::jsonb)
        AS told ({", ".join(f"{name} {kind}" for name, kind in _COLUMNS.items())}) ORDER BY x_post_id
    ON CONFLICT (workspace_id, x_post_id) DO UPDATE SET
        payload = EXCLUDED.payload,
        author_username = coalesce(nullif(EXCLUDED.author_username, ''), stored.author_username),
        eligibility = CASE WHEN EXCLUDED.eligibility = '{SourcePost.Eligibility.NOT_SUMMONED}'
            THEN stored.eligibility ELSE EXCLUDED.eligibility END,
        eligibility_reason = CASE WHEN EXCLUDED.eligibility = '{SourcePost.Eligibility.NOT_SUMMONED}'
            THEN stored.eligibility_reason ELSE EXCLUDED.eligibility_reason END
    WHERE stored.gone_at IS NULL AND stored.payload IS DISTINCT FROM EXCLUDED.payload
    RETURNING xmax = 0"""  # noqa: S608 - names of ours only


def store_posts(account: XAccount, posts: Iterable[Post], *, now: datetime) -> int:
    """Store what X showed to the account; returns how many of the posts were not known."""
    rows = [_row(account, post) for post in {post.id: post for post in posts}.values()]
    if not rows:
        return 0
    with connection.cursor() as cursor:
        cursor.execute(_STORE, [account.workspace_id, now, storable_json(rows)])
        return sum(is_new for (is_new,) in cursor.fetchall())


def _row(account: XAccount, post: Post) -> dict[str, object]:
    """The post's columns, with the verdict on whether we may answer it."""
    eligibility, reason = eligibility_of(post, us=account.x_user_id, our_name=account.username)
    return {
        "x_post_id": post.id,
        "author_id": post.author_id,
        "author_username": post.author_username,
        "text": post.text,
        "lang": post.lang,
        "conversation_id": post.conversation_id,
        "posted_at": post.created_at.isoformat(),
        "eligibility": eligibility.value,
        "eligibility_reason": reason,
        "payload": post.raw,
    }

"""X's JSON in both of its dialects, read into plain values.

X renames its fields (`referenced_tweets` → `referenced_posts`, x-api facts 2.1), so input is read
bilingually and requests speak the configured dialect. Unknown fields are ignored and kept in `raw`.
"""

import html
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from revfirst.storable import storable
from x_integration.errors import XReadFailed

_LEADING_MENTIONS = re.compile(r"^(?:@\w{1,50}\s+)+")
_SCHEME = re.compile(r"\bhttps?://", re.IGNORECASE)
POST_ID = re.compile(r"[0-9]{1,19}")

FIELDS = {
    "legacy": {
        "tweet.fields": "author_id,conversation_id,created_at,entities,in_reply_to_user_id,lang,"
        "note_tweet,public_metrics,referenced_tweets,reply_settings,source",
        "expansions": "author_id,referenced_tweets.id",
        "user.fields": "username,protected",
    },
    "new": {
        "post.fields": "conversation_id,created_at,entities,lang,note_post,public_metrics,"
        "reply_settings,source",
        "expansions": "author_id,in_reply_to_user_id,referenced_posts",
        "user.fields": "username,protected",
    },
}


@dataclass(frozen=True)
class Post:
    """One post, dialect gone. `referenced` maps quoted/replied_to/retweeted to a post id."""

    id: str
    text: str
    author_id: str
    created_at: datetime
    raw: dict[str, Any]
    author_username: str = ""
    lang: str = ""
    conversation_id: str = ""
    mentioned: tuple[tuple[str, str], ...] = ()  # (user id or "", username)
    referenced: Mapping[str, str] = field(default_factory=dict)
    quoted_author_id: str = ""

    @property
    def replied_to(self) -> str:
        """The id of the post that this one answers, or an empty string."""
        return self.referenced.get("replied_to", "")


@dataclass(frozen=True)
class Page:
    """One page of posts, complete or not made at all."""

    posts: tuple[Post, ...]
    next_token: str


def parse_page(body: Any) -> Page:
    """Read a page of posts. Raises XReadFailed when any part of it cannot be trusted."""
    try:
        whole = storable(body)
        items, meta = whole.get("data", []), whole["meta"]  # X's problems have no meta
        if not isinstance(items, list):
            raise TypeError("data is not a list")
        included = _included(whole)
        posts = tuple(_post(item, *included) for item in items)
        token = meta.get("next_token") or ""
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise XReadFailed(
            f"X sent a page that cannot be read ({type(error).__name__}).", code="x_broken_page"
        ) from None
    return Page(posts, str(token))


def _included(body: Any) -> tuple[dict[str, str], dict[str, str]]:
    """Usernames by user id, and authors by post id, of what came along with the page."""
    includes = body.get("includes", {})
    names = {str(user["id"]): str(user["username"]) for user in includes.get("users", [])}
    posts = [*includes.get("tweets", []), *includes.get("posts", [])]
    return names, {str(post["id"]): str(post.get("author_id", "")) for post in posts}


def _post(item: dict[str, Any], names: dict[str, str], authors: dict[str, str]) -> Post:
    references = item.get("referenced_tweets") or item.get("referenced_posts") or []
    referenced = {str(ref["type"]): str(ref["id"]) for ref in references}
    mentions = (item.get("entities") or {}).get("mentions") or []
    if not POST_ID.fullmatch(item["id"]) or not POST_ID.fullmatch(item["author_id"]):
        raise ValueError("an id is not a number")
    posted_at = datetime.fromisoformat(item["created_at"])
    if posted_at.tzinfo is None or not 2006 <= posted_at.year <= 2200:
        raise ValueError("a time that no post can have")
    return Post(
        id=item["id"],
        text=_long_text(item),
        author_id=item["author_id"],
        author_username=names.get(item["author_id"], "")[:50],
        created_at=posted_at,
        lang=str(item.get("lang") or "")[:10],
        conversation_id=str(item.get("conversation_id") or "")[:19],
        mentioned=tuple((str(m.get("id") or ""), str(m["username"])) for m in mentions),
        referenced=referenced,
        quoted_author_id=authors.get(referenced.get("quoted", ""), ""),
        raw=item,
    )


def _long_text(item: dict[str, Any]) -> str:
    """The text with entities unescaped and t.co links expanded; a note's text when it is long.

    In this order: only X's text is escaped, the addresses are not.
    """
    note = item.get("note_tweet") or item.get("note_post") or {}
    text = note.get("text") or item["text"]
    if not isinstance(text, str):
        raise TypeError("text is not text")
    text = html.unescape(text)
    entities = note.get("entities") or item.get("entities") or {}
    for url in entities.get("urls") or []:
        text = text.replace(str(url["url"]), str(url.get("expanded_url") or url["url"]))
    return text


def normalised(text: str) -> str:
    """`text` as it is compared with the timeline: NFC, no leading @mentions, no URL schemes.

    X prefixes replies with automatic mentions and completes bare links (x-api facts, 5).
    """
    composed = unicodedata.normalize("NFC", html.unescape(text)).strip()
    words = _SCHEME.sub("", _LEADING_MENTIONS.sub("", composed)).split()
    return " ".join(word.rstrip("/") for word in words)

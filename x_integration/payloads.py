"""X's JSON in both of its dialects, read into plain values.

X renames its fields (`referenced_tweets` → `referenced_posts`, docs/X-API.md, Reading), so input is read
bilingually and requests speak the configured dialect. Unknown fields are ignored and kept in `raw`.
"""

import html
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from revfirst.storable import storable, storable_text
from x_integration.answers import without_secrets
from x_integration.errors import XReadFailed

_LEADING_MENTIONS = re.compile(r"^(?:@\w{1,50}\s+)+")
_SCHEME = re.compile("https?://", re.IGNORECASE)  # a link may follow a letter: in Japanese it does
_SHORT_LINK = re.compile(r"https?://t\.co/\w+", re.ASCII)
_MOST_LINKS, _LONGEST_LINK = 1000, 2000  # of one post, of one address
# X names the client that made a post, where it names one at all (its document calls the field
# deprecated); these are the clients that people use.
_PEOPLES_CLIENTS = ("X Web App", "Twitter Web App", "X for ", "Twitter for ")
NOT_FOUND, NOT_AUTHORIZED = "resource-not-found", "not-authorized-for-resource"
_GONE = {NOT_FOUND, NOT_AUTHORIZED}
POST_ID = re.compile(r"[1-9][0-9]{0,18}")

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

    @property
    def content(self) -> tuple[str, str]:
        """What it answers and what it says, as both are compared."""
        return content(self.replied_to, self.text)

    @property
    def client(self) -> str:
        """The client that made it, by the name that X shows; blank where X names none."""
        return str(self.raw.get("source") or "")

    @property
    def made_by_a_person(self) -> bool | None:
        """Whether it came from a client that people use; None where X names no client."""
        return self.client.startswith(_PEOPLES_CLIENTS) if self.client else None


@dataclass(frozen=True)
class Page:
    """One page of posts, complete or not made at all, and what X says beside it of who is gone.

    `unseen` maps posts, and `unseen_users` users, that X names as errors to the last part of the type;
    `protected` are users whose posts are for their followers alone.
    """

    posts: tuple[Post, ...]
    next_token: str
    unseen: Mapping[str, str] = field(default_factory=dict)
    unseen_users: Mapping[str, str] = field(default_factory=dict)
    protected: frozenset[str] = frozenset()

    @property
    def public_posts(self) -> tuple[Post, ...]:
        """The posts that the page does not itself say are gone, or for their authors' followers alone."""
        hidden = {*self.protected, *self.unseen_users}
        return tuple(
            post
            for post in self.posts
            if post.author_id not in hidden and post.id not in self.unseen
        )


def is_id(text: str) -> bool:
    """Whether X could have given out this id: a number below 2 to the 63rd, in one spelling."""
    return POST_ID.fullmatch(text) is not None and int(text) < 1 << 63


def parse_page(body: Any, *, sent: Iterable[str] = (), is_stored_next: bool = False) -> Page:
    """Read a page of posts. Raises XReadFailed when any part of it cannot be trusted.

    Secrets that were `sent` are taken out of X's words, and so is what PostgreSQL cannot keep, unless
    whoever stores the page sees to that.
    """
    try:
        whole = body if is_stored_next else storable(body)
        if "meta" not in whole and whole.get("errors"):  # nobody there, or not for us
            words = without_secrets(_first_words(whole["errors"]), sent)
            raise XReadFailed(f"X does not show it: {words[:200]}", code="x_unseen")
        items, meta = whole.get("data", []), whole["meta"]
        if not isinstance(items, list):
            raise TypeError("data is not a list")
        included = _included(whole.get("includes") or {})
        posts = tuple(_readable_post(item, *included) for item in items)
        token = meta.get("next_token") or ""
        unseen, unseen_users = _unseen(whole, "tweet", "post"), _unseen(whole, "user")
        protected = _protected(whole.get("includes") or {})
    except _UNREADABLE as error:
        raise XReadFailed(
            f"X sent a page that cannot be read ({_why(error)}).", code="x_broken_page"
        ) from None
    return Page(posts, storable_text(str(token)), unseen, unseen_users, protected)


_UNREADABLE = (AttributeError, KeyError, TypeError, ValueError, RecursionError)


def _why(error: Exception) -> str:
    """What is wrong, without a word of X's: which field is missing, or of which kind the trouble is."""
    missing = isinstance(error, KeyError) and str(error.args[0]).isidentifier()
    return f"{error.args[0]} is missing" if missing else type(error).__name__


def _first_words(errors: Any) -> str:
    first = errors[0] if isinstance(errors, list) and errors else None
    return str((first if isinstance(first, dict) else {}).get("detail") or "it does not say why")


def _included(includes: Any) -> tuple[dict[str, str], dict[str, str]]:
    """Usernames by user id, and authors by post id, of what came along with the page.

    X's document requires none of it: who has no name here is shown by number.
    """
    users = [user for user in includes.get("users") or [] if user.get("id")]
    posts = [*(includes.get("tweets") or []), *(includes.get("posts") or [])]
    names = {str(user["id"]): str(user.get("username") or "") for user in users}
    authors = {
        str(post["id"]): str(post.get("author_id") or "") for post in posts if post.get("id")
    }
    return names, authors


def _unseen(whole: dict[str, Any], *kinds: str) -> dict[str, str]:
    """The ids of such resources that X shows no longer, and why (docs/X-API.md, Errors)."""
    found = {}
    errors = whole.get("errors")
    for error in errors if isinstance(errors, list) else []:
        said = error if isinstance(error, dict) else {}
        why = str(said.get("type") or "").rpartition("/")[2]
        which = str(said.get("resource_id") or said.get("value") or "")
        if why in _GONE and said.get("resource_type") in kinds and is_id(which):
            found[which] = why
    return found


def _protected(includes: dict[str, Any]) -> frozenset[str]:
    users = includes.get("users") or []
    return frozenset(
        str(user["id"])
        for user in users
        if user.get("protected") is True and is_id(str(user.get("id") or ""))
    )


def _readable_post(item: Any, names: dict[str, str], authors: dict[str, str]) -> Post:
    """The post. Raises XReadFailed, naming it and what is wrong with it."""
    try:
        return _post(item, names, authors)
    except _UNREADABLE as error:
        known = str(item.get("id", "")) if isinstance(item, dict) else ""
        which = f"post {known}" if POST_ID.fullmatch(known) else "a post"
        raise XReadFailed(
            f"X sent a page that cannot be read ({which}: {_why(error)}).", code="x_broken_page"
        ) from None


def _post(item: dict[str, Any], names: dict[str, str], authors: dict[str, str]) -> Post:
    references = item.get("referenced_tweets") or item.get("referenced_posts") or []
    referenced = {str(ref["type"]): str(ref["id"]) for ref in references}
    mentions = (item.get("entities") or {}).get("mentions") or []
    if not is_id(item["id"]) or not is_id(item["author_id"]):
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
        mentioned=tuple((str(m.get("id") or ""), str(m.get("username") or "")) for m in mentions),
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
    entities = note.get("entities") or item.get("entities") or {}
    return _with_links_opened(html.unescape(text), entities.get("urls") or [])


def _with_links_opened(text: str, urls: list[Any]) -> str:
    """Each t.co link that stands in `text` as a whole becomes the address behind it; bounded."""
    opened = {}
    for url in urls[:_MOST_LINKS]:
        short, address = str(url.get("url") or ""), str(url.get("expanded_url") or "")
        if address and len(address) <= _LONGEST_LINK:
            opened[short] = address
    return _SHORT_LINK.sub(lambda found: opened.get(found[0], found[0]), text)


def content(target: str | None, text: str) -> tuple[str, str]:
    """Target and text in the form in which they are compared; without a target it is a post of its own."""
    return target or "", normalised(text, reply=bool(target))


def normalised(text: str, *, reply: bool) -> str:
    """`text` as it is compared with the timeline: NFC, no URL schemes; of a reply no leading @mentions.

    X prefixes replies with automatic mentions and completes bare links (docs/X-API.md, Reading). What a
    post of its own begins with is what was written. What nobody sees makes no difference: an editor may
    drop it.
    """
    seen = "".join(filter(_is_seen, html.unescape(text)))
    composed = unicodedata.normalize("NFC", seen).strip()
    said = _LEADING_MENTIONS.sub("", composed) if reply else composed
    words = _SCHEME.sub("", said).split()
    return " ".join(word.rstrip("/") for word in words)


def _is_seen(character: str) -> bool:
    """Whether it is no joiner, mark of direction, byte order mark or variation selector."""
    return unicodedata.category(character) != "Cf" and not "\ufe00" <= character <= "\ufe0f"

"""Who is on the simulated X and what stands there."""

from bisect import bisect_left, bisect_right, insort
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from x_integration.simulator import text as texts
from x_integration.simulator.instants import first_id_at, instant_of, now_ms
from x_integration.simulator.journal import Event

DUPLICATE_WINDOW_MS = 24 * 3600 * 1000


@dataclass(slots=True)
class User:
    """An account. `profile` holds the rarely asked fields in X's legacy words."""

    id: int
    username: str
    name: str
    protected: bool = False
    profile: dict[str, Any] = field(default_factory=dict)
    suspended: bool = False  # it may write nothing, and nobody else sees it


@dataclass(slots=True)
class Post:
    """A post as its author typed it.

    `auto_mentions` are the users whose @names X puts in front of a reply; `source` tells
    machine-made ("api") from person-made ("web") posts. Mentions and search know the post from
    `indexed_ms` on.
    """

    id: int
    author_id: int
    text: str
    source: str
    reply_to: int | None
    quotes: int | None
    conversation_id: int
    auto_mentions: tuple[int, ...]
    mentions: frozenset[int]
    lang: str
    reply_settings: str
    metrics: dict[str, int] | None
    indexed_ms: int = 0
    deleted: bool = False

    @property
    def created_ms(self) -> int:
        return instant_of(self.id)


class World:
    """Users, posts and the indexes that make timelines quick. Callers hold the state's lock."""

    def __init__(self, record: Callable[[Event], None]) -> None:
        self._record = record
        self.forget()

    def forget(self) -> None:
        """Back to an empty X."""
        self.users: dict[int, User] = {}
        self.posts: dict[int, Post] = {}
        self.order: list[int] = []
        self._by_username: dict[str, User] = {}
        self._timelines: dict[int, list[int]] = defaultdict(list)
        self._mentions: dict[int, list[int]] = defaultdict(list)
        self._conversations: dict[int, list[int]] = defaultdict(list)
        self._replies: dict[int, int] = defaultdict(int)
        self._quotes: dict[int, int] = defaultdict(int)
        self._last_said: dict[tuple[int, str], int] = {}
        self._last_id = 0
        self.deleted_count = 0
        self.samples_said = 0

    # --- asking -------------------------------------------------------------------------------

    def user_named(self, username: str) -> User | None:
        return self._by_username.get(username.lower())

    def live_post(self, post_id: int | None) -> Post | None:
        """The post, unless it never was or is gone."""
        post = self.posts.get(post_id) if post_id is not None else None
        return post if post and not post.deleted else None

    def may_see(self, viewer: User, author: User) -> bool:
        """Whether X shows the author and the author's posts; nobody follows anybody here."""
        return viewer.id == author.id or not (author.protected or author.suspended)

    def timeline(self, user_id: int) -> list[int]:
        """Ids of a user's posts, oldest first."""
        return self._timelines.get(user_id, [])

    def mentions_of(self, user_id: int) -> list[int]:
        """Ids of the posts that mention a user, oldest first; never the user's own."""
        return self._mentions.get(user_id, [])

    def conversation(self, conversation_id: int) -> list[Post]:
        """A conversation's posts, oldest first."""
        return [self.posts[post_id] for post_id in self._conversations.get(conversation_id, [])]

    def reply_count(self, post: Post) -> int:
        return self._replies.get(post.id, 0)

    def quote_count(self, post: Post) -> int:
        return self._quotes.get(post.id, 0)

    def full_text(self, post: Post) -> str:
        """The typed text with the @names that X puts in front of a reply."""
        return self._with_prefix(post.auto_mentions, post.text)

    def said_lately(self, author_id: int, full_text: str, now: int) -> bool:
        """Whether the author said this within the duplicate window and it still stands."""
        post = self.live_post(self._last_said.get((author_id, texts.gist(full_text))))
        return post is not None and now - post.created_ms < DUPLICATE_WINDOW_MS

    def auto_mentions(
        self, author_id: int, text: str, target: Post, excluded: Iterable[int] = ()
    ) -> tuple[int, ...]:
        """Whom X mentions in front of a reply: the target's author and everybody named there."""
        named = {user.id for user in self._users_named_in(text)}
        wanted = [target.author_id, *sorted(target.mentions)]
        skipped = named | {author_id} | set(excluded)
        return tuple(user_id for user_id in dict.fromkeys(wanted) if user_id not in skipped)

    def with_auto_mentions(
        self, author_id: int, text: str, target: Post | None, excluded: Iterable[int] = ()
    ) -> str:
        """What the text of a reply will be once X has put its @names in front."""
        if target is None:
            return text
        return self._with_prefix(self.auto_mentions(author_id, text, target, excluded), text)

    def _with_prefix(self, mentioned: tuple[int, ...], text: str) -> str:
        return "".join(f"@{self.users[user_id].username} " for user_id in mentioned) + text

    def _users_named_in(self, text: str) -> list[User]:
        found = (self.user_named(username) for username in texts.usernames_in(text))
        return [user for user in found if user is not None]

    # --- happening ----------------------------------------------------------------------------

    def put_user(
        self,
        username: str,
        name: str,
        *,
        protected: bool = False,
        suspended: bool = False,
        profile: dict[str, Any] | None = None,
        user_id: int | None = None,
    ) -> User:
        """Make a user, or change the one with that username."""
        known = self.user_named(username)
        if known is not None:
            user_id = known.id
        event: Event = {"e": "user", "id": user_id or self._next_id(None), "username": username}
        event |= {"name": name, "protected": protected, "profile": profile or {}}
        if suspended:
            event["suspended"] = True
        self._record(event)
        return self.users[event["id"]]

    def say(
        self,
        author: User,
        text: str,
        *,
        source: str,
        reply_to: Post | None = None,
        quotes: Post | None = None,
        created_ms: int | None = None,
        auto_mention: bool = True,
        excluded: Iterable[int] = (),
        extras: dict[str, Any] | None = None,
    ) -> Post:
        """Put a post on X; no rule of X's is asked.

        `extras`: lang, reply_settings, metrics, indexed_ms, sample.
        """
        event: Event = {"e": "post", "id": self._next_id(created_ms), "author": author.id}
        event |= {"text": text, "source": source}
        if reply_to is not None:
            event["reply_to"] = reply_to.id
            if auto_mention:
                event["auto"] = self.auto_mentions(author.id, text, reply_to, excluded)
        if quotes is not None:
            event["quotes"] = quotes.id
        self._record(event | (extras or {}))
        return self.posts[event["id"]]

    def delete(self, post: Post) -> None:
        """Take a post off X; its row stays so that a witness can see that it once stood."""
        self._record({"e": "deleted", "id": post.id})

    def _next_id(self, created_ms: int | None) -> int:
        """A free snowflake: rising when said now, inside its millisecond when said in the past."""
        if created_ms is None:
            return max(self._last_id + 1, first_id_at(now_ms()))
        candidate = first_id_at(created_ms)
        while candidate in self.posts or candidate in self.users:
            candidate += 1
        return candidate

    # --- replaying ----------------------------------------------------------------------------

    def apply_user(self, event: Event) -> None:
        user = User(
            event["id"],
            event["username"],
            event["name"],
            event["protected"],
            event["profile"],
            event.get("suspended", False),
        )
        self.users[user.id] = user
        self._by_username[user.username.lower()] = user
        self._last_id = max(self._last_id, user.id)

    def apply_post(self, event: Event) -> None:
        text = event["text"]
        target = self.posts.get(event.get("reply_to", 0))
        auto = tuple(event.get("auto", ()))
        named = {user.id for user in self._users_named_in(text)}
        post = Post(
            id=event["id"],
            author_id=event["author"],
            text=text,
            source=event["source"],
            reply_to=event.get("reply_to"),
            quotes=event.get("quotes"),
            conversation_id=target.conversation_id if target else event["id"],
            auto_mentions=auto,
            mentions=frozenset(named.union(auto)),
            lang=event.get("lang") or texts.guess_language(text),
            reply_settings=event.get("reply_settings", "everyone"),
            metrics=event.get("metrics"),
            indexed_ms=event.get("indexed_ms", 0),
        )
        self.posts[post.id] = post
        self._index(post)
        self.samples_said = max(self.samples_said, event.get("sample", 0))

    def _index(self, post: Post) -> None:
        self._last_id = max(self._last_id, post.id)
        insort(self.order, post.id)
        insort(self._timelines[post.author_id], post.id)
        insort(self._conversations[post.conversation_id], post.id)
        for user_id in post.mentions - {post.author_id}:
            insort(self._mentions[user_id], post.id)
        if post.reply_to is not None:
            self._replies[post.reply_to] += 1
        if post.quotes is not None:
            self._quotes[post.quotes] += 1
        self._last_said[post.author_id, texts.gist(self.full_text(post))] = post.id

    def apply_deleted(self, event: Event) -> None:
        post = self.posts[event["id"]]
        if post.deleted:
            return
        post.deleted = True
        self.deleted_count += 1
        _drop(self.order, post.id)
        _drop(self._timelines[post.author_id], post.id)
        for user_id in post.mentions - {post.author_id}:
            _drop(self._mentions[user_id], post.id)
        if post.reply_to is not None:
            self._replies[post.reply_to] -= 1
        if post.quotes is not None:
            self._quotes[post.quotes] -= 1


def _drop(ids: list[int], post_id: int) -> None:
    at = bisect_left(ids, post_id)
    if at < len(ids) and ids[at] == post_id:
        del ids[at]


def ids_between(ids: list[int], after: int, before: int) -> list[int]:
    """The ids of a rising list with after < id < before, still rising."""
    return ids[bisect_right(ids, after) : bisect_left(ids, before)]

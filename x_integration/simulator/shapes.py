"""Posts and users as X's answers show them, in either dialect."""

from collections.abc import Callable, Iterable
from typing import Any

from x_integration.simulator import text as texts
from x_integration.simulator.dialects import Selection
from x_integration.simulator.instants import instant_of, rfc3339
from x_integration.simulator.problems import not_authorized, not_found
from x_integration.simulator.world import Post, User, World

_SOURCES = {"api": "Automated app", "web": "X Web App"}


def why_unseen(user: User | None) -> Callable[..., dict[str, Any]]:
    """Which of X's errors describes what a viewer may not see: a suspended account is as if it never was."""
    return not_found if user is None or user.suspended else not_authorized


class Shaper:
    """Turns rows into answers: only what was asked for, beside the fields that always come."""

    def __init__(self, world: World, selection: Selection, viewer: User) -> None:
        self._world, self._selection, self._words = world, selection, selection.dialect
        self._viewer = viewer

    # --- posts --------------------------------------------------------------------------------

    def post(self, post: Post) -> dict[str, Any]:
        """id, text and the edit history always; an expansion brings its field along."""
        text, entities = self._text_of(post)
        asked = self._selection.post_fields | self._fields_of_expansions()
        shown: dict[str, Any] = {
            "id": str(post.id),
            "text": text,
            self._words.edit_history: [str(post.id)],
        }
        optional = self._optional_fields(post, text, entities)
        return shown | {
            name: value for name, value in optional.items() if name in asked and value is not None
        }

    def _text_of(self, post: Post) -> tuple[str, texts.Entities]:
        def user_id(username: str) -> str | None:
            user = self._world.user_named(username)
            return str(user.id) if user else None

        return texts.published(self._world.full_text(post), user_id, salt=str(post.id))

    def _fields_of_expansions(self) -> set[str]:
        implied = {"author_id", "in_reply_to_user_id"} & self._selection.expansions
        if any(name.startswith(self._words.referenced) for name in self._selection.expansions):
            implied |= {self._words.referenced}
        return implied

    def _optional_fields(self, post: Post, text: str, entities: texts.Entities) -> dict[str, Any]:
        answered = self._answered_user_id(post)
        hidden = len(self._world.full_text(post)) - len(post.text)
        return {
            "author_id": str(post.author_id),
            "conversation_id": str(post.conversation_id),
            "created_at": rfc3339(post.created_ms),
            "display_text_range": [hidden, len(text)],
            "entities": entities or None,
            "in_reply_to_user_id": answered,
            "lang": post.lang,
            "possibly_sensitive": False,
            "public_metrics": self._metrics(post),
            self._words.referenced: self._references(post) or None,
            "reply_settings": post.reply_settings,
            "source": _SOURCES[post.source],
        }

    def _answered_user_id(self, post: Post) -> str | None:
        target = self._world.posts.get(post.reply_to) if post.reply_to is not None else None
        return str(target.author_id) if target else None

    def _references(self, post: Post) -> list[dict[str, str]]:
        pairs = (("quoted", post.quotes), ("replied_to", post.reply_to))
        return [{"type": kind, "id": str(target)} for kind, target in pairs if target is not None]

    def _metrics(self, post: Post) -> dict[str, int]:
        told = post.metrics or {}
        return {
            self._words.reposts: told.get("reposts", 0),
            "reply_count": self._world.reply_count(post),
            "like_count": told.get("likes", 0),
            "quote_count": self._world.quote_count(post),
            "bookmark_count": told.get("bookmarks", 0),
            "impression_count": told.get("impressions", 0),
        }

    # --- users --------------------------------------------------------------------------------

    def user(self, user: User) -> dict[str, Any]:
        """id, name and username always."""
        asked = self._selection.user_fields | (
            {self._words.most_recent_post, self._words.pinned_post} & self._selection.expansions
        )
        shown: dict[str, Any] = {
            "id": str(user.id),
            "name": user.name,
            "username": user.username,
        }
        profile = user.profile
        timeline = self._world.timeline(user.id)
        optional = {
            "created_at": profile.get("created_at", rfc3339(instant_of(user.id))),
            "description": profile.get("description", ""),
            "location": profile.get("location"),
            "protected": user.protected,
            "public_metrics": self._user_metrics(user),
            "subscription_type": profile.get("subscription_type", "None"),
            "url": profile.get("url"),
            "verified": profile.get("verified", False),
            "verified_type": profile.get("verified_type", "none"),
            self._words.most_recent_post: str(timeline[-1]) if timeline else None,
        }
        return shown | {
            name: value for name, value in optional.items() if name in asked and value is not None
        }

    def _user_metrics(self, user: User) -> dict[str, int]:
        told = user.profile.get("public_metrics", {})
        return {
            "followers_count": told.get("followers_count", 0),
            "following_count": told.get("following_count", 0),
            self._words.post_count: len(self._world.timeline(user.id)),
            "listed_count": told.get("listed_count", 0),
            "like_count": told.get("like_count", 0),
        }

    # --- whole answers ------------------------------------------------------------------------

    def posts_answer(
        self, posts: list[Post], errors: Iterable[dict[str, Any]] = ()
    ) -> dict[str, Any]:
        """`data`, `includes` and `errors`, each only where there is something to say."""
        includes, missing = self._includes_of(posts)
        parts: dict[str, Any] = {
            "data": [self.post(post) for post in posts],
            "includes": includes,
            "errors": [*errors, *missing],
        }
        return {name: part for name, part in parts.items() if part}

    def user_answer(self, user: User) -> dict[str, Any]:
        """One user, with the posts that its expansions name."""
        answer: dict[str, Any] = {"data": self.user(user)}
        wanted = self._words.most_recent_post in self._selection.expansions
        latest = self._world.timeline(user.id)[-1:] if wanted else []
        if latest:
            answer["includes"] = {
                self._words.included_posts: [self.post(self._world.posts[latest[0]])]
            }
        return answer

    def _includes_of(self, posts: list[Post]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        referenced, missing = self._referenced_by(posts)
        users = self._users_beside(posts, referenced)
        parts = {
            "users": [self.user(user) for user in users],
            self._words.included_posts: [self.post(post) for post in referenced],
        }
        return {name: part for name, part in parts.items() if part}, missing

    def _referenced_by(self, posts: list[Post]) -> tuple[list[Post], list[dict[str, Any]]]:
        expansions = self._selection.expansions
        if not any(name.startswith(self._words.referenced_expansion) for name in expansions):
            return [], []
        wanted = dict.fromkeys(
            target
            for post in posts
            for target in (post.quotes, post.reply_to)
            if target is not None
        )
        found, missing = self.sort_out(list(wanted), self._words.referenced_expansion)
        return found, missing

    def sort_out(
        self, post_ids: list[int], parameter: str
    ) -> tuple[list[Post], list[dict[str, Any]]]:
        """The posts that can be seen, and X's errors for the others."""
        found: list[Post] = []
        errors: list[dict[str, Any]] = []
        for post_id in post_ids:
            post = self._world.live_post(post_id)
            author = self._world.users[post.author_id] if post else None
            if post and author and self._world.may_see(self._viewer, author):
                found.append(post)
                continue
            describe = why_unseen(author)
            errors.append(describe("tweet", parameter, str(post_id), dialect=self._words.name))
        return found, errors

    def _users_beside(self, posts: list[Post], referenced: list[Post]) -> list[User]:
        expansions = self._selection.expansions
        wanted: list[int | None] = []
        for post in posts:
            if "author_id" in expansions:
                wanted.append(post.author_id)
            if "in_reply_to_user_id" in expansions:
                target = self._world.posts.get(post.reply_to or 0)
                wanted.append(target.author_id if target else None)
            if "entities.mentions.username" in expansions:
                wanted += sorted(post.mentions)
        if f"{self._words.referenced_expansion}.author_id" in expansions:
            wanted += [post.author_id for post in referenced]
        unique = dict.fromkeys(user_id for user_id in wanted if user_id is not None)
        users = [self._world.users[user_id] for user_id in unique]
        return [user for user in users if user == self._viewer or not user.suspended]

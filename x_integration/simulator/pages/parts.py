"""The pieces that the pages are made of. Everything that somebody said is escaped here."""

from collections.abc import Iterable
from html import escape

from x_integration.simulator import text as texts
from x_integration.simulator.faults import HungFault
from x_integration.simulator.grants import Grants
from x_integration.simulator.instants import rfc3339
from x_integration.simulator.world import Post, User, World

_HUES = 8
_DEEPEST = 3


class Parts:
    """Draws users and posts as they stand at one instant."""

    def __init__(self, world: World, grants: Grants, now: int) -> None:
        self._world, self._grants, self._now = world, grants, now

    def avatar(self, user: User, size: str = "") -> str:
        initial = escape(user.name.strip()[:1] or user.username[:1])
        hue = sum(user.username.encode()) % _HUES
        return f'<span class="avatar {size} hue-{hue}" aria-hidden="true">{initial}</span>'

    def people(self, users: Iterable[User]) -> str:
        """A list of people for the side of a page."""
        rows = "".join(
            f'<li><a href="/{user.username}">{self.avatar(user, "tiny")}'
            f'<span><bdi>{escape(user.name)}</bdi> <span class="handle">@{user.username}</span>'
            "</span></a></li>"
            for user in users
        )
        return f"<h2>People here</h2><ul>{rows}</ul>" if rows else ""

    def troubles(self, faults: Iterable[HungFault]) -> str:
        """What goes wrong on purpose now, for the side of a page."""
        rows = "".join(f"<li>{escape(str(hung))}</li>" for hung in faults if hung.left != 0)
        return f"<h2>Going wrong on purpose</h2><ul>{rows}</ul>" if rows else ""

    def header(self, user: User) -> str:
        """The top of a profile."""
        bio, place = user.profile.get("description", ""), user.profile.get("location", "")
        followers = user.profile.get("public_metrics", {}).get("followers_count", 0)
        count = len(self._world.timeline(user.id))
        facts = [_counted(count, "post"), _counted(followers, "follower")]
        facts += [f"<bdi>{escape(str(place))}</bdi>"] if place else []
        badges = '<span class="badge">Connected to an app</span>' if self._is_ours(user) else ""
        badges += '<span class="badge">Suspended</span>' if user.suspended else ""
        return (
            f'<section class="card person">{self.avatar(user, "large")}<div>'
            f'<h1><bdi>{escape(user.name)}</bdi></h1><p class="handle">@{user.username} {badges}</p>'
            f'<p class="bio" dir="auto">{self._rich(str(bio))}</p>'
            f'<p class="facts">{_joined(facts)}</p></div></section>'
        )

    def thread(self, posts: list[Post], *, focus: int | None = None) -> str:
        """Posts of one conversation, each under the one that it answers."""
        known = {post.id for post in posts}
        answers: dict[int | None, list[Post]] = {}
        for post in posts:
            parent = post.reply_to if post.reply_to in known else None
            answers.setdefault(parent, []).append(post)
        drawn: list[str] = []
        above: int | None = None
        waiting = [(post, 0) for post in reversed(answers.get(None, []))]
        while waiting:
            post, depth = waiting.pop()
            told = above is not None and above == post.reply_to
            drawn.append(self.post(post, depth=depth, focused=post.id == focus, told=told))
            above = post.id
            waiting += [(answer, depth + 1) for answer in reversed(answers.get(post.id, []))]
        return "".join(drawn)

    def post(self, post: Post, *, depth: int = 0, focused: bool = False, told: bool = False) -> str:
        """One post with its author, its text and what can be done with it.

        `told`: the post that it answers stands right above it, so the page need not say so.
        """
        if post.deleted:
            return f'<p class="post gone depth-{min(depth, _DEEPEST)}">This post was deleted.</p>'
        author = self._world.users[post.author_id]
        ours = self._is_ours(author)
        classes = f"post depth-{min(depth, _DEEPEST)}{' ours' if ours else ''}"
        classes += " focus" if focused else ""
        context = "" if told else self._context(post)
        return (
            f'<article class="{classes}" id="post-{post.id}">'
            f'<a href="/{author.username}" tabindex="-1" aria-hidden="true">{self.avatar(author)}</a>'
            f"<div>{self._byline(post, author, ours=ours)}{context}"
            f'{self._text(post)}{self._quoted(post)}<p class="facts">{self._facts(post)}</p>'
            "</div></article>"
        )

    # --- inside a post ------------------------------------------------------------------------

    def _is_ours(self, user: User) -> bool:
        return self._grants.has_live_grant(user.id)

    def _byline(self, post: Post, author: User, *, ours: bool) -> str:
        badge = ""
        if ours:
            way = "through the API" if post.source == "api" else "by a person"
            badge = f'<span class="badge">sent {way}</span>'
        return (
            f'<p class="by"><a class="name" href="/{author.username}"><bdi>{escape(author.name)}</bdi>'
            f'</a> <span class="handle">@{author.username}</span> <a class="when" '
            f'href="/{author.username}/status/{post.id}">{self._when(post)}</a> {badge}</p>'
        )

    def _when(self, post: Post) -> str:
        stamp = rfc3339(post.created_ms)
        return f'<time datetime="{stamp}" title="{stamp}">{self._age(post.created_ms)}</time>'

    def _age(self, instant: int) -> str:
        seconds = max(0, self._now - instant) // 1000
        for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
            if seconds >= size:
                return f"{seconds // size} {unit} ago"
        return "just now"

    def _context(self, post: Post) -> str:
        target = self._world.posts.get(post.reply_to) if post.reply_to is not None else None
        if target is None:
            return ""
        name = self._world.users[target.author_id].username
        return (
            f'<p class="context">Replying to <a href="/{name}/status/{target.id}">@{name}</a></p>'
        )

    def _text(self, post: Post) -> str:
        lang = "" if post.lang == "und" else f' lang="{escape(post.lang)}"'
        return f'<p class="text" dir="auto"{lang}>{self._rich(self._without_names(post))}</p>'

    def _without_names(self, post: Post) -> str:
        """A reply's text without the leading @names: the line above says whom it answers."""
        target = self._world.posts.get(post.reply_to) if post.reply_to is not None else None
        names, rest = texts.leading_usernames(post.text)
        if target is None or not rest:
            return post.text
        answered = {target.author_id, *target.mentions}
        users = [self._world.user_named(name) for name in names]
        return rest if all(user and user.id in answered for user in users) else post.text

    def _rich(self, text: str) -> str:
        """Escaped text with its names, tags and links set off; links stay text, nothing leaves."""
        out, at = "", 0
        for mark in texts.marks_in(text):
            out += escape(text[at : mark.start])
            out += self._marked(mark, text[mark.start : mark.end])
            at = mark.end
        return out + escape(text[at:])

    def _marked(self, mark: texts.Mark, shown: str) -> str:
        if mark.kind == "mentions":
            user = self._world.user_named(mark.value)
            return f'<a href="/{user.username}">{escape(shown)}</a>' if user else escape(shown)
        if mark.kind == "urls":
            title, label = escape(mark.value), escape(texts.display_url(mark.value))
            return f'<span class="link" title="{title}">{label}</span>'
        return f'<span class="tag">{escape(shown)}</span>'

    def _quoted(self, post: Post) -> str:
        if post.quotes is None:
            return ""
        quoted = self._world.live_post(post.quotes)
        if quoted is None:
            return '<p class="quote small">The quoted post was deleted.</p>'
        author = self._world.users[quoted.author_id]
        return f'<div class="quote">{self._byline(quoted, author, ours=False)}{self._text(quoted)}</div>'

    def _facts(self, post: Post) -> str:
        likes = (post.metrics or {}).get("likes", 0)
        counts = [
            _counted(self._world.reply_count(post), "reply", "replies"),
            _counted(self._world.quote_count(post), "quote"),
            _counted(likes, "like"),
        ]
        shown = [text for text in counts if not text.startswith("0 ")]
        return _joined(
            [*shown, f'<a href="/intent/tweet?in_reply_to={post.id}">Reply as a person</a>']
        )


def _counted(count: int, one: str, many: str = "") -> str:
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def _joined(facts: list[str]) -> str:
    return "".join(f"<span>{fact}</span>" for fact in facts)

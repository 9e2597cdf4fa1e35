"""What X lets through POST /2/tweets in 2026, asked in X's order as far as it is known."""

from x_integration.simulator import text as texts
from x_integration.simulator.drafts import Draft
from x_integration.simulator.problems import (
    CASHTAG_TEXT,
    DUPLICATE_TEXT,
    REPLY_SETTINGS_TEXT,
    SUMMON_TEXT,
    TARGET_GONE_TEXT,
    forbidden,
    invalid_request,
)
from x_integration.simulator.world import Post, User, World

LONGEST_TEXT = 25_000


def check_draft(
    draft: Draft, author: User, world: World, *, tier: str, dialect: str, now: int
) -> tuple[Post | None, Post | None]:
    """The post that is answered and the one that is quoted. Raises Refusal, 400 or 403."""
    _check_text(draft.text, dialect)
    target = _visible(draft.reply_to, author, world)
    quoted = _visible(draft.quotes, author, world)
    if target is not None:
        _check_may_reply(target, author, world, tier)
    if quoted is not None and tier == "self_serve":
        raise forbidden(SUMMON_TEXT)  # quotes left the self-serve tiers in April 2026
    _check_length(draft, author, target, world, dialect)
    if len(texts.cashtags_in(draft.text)) > 1:
        raise forbidden(CASHTAG_TEXT)
    full_text = world.with_auto_mentions(author.id, draft.text, target, draft.excluded)
    if world.said_lately(author.id, full_text, now):
        raise forbidden(DUPLICATE_TEXT)
    return target, quoted


def is_summoned(target: Post, author: User, world: World) -> bool:
    """Whether the target's author, another than us, mentioned us there or quoted a post of ours there."""
    if target.author_id == author.id:
        return False
    quoted = world.posts.get(target.quotes) if target.quotes is not None else None
    return author.id in target.mentions or (quoted is not None and quoted.author_id == author.id)


def _check_text(text: str, dialect: str) -> None:
    if not text.strip():
        raise invalid_request("$.text: must not be empty", {"$.text": [text]}, dialect=dialect)
    if len(text) > LONGEST_TEXT:  # long posts of Premium authors; nothing longer is even counted
        raise invalid_request(f"$.text: may be at most {LONGEST_TEXT} characters", dialect=dialect)


def _visible(post_id: int | None, author: User, world: World) -> Post | None:
    """The post; 403 where it was never there, is gone, or belongs to a protected account."""
    if post_id is None:
        return None
    post = world.live_post(post_id)
    if post is None or not world.may_see(author, world.users[post.author_id]):
        raise forbidden(TARGET_GONE_TEXT)
    return post


def _check_may_reply(target: Post, author: User, world: World, tier: str) -> None:
    if target.author_id == author.id or is_summoned(target, author, world):
        return
    if tier == "self_serve":
        raise forbidden(SUMMON_TEXT)
    if target.reply_settings != "everyone":
        raise forbidden(REPLY_SETTINGS_TEXT)


def _check_length(
    draft: Draft, author: User, target: Post | None, world: World, dialect: str
) -> None:
    """Leading @names that X would put there itself weigh nothing."""
    counted = draft.text
    if target is not None:
        names, rest = texts.leading_usernames(draft.text)
        automatic = {
            world.users[user_id].username.lower()
            for user_id in world.auto_mentions(author.id, "", target)
        }
        if all(name.lower() in automatic for name in names):
            counted = rest
    weight = texts.weighted_length(counted)
    if weight > texts.MAX_WEIGHTED_LENGTH:
        raise invalid_request(
            f"$.text: weighs {weight} characters; {texts.MAX_WEIGHTED_LENGTH} are allowed",
            dialect=dialect,
        )

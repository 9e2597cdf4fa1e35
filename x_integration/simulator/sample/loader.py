"""Turns the sample pages, in X's legacy payload shapes, into a living X.

`said_*.json` stand on X from the first start, moved in time so that the newest is a few minutes
old. `later.json` holds mentions that have not been said yet; they are said one by one on request.
"""

import html
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from x_integration.simulator.instants import parse_instant
from x_integration.simulator.world import Post, User, World

BRAND = "cafe_aurora"
NEWEST_AGE_MS = 4 * 60 * 1000
_FOLDER = Path(__file__).parent
_PROFILE_FIELDS = ("description", "location", "url", "created_at", "public_metrics", "verified")

Payload = dict[str, Any]


def pages(pattern: str) -> Iterator[Payload]:
    """The sample files as they are."""
    for path in sorted(_FOLDER.glob(pattern)):
        yield json.loads(path.read_text(encoding="utf-8"))


def load(world: World, *, now: int) -> None:
    """Say everything in `said_*.json`: users keep their ids, posts get ids of their new instants."""
    read = list(pages("said_*.json"))
    people = {user["id"]: user for page in read for user in page["includes"]["users"]}
    for person in people.values():
        _put_person(world, person)
    payloads = _posts_of(read)
    shift = now - NEWEST_AGE_MS - max(parse_instant(payload["created_at"]) for payload in payloads)
    said: dict[str, Post] = {}
    for payload in payloads:
        said[payload["id"]] = _say(
            world, payload, said, parse_instant(payload["created_at"]) + shift
        )


def say_next(world: World, *, brand: str, by: str = "") -> Post:
    """Say the next mention of `later.json` at the brand, now; `by` somebody else than who says it there.

    When all were said it begins again with the number of the round behind each text.
    """
    page = next(pages("later.json"))
    payloads = _posts_of([page])
    turn, position = divmod(world.samples_said, len(payloads))
    payload = payloads[position]
    author = next(user for user in page["includes"]["users"] if user["id"] == payload["author_id"])
    if world.user_named(brand) is None:
        world.put_user(brand, brand)
    if by:
        person = world.user_named(by) or world.put_user(by, by)
    else:
        person = world.user_named(author["username"]) or _put_person(world, author)
    text = typed_text(payload).replace(f"@{BRAND}", f"@{brand}")
    if turn:
        text = f"{text} · {turn + 1}"
    extras = {"lang": payload["lang"], "sample": world.samples_said + 1}
    return world.say(person, text, source="web", extras=extras)


def typed_text(payload: Payload) -> str:
    """What the author typed: t.co links opened, HTML entities undone."""
    text: str = payload["text"]
    for link in payload.get("entities", {}).get("urls", ()):
        text = text.replace(link["url"], link["expanded_url"])
    return html.unescape(text)


def _put_person(world: World, person: Payload) -> User:
    profile = {name: person[name] for name in _PROFILE_FIELDS if name in person}
    return world.put_user(
        person["username"], person["name"], profile=profile, user_id=int(person["id"])
    )


def _posts_of(read: list[Payload]) -> list[Payload]:
    """Every post of the pages once, oldest first."""
    posts = {
        post["id"]: post
        for page in read
        for post in [*page["includes"].get("tweets", ()), *page["data"]]
    }
    return sorted(posts.values(), key=lambda post: int(post["id"]))


def _say(world: World, payload: Payload, said: dict[str, Post], created_ms: int) -> Post:
    references = {each["type"]: said[each["id"]] for each in payload.get("referenced_tweets", ())}
    metrics = payload["public_metrics"]
    return world.say(
        world.users[int(payload["author_id"])],
        typed_text(payload),
        source="web",
        reply_to=references.get("replied_to"),
        quotes=references.get("quoted"),
        created_ms=created_ms,
        auto_mention=False,  # the payload's text carries its leading @names already
        extras={
            "lang": payload["lang"],
            "reply_settings": payload["reply_settings"],
            "metrics": {
                "likes": metrics["like_count"],
                "reposts": metrics["retweet_count"],
                "bookmarks": metrics["bookmark_count"],
                "impressions": metrics["impression_count"],
            },
        },
    )

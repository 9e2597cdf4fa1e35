"""X's endpoints under /2 that a reply-publishing product uses."""

import hashlib
import re
from dataclasses import replace
from typing import Any

from werkzeug.wrappers import Response

from x_integration.simulator import prices
from x_integration.simulator.calls import Call, Route
from x_integration.simulator.dialects import Selection
from x_integration.simulator.drafts import read_draft
from x_integration.simulator.problems import (
    DELETE_TEXT,
    Refusal,
    forbidden,
    invalid_request,
    json_answer,
    not_found,
)
from x_integration.simulator.queries import BadQuery, Query, read_query
from x_integration.simulator.rules import check_draft, is_summoned
from x_integration.simulator.shapes import Shaper, why_unseen
from x_integration.simulator.timelines import (
    PARAMETERS,
    Page,
    read_recent_window,
    read_window,
    turn_page,
)
from x_integration.simulator.world import ids_between

_MENTIONS_KEPT = 800
_POSTS_KEPT = 3200
_POST_SHAPE = ("expansions", "user.fields", "media.fields", "poll.fields", "place.fields")


def me(call: Call) -> Response:
    _check_parameters(call, "user.fields", "expansions", call.dialect.post_fields_parameter)
    selection = Selection.of_users(call.query, call.dialect)
    return _sold(call, _shaper(call, selection).user_answer(call.caller), prices.USER_READ)


def mentions(call: Call) -> Response:
    world, user_id = call.simulator.state.world, _path_id(call)
    ids = [post_id for post_id in world.mentions_of(user_id) if _is_found(call, post_id)]
    return _timeline(call, user_id, ids[-_MENTIONS_KEPT:], "mentions")


def posts_of_user(call: Call) -> Response:
    world = call.simulator.state.world
    user_id = _path_id(call)
    ids = world.timeline(user_id)[-_POSTS_KEPT:]
    if "replies" in _excluded(call):  # nobody reposts here, so "retweets" takes nothing away
        ids = [post_id for post_id in ids if world.posts[post_id].reply_to is None]
    return _timeline(call, user_id, ids, "posts", "exclude")


def posts_by_ids(call: Call) -> Response:
    _check_parameters(call, "ids", *_POST_SHAPE, call.dialect.post_fields_parameter)
    wanted = call.query.get("ids", "").split(",")
    if not 1 <= len(wanted) <= 100:
        raise _invalid(call, "ids", f"size must be between 1 and 100, not {len(wanted)}")
    for each in wanted:
        if not re.fullmatch(r"[0-9]{1,19}", each, re.ASCII):
            raise _invalid(call, "ids", f"The `ids` query parameter value [{each}] is not valid")
    shaper = _shaper(call, Selection.of_posts(call.query, call.dialect))
    found, errors = shaper.sort_out([int(each) for each in dict.fromkeys(wanted)], "ids")
    return _sold(call, shaper.posts_answer(found, errors), prices.POST_READ)


def search_recent(call: Call) -> Response:
    """The last seven days; relevancy puts the best liked posts of a page first."""
    dialect, world = call.dialect, call.simulator.state.world
    _check_parameters(
        call, "query", "sort_order", "next_token", *PARAMETERS, *_POST_SHAPE,
        dialect.post_fields_parameter,
    )  # fmt: skip
    if {"next_token", "pagination_token"} <= call.query.keys():
        raise _invalid(call, "next_token", "next_token and pagination_token are one and the same")
    query, order = _query(call), _order(call)
    owner = "search" + hashlib.sha256(call.query["query"].encode()).hexdigest()[:16]
    window = read_recent_window(call.query, owner=owner, dialect=dialect.name, now=call.now)
    selection = Selection.of_posts(call.query, dialect)
    ids = [
        post_id
        for post_id in ids_between(world.order, window.after, window.before)
        if _is_found(call, post_id) and query.found(world.posts[post_id], world)
    ]
    page = turn_page(ids, window, call.simulator.settings)
    if order == "relevancy":
        page = replace(page, ids=sorted(page.ids, key=lambda post_id: -_likes(call, post_id)))
    return _page_answer(call, page, selection)


def create_post(call: Call) -> Response:
    simulator, dialect = call.simulator, call.dialect
    _check_parameters(call)
    draft = read_draft(call.request.mimetype, call.request.get_data(), dialect=dialect.name)
    target, quoted = check_draft(
        draft,
        call.caller,
        simulator.state.world,
        tier=simulator.settings.access_tier,
        dialect=dialect.name,
        now=call.now,
    )
    world = simulator.state.world
    summoned = target is not None and is_summoned(target, call.caller, world)
    call.pay(prices.kind_of_post(draft.text, summoned=summoned))
    post = world.say(
        call.caller,
        draft.text,
        source="api",
        reply_to=target,
        quotes=quoted,
        excluded=draft.excluded,
        extras={"reply_settings": draft.reply_settings},
    )
    selection = Selection.of_posts({}, dialect)
    return json_answer({"data": _shaper(call, selection).post(post)}, 201)


def delete_post(call: Call) -> Response:
    world = call.simulator.state.world
    post_id = _path_id(call)
    post = world.live_post(post_id)
    if post is None:
        body = not_found("tweet", "id", str(post_id), dialect=call.dialect.name)
        raise Refusal(404, body | {"status": 404})
    if post.author_id != call.caller.id:
        raise forbidden(DELETE_TEXT)
    call.pay(prices.POST_DELETE)
    world.delete(post)
    return json_answer({"data": {"deleted": True}})


def _timeline(call: Call, user_id: int, ids: list[int], kind: str, *also: str) -> Response:
    """One page; 200 with `errors` where X would not show this user's timeline."""
    dialect = call.dialect
    _check_parameters(call, *PARAMETERS, *_POST_SHAPE, *also, dialect.post_fields_parameter)
    window = read_window(call.query, owner=f"{kind}{user_id}", dialect=dialect.name)
    selection = Selection.of_posts(call.query, dialect)
    world = call.simulator.state.world
    user = world.users.get(user_id)
    if user is None or not world.may_see(call.caller, user):
        error = why_unseen(user)("user", "id", str(user_id), dialect=dialect.name)
        return json_answer({"errors": [error]})
    page = turn_page(ids, window, call.simulator.settings)
    return _page_answer(call, page, selection)


def _page_answer(call: Call, page: Page, selection: Selection) -> Response:
    world = call.simulator.state.world
    answer = _shaper(call, selection).posts_answer([world.posts[post_id] for post_id in page.ids])
    return _sold(call, answer | {"meta": page.meta()}, prices.POST_READ)


def _sold(call: Call, answer: dict[str, Any], kind: str) -> Response:
    """The answer, paid for: its data, and what came along where that is billed too."""
    data, includes = answer.get("data", []), answer.get("includes", {})
    returned = {kind: _ids(data if isinstance(data, list) else [data])}
    if call.simulator.settings.bills_expanded_users:
        for each, name in (
            (prices.USER_READ, "users"),
            (prices.POST_READ, call.dialect.included_posts),
        ):
            returned[each] = [*returned.get(each, ()), *_ids(includes.get(name, []))]
    call.pay_for(returned)
    return json_answer(answer)


def _ids(rows: list[dict[str, Any]]) -> list[int]:
    return [int(row["id"]) for row in rows]


def _query(call: Call) -> Query:
    try:
        return read_query(call.query.get("query", ""), tier=call.simulator.settings.access_tier)
    except BadQuery as error:
        raise _invalid(
            call, "query", f"There were errors processing your request: {error}"
        ) from None


def _order(call: Call) -> str:
    order = call.query.get("sort_order", "recency")
    if order in ("recency", "relevancy"):
        return order
    raise _invalid(
        call,
        "sort_order",
        f"The `sort_order` query parameter value [{order}] is not one of [recency,relevancy]",
    )


def _likes(call: Call, post_id: int) -> int:
    return (call.simulator.state.world.posts[post_id].metrics or {}).get("likes", 0)


def _is_found(call: Call, post_id: int) -> bool:
    """Whether mentions and search show the post to the caller, and know it by now."""
    world = call.simulator.state.world
    post = world.posts[post_id]
    return post.indexed_ms <= call.now and world.may_see(call.caller, world.users[post.author_id])


def _shaper(call: Call, selection: Selection) -> Shaper:
    return Shaper(call.simulator.state.world, selection, call.caller)


def _path_id(call: Call) -> int:
    text = call.args["id"]
    if not re.fullmatch(r"[0-9]{1,19}", text, re.ASCII):
        raise _invalid(
            call, "id", f"The `id` path parameter value [{text}] does not match ^[0-9]{{1,19}}$"
        )
    return int(text)


def _excluded(call: Call) -> set[str]:
    if "exclude" not in call.query:
        return set()
    excluded = set(call.query["exclude"].split(","))
    if not excluded <= {"replies", "retweets"}:
        raise _invalid(
            call, "exclude", "The `exclude` query parameter value is not one of [replies,retweets]"
        )
    return excluded


def _check_parameters(call: Call, *known: str) -> None:
    for name in call.query:
        if name not in known:
            raise _invalid(
                call,
                name,
                f"The query parameter [{name}] is not one of [{','.join(sorted(known))}]",
            )


def _invalid(call: Call, name: str, message: str) -> Refusal:
    value = call.query.get(name, call.args.get(name, ""))
    return invalid_request(message, {name: [value]}, dialect=call.dialect.name)


_READ = frozenset({"tweet.read", "users.read"})
_WRITE = _READ | {"tweet.write"}

ROUTES = [
    Route("GET", "/2/users/me", me, _READ),
    Route("GET", "/2/users/<id>/mentions", mentions, _READ),
    Route("GET", "/2/users/<id>/tweets", posts_of_user, _READ),
    Route("GET", "/2/tweets", posts_by_ids, _READ),
    Route("GET", "/2/tweets/search/recent", search_recent, _READ),
    Route("POST", "/2/tweets", create_post, _WRITE),
    Route("DELETE", "/2/tweets/<id>", delete_post, _WRITE),
]

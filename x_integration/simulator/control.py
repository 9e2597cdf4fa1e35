"""The door for tests, demos and benchmarks: people speak, clocks shrink, things go wrong.

JSON in and out. A write must come as application/json, body or not: a form on a web page cannot
say that.
"""

import json
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from werkzeug.wrappers import Response

from x_integration.simulator.calls import Call, Route
from x_integration.simulator.drafts import REPLY_SETTINGS
from x_integration.simulator.faults import KINDS, BadFault
from x_integration.simulator.grants import DEFAULT_SCOPE, SCOPES
from x_integration.simulator.instants import X_EPOCH_MS, be_ahead, parse_instant, rfc3339
from x_integration.simulator.problems import Refusal, json_answer
from x_integration.simulator.sample import loader
from x_integration.simulator.settings import BadSetting
from x_integration.simulator.world import Post, User

VERSION = 1
# First segments of the simulator's own pages: a user of that name would have no profile.
_RESERVED = {"2", "assets", "control", "i", "intent"}
_LONGEST_SECONDS = 10**9
_PROFILE_FIELDS = (
    "description",
    "location",
    "url",
    "created_at",
    "public_metrics",
    "subscription_type",
    "verified",
    "verified_type",
)


def overview(call: Call) -> Response:
    """GET /control: what this is and how much there is of it."""
    simulator = call.simulator
    world, grants = simulator.state.world, simulator.state.grants
    standing = (world.posts[post_id] for post_id in world.order)
    settings = simulator.settings
    return json_answer(
        {
            "simulator": "revfirst-x",
            "version": VERSION,
            "dialect": simulator.dialect.name,
            "users": len(world.users),
            "posts": len(world.order),
            "posts_by_source": dict(Counter(post.source for post in standing)),
            "posts_deleted": world.deleted_count,
            "samples_said": world.samples_said,
            "grants": len(grants.families),
            "grants_live": grants.live_count(),
            "refresh_rotations": grants.rotations,
            "refresh_reuses": grants.reuses,
            "refresh_refusals": grants.refusals,
            "requests": simulator.log.total,
            "faults": len(simulator.faults.described()),
            "fault_kinds": sorted(KINDS),
            "settings": {name: getattr(settings, name) for name in settings.__slots__},
        }
    )


def reset(call: Call) -> Response:
    """POST /control/reset {"sample"?: bool}: an empty X, or the one of the first start."""
    with_sample = _flag(_read(call, "sample"), "sample", False)
    call.simulator.reset()
    if with_sample:
        call.simulator.state.load_sample(now=call.now)
    return overview(call)


# --- users and posts ----------------------------------------------------------------------------


def list_users(call: Call) -> Response:
    return json_answer([_user(user) for user in call.simulator.state.world.users.values()])


def put_user(call: Call) -> Response:
    """POST /control/users: 201 for a new user, 200 for a changed one.

    A suspended user's writes are refused, and nobody else sees what the user said, until "suspended"
    is false again.
    """
    body = _read(call, "username", "name", "protected", "suspended", *_PROFILE_FIELDS)
    world = call.simulator.state.world
    username = _username(body)
    known = world.user_named(username)
    profile = {name: _profile_value(name, body[name]) for name in _PROFILE_FIELDS if name in body}
    user = world.put_user(
        username,
        _text(body, "name", known.name if known else username),
        protected=_flag(body, "protected", known.protected if known else False),
        suspended=_flag(body, "suspended", known.suspended if known else False),
        profile=(known.profile if known else {}) | profile,
    )
    return json_answer(_user(user), 200 if known else 201)


def list_posts(call: Call) -> Response:
    """GET /control/posts?username=&source=: oldest first, deleted ones too, text as typed."""
    world = call.simulator.state.world
    username, source = call.query.get("username"), call.query.get("source")
    author = world.user_named(username) if username else None
    if username and author is None:
        raise _missing_user(username)
    wanted = (
        post
        for _, post in sorted(world.posts.items())
        if (author is None or post.author_id == author.id) and (not source or post.source == source)
    )
    return json_answer([_post(call, post) for post in wanted])


def say(call: Call) -> Response:
    """POST /control/posts: somebody says something; no rule of X's is asked.

    With "indexed_after_seconds", mentions and search show it only from then on.
    """
    return json_answer(_post(call, _said(call, _body(call))), 201)


def say_many(call: Call) -> Response:
    """POST /control/posts/bulk {"posts": [...]}: each is what POST /control/posts takes.

    They are said in order, each for good: a refused one leaves those before it.
    """
    said = [_post(call, _said(call, body)) for body in _bodies(call, "posts")]
    return json_answer(said, 201)


def _said(call: Call, body: dict[str, Any]) -> Post:
    _check_known(
        body, "username", "text", "in_reply_to", "quote", "created_at", "auto_mention", "lang",
        "reply_settings", "source", "indexed_after_seconds",
    )  # fmt: skip
    world = call.simulator.state.world
    source = _text(body, "source", "web")
    if source not in ("web", "api"):
        raise _wrong("source must be web or api.")
    extras: dict[str, Any] = {
        name: _text(body, name) for name in ("lang", "reply_settings") if name in body
    }
    if extras.get("reply_settings", "everyone") not in ("everyone", *REPLY_SETTINGS):
        raise _wrong(f"reply_settings must be everyone or one of {', '.join(REPLY_SETTINGS)}.")
    if late := _seconds(body, "indexed_after_seconds"):
        extras["indexed_ms"] = call.now + int(late * 1000)
    return world.say(
        _known_user(call, _text(body, "username")),
        _text(body, "text"),
        source=source,
        reply_to=_known_post(call, body, "in_reply_to"),
        quotes=_known_post(call, body, "quote"),
        created_ms=_past_instant(body, call.now),
        auto_mention=_flag(body, "auto_mention", True),
        extras=extras,
    )


def delete_post(call: Call) -> Response:
    """DELETE /control/posts/<id>: its author, or X, takes a post down."""
    world = call.simulator.state.world
    world.delete(_post_with_id(call, call.args["id"]))
    return Response(b"", status=204)


def say_sample(call: Call) -> Response:
    """POST /control/sample {"username"?, "by"?}: the next sample mention is said, now."""
    body = _read(call, "username", "by")
    world = call.simulator.state.world
    by = _username({"username": body["by"]}, "") if "by" in body else ""
    post = loader.say_next(world, brand=_username(body, loader.BRAND), by=by)
    return json_answer(_post(call, post), 201)


def _user(user: User) -> dict[str, Any]:
    return {
        "id": str(user.id),
        "username": user.username,
        "name": user.name,
        "protected": user.protected,
        "suspended": user.suspended,
    }


def _post(call: Call, post: Post) -> dict[str, Any]:
    world = call.simulator.state.world
    return {
        "id": str(post.id),
        "username": world.users[post.author_id].username,
        "text": post.text,
        "in_reply_to": None if post.reply_to is None else str(post.reply_to),
        "quote": None if post.quotes is None else str(post.quotes),
        "conversation_id": str(post.conversation_id),
        "created_at": rfc3339(post.created_ms),
        "source": post.source,
        "deleted": post.deleted,
    }


# --- grants -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Terms:
    """What a grant is asked to be."""

    username: str
    scope: str
    expires_in: int


def grant(call: Call) -> Response:
    """POST /control/grants: a token pair without forms."""
    terms = _terms(call, _body(call))
    return json_answer(_granted(call, _known_user(call, terms.username), terms), 201)


def grant_many(call: Call) -> Response:
    """POST /control/grants/bulk {"grants": [...]}: a pair for each, or for none.

    Each is what POST /control/grants takes; people who are not there yet are made.
    """
    wanted = [_terms(call, body) for body in _bodies(call, "grants")]
    state = call.simulator.state
    with state.journal.in_one_write():
        made = [_granted(call, _person(call, terms.username), terms) for terms in wanted]
    return json_answer(made, 201)


def _terms(call: Call, body: dict[str, Any]) -> _Terms:
    _check_known(body, "username", "scope", "expires_in")
    username, scope = _username(body), _text(body, "scope", DEFAULT_SCOPE)
    if not scope.split() or not SCOPES.issuperset(scope.split()):
        raise _wrong("scope holds a word that X does not know.")
    expires_in = body.get("expires_in", call.simulator.settings.expires_in)
    if isinstance(expires_in, bool) or not isinstance(expires_in, int) or abs(expires_in) > 10**9:
        raise _wrong("expires_in must be a whole number of seconds; below 0 means already expired.")
    return _Terms(username, scope, expires_in)


def _person(call: Call, username: str) -> User:
    world = call.simulator.state.world
    return world.user_named(username) or world.put_user(username, username)


def _granted(call: Call, user: User, terms: _Terms) -> dict[str, Any]:
    issued = call.simulator.state.grants.grant(
        user.id,
        terms.scope,
        now=call.now,
        expires_in=terms.expires_in,
        alone=call.simulator.settings.one_grant_per_user,
    )
    return {
        "user_id": str(user.id),
        "username": user.username,
        "token_type": "bearer",
        "access_token": issued.access_token,
        "refresh_token": issued.refresh_token,
        "scope": issued.scope,
        "expires_in": issued.expires_in,
    }


# --- requests, settings, faults -----------------------------------------------------------------


def requests(call: Call) -> Response:
    """GET /control/requests?since=N: the last 20,000 requests to X, oldest first."""
    since = call.query.get("since", "0")
    if not re.fullmatch(r"[0-9]{1,18}", since, re.ASCII):
        raise _wrong("since must be a whole number.")
    return json_answer(call.simulator.log.since(int(since)))


def change_settings(call: Call) -> Response:
    """PATCH /control/settings: all of the changes or none."""
    try:
        call.simulator.settings.change(_body(call))
    except BadSetting as error:
        raise _wrong(str(error)) from None
    be_ahead(call.simulator.settings.ahead_seconds)
    return overview(call)


def hang_fault(call: Call) -> Response:
    try:
        hung = call.simulator.faults.hang(_body(call))
    except BadFault as error:
        raise _wrong(str(error)) from None
    return json_answer(hung.described(), 201)


def bill(call: Call) -> Response:
    """GET /control/bill: what X charged, per user, UTC day and kind."""
    world, app_bill = call.simulator.state.world, call.simulator.state.bill
    users: dict[str, dict[str, dict[str, dict[str, Any]]]] = {}
    for (user_id, day, kind), line in sorted(app_bill.lines.items()):
        days = users.setdefault(world.users[user_id].username, {})
        days.setdefault(day, {})[kind] = {"count": line.count, "usd": str(line.usd)}
    return json_answer({"users": users, "total_usd": str(app_bill.total)})


def list_faults(call: Call) -> Response:
    return json_answer(call.simulator.faults.described())


def take_faults_down(call: Call) -> Response:
    call.simulator.faults.take_down()
    return Response(b"", status=204)


# --- reading ------------------------------------------------------------------------------------


def _wrong(sentence: str, status: int = 400) -> Refusal:
    return Refusal(status, {"detail": sentence}, "application/json; charset=utf-8")


def _missing_user(username: str) -> Refusal:
    return _wrong(f"There is no user {username[:40]}.", 404)


def _body(call: Call) -> dict[str, Any]:
    if call.request.mimetype != "application/json":
        raise _wrong("The body must be application/json.", 415)
    try:
        body = json.loads(call.request.get_data() or b"{}")
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise _wrong("The body must be a JSON object.")
    return body


def _read(call: Call, *known: str) -> dict[str, Any]:
    body = _body(call)
    _check_known(body, *known)
    return body


def _bodies(call: Call, name: str) -> list[dict[str, Any]]:
    """What a bulk request asks for, one by one."""
    bodies = _read(call, name).get(name)
    if not isinstance(bodies, list) or not all(isinstance(body, dict) for body in bodies):
        raise _wrong(f"{name} must be a list of objects.")
    return bodies


def _check_known(body: dict[str, Any], *known: str) -> None:
    unknown = sorted(set(body) - set(known))
    if unknown:
        raise _wrong(f"{unknown[0]} is not known here; known: {', '.join(known)}.")


def _text(body: dict[str, Any], name: str, default: str | None = None) -> str:
    value = body.get(name, default)
    if not isinstance(value, str) or not value or not _is_encodable(value):
        raise _wrong(f"{name} must be a text.")
    return value


def _flag(body: dict[str, Any], name: str, default: bool) -> bool:
    value = body.get(name, default)
    if not isinstance(value, bool):
        raise _wrong(f"{name} must be true or false.")
    return value


def _seconds(body: dict[str, Any], name: str) -> float:
    value = body.get(name, 0)
    if type(value) not in (int, float) or not 0 <= value <= _LONGEST_SECONDS:
        raise _wrong(f"{name} must be a number of seconds from 0 to {_LONGEST_SECONDS}.")
    return float(value)


def _username(body: dict[str, Any], default: str | None = None) -> str:
    username = _text(body, "username", default)
    if not re.fullmatch(r"[A-Za-z0-9_]{1,15}", username) or username.lower() in _RESERVED:
        raise _wrong(f"{username[:40]} cannot be a username on X.")
    return username


def _profile_value(name: str, value: Any) -> Any:
    """A profile field of the shape that X gives it."""
    if name == "public_metrics":
        good = isinstance(value, dict) and all(type(count) is int for count in value.values())
    elif name == "verified":
        good = isinstance(value, bool)
    else:
        good = isinstance(value, str) and _is_encodable(value)
    if not good:
        raise _wrong(f"{name} has not the shape that X gives it.")
    return value


def _is_encodable(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _known_user(call: Call, username: str) -> User:
    user = call.simulator.state.world.user_named(username)
    if user is None:
        raise _missing_user(username)
    return user


def _known_post(call: Call, body: dict[str, Any], name: str) -> Post | None:
    return _post_with_id(call, _text(body, name)) if body.get(name) is not None else None


def _post_with_id(call: Call, text: str) -> Post:
    number = int(text) if re.fullmatch(r"[0-9]{1,19}", text, re.ASCII) else None
    post = call.simulator.state.world.live_post(number)
    if post is None:
        raise _wrong(f"There is no post {text[:40]}.", 404)
    return post


def _past_instant(body: dict[str, Any], now: int) -> int | None:
    if body.get("created_at") is None:
        return None
    try:
        instant = parse_instant(_text(body, "created_at"))
    except (ValueError, OverflowError):
        raise _wrong("created_at must be an RFC 3339 date-time with its zone.") from None
    if not X_EPOCH_MS < instant <= now:
        raise _wrong("created_at must lie between November 2010 and now.")
    return instant


def _route(method: str, path: str, view: Callable[[Call], Response]) -> Route:
    return Route(method, f"/control{path}", view)


ROUTES = [
    _route("GET", "", overview),
    _route("POST", "/reset", reset),
    _route("GET", "/users", list_users),
    _route("POST", "/users", put_user),
    _route("GET", "/posts", list_posts),
    _route("POST", "/posts", say),
    _route("POST", "/posts/bulk", say_many),
    _route("DELETE", "/posts/<id>", delete_post),
    _route("POST", "/sample", say_sample),
    _route("POST", "/grants", grant),
    _route("POST", "/grants/bulk", grant_many),
    _route("GET", "/requests", requests),
    _route("PATCH", "/settings", change_settings),
    _route("GET", "/bill", bill),
    _route("POST", "/faults", hang_fault),
    _route("GET", "/faults", list_faults),
    _route("DELETE", "/faults", take_faults_down),
]

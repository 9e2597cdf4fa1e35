"""The pages: what stands on X, a profile, a conversation, the post form and the consent form."""

from html import escape
from urllib.parse import urlsplit

from werkzeug.wrappers import Response

from x_integration.simulator import text as texts
from x_integration.simulator.calls import Call, Route
from x_integration.simulator.pages.frame import asset, page
from x_integration.simulator.pages.parts import Parts
from x_integration.simulator.world import Post, User

_CONVERSATIONS_ON_HOME = 20
_POSTS_ON_PROFILE = 100
_POSTS_OF_CONVERSATION = 200
_POSTS_IN_CARD = 8
_PEOPLE_ASIDE = 16

_SCOPE_WORDS = {
    "tweet.read": "See all the posts that this account can see",
    "tweet.write": "Post and delete posts for this account",
    "users.read": "See this account's profile and other profiles",
    "offline.access": "Stay connected until the access is revoked",
    "tweet.moderate.write": "Hide and unhide replies to this account's posts",
    "media.write": "Upload media for this account",
}


# --- reading ------------------------------------------------------------------------------------


def home(call: Call) -> Response:
    """Conversations, the one with the newest post first."""
    world = call.simulator.state.world
    latest: dict[int, None] = {}
    for post_id in reversed(world.order):
        latest.setdefault(world.posts[post_id].conversation_id)
        if len(latest) == _CONVERSATIONS_ON_HOME:
            break
    cards = [_conversation_card(call, world.conversation(each)) for each in latest]
    body = "".join(cards) or '<p class="card empty">Nobody has said anything yet.</p>'
    title = '<h1 class="title">What people are saying</h1>'
    return page("Home", title + body, aside=_aside(call))


def _conversation_card(call: Call, posts: list[Post]) -> str:
    more = ""
    if len(posts) > _POSTS_IN_CARD:
        root = posts[0]
        author = call.simulator.state.world.users[root.author_id].username
        link = f"/{author}/status/{root.id}"
        more = f'<a class="more" href="{link}">Show all {len(posts):,} posts</a>'
        posts = [root, *posts[1 - _POSTS_IN_CARD :]]
    return f'<section class="card">{_parts(call).thread(posts)}{more}</section>'


def profile(call: Call) -> Response:
    """Who somebody is, and what they said, newest first."""
    world = call.simulator.state.world
    user = world.user_named(call.args["username"])
    if user is None:
        return nothing_here(404)
    parts = _parts(call)
    ids = world.timeline(user.id)[: -_POSTS_ON_PROFILE - 1 : -1]
    posts = "".join(parts.post(world.posts[post_id]) for post_id in ids)
    posts = posts or '<p class="empty">No posts yet.</p>'
    body = f'{parts.header(user)}<section class="card">{posts}</section>'
    return page(f"{user.name} (@{user.username})", body, aside=_aside(call))


def conversation(call: Call) -> Response:
    """A post among everything that was said around it."""
    world = call.simulator.state.world
    post = world.posts.get(_number(call.args["id"]) or 0)
    if post is None:
        return nothing_here(404)
    posts = world.conversation(post.conversation_id)
    shown = posts[:_POSTS_OF_CONVERSATION]
    if post not in shown:
        shown.append(post)
    thread = _parts(call).thread(shown, focus=post.id)
    author = world.users[post.author_id]
    body = f'<h1 class="title">Conversation</h1><section class="card">{thread}</section>'
    return page(f"@{author.username}'s post", body, aside=_aside(call))


# --- speaking: X's web intent -------------------------------------------------------------------


def intent_page(call: Call) -> Response:
    """The form that a hand-off leads a person to."""
    return _intent(call, call.query.get("text", ""), call.query.get("in_reply_to", ""))


def post_as_person(call: Call) -> Response:
    """A person posts: no summon rule, no API, source "web"."""
    form, world = call.request.form, call.simulator.state.world
    text, target_id = form.get("text", "").replace("\r\n", "\n"), form.get("in_reply_to", "")
    user = world.user_named(form.get("user", ""))
    target = world.live_post(_number(target_id))
    if user is None:
        return _intent(call, text, target_id, "Choose who is posting.")
    if not text.strip():
        return _intent(call, text, target_id, "Write something first.")
    if texts.weighted_length(text) > texts.MAX_WEIGHTED_LENGTH:
        return _intent(call, text, target_id, "That is too long for one post.")
    if target_id and target is None:
        return nothing_here(404)
    post = world.say(user, text, source="web", reply_to=target)
    return Response(b"", status=303, headers={"Location": f"/{user.username}/status/{post.id}"})


def _intent(call: Call, text: str, target_id: str, objection: str = "") -> Response:
    target = call.simulator.state.world.live_post(_number(target_id))
    if target_id and target is None:
        return nothing_here(404)
    answered = ""
    if target is not None:
        answered = f'<section class="card">{_parts(call).post(target)}</section>'
    notice = f'<p class="notice" role="alert">{escape(objection)}</p>' if objection else ""
    heading = "Reply" if target else "New post"
    body = (
        f'{answered}<section class="card"><form method="post" action="/intent/tweet">'
        f"<h1>{heading}</h1>{notice}"
        f'<input type="hidden" name="in_reply_to" value="{escape(target_id)}">'
        f"<label>Posting as{_user_picker(call)}</label>"
        f'<label>Text<textarea name="text" dir="auto" required>\n{escape(text)}</textarea></label>'
        '<p class="buttons"><button>Post</button></p></form></section>'
    )
    return page(heading, body, status=400 if objection else 200)


# --- consenting ---------------------------------------------------------------------------------


def consent(call: Call, asked: dict[str, str]) -> Response:
    """The form on which a person lets an app in, or does not."""
    hidden = "".join(
        f'<input type="hidden" name="{name}" value="{escape(value)}">'
        for name, value in asked.items()
    )
    words = "".join(
        f"<li>{escape(_SCOPE_WORDS.get(scope, scope))}</li>" for scope in asked["scope"].split()
    )
    target = urlsplit(asked["redirect_uri"])
    body = (
        '<section class="card"><form method="post" action="/i/oauth2/authorize">'
        f"<h1>An app wants to access an account</h1>{hidden}"
        f'<p class="small">App {escape(asked["client_id"])}, which will take you back to '
        f"{escape(target.netloc)}.</p>"
        f"<label>Account{_user_picker(call)}</label>"
        f'<div><p><strong>It will be able to</strong></p><ul class="scopes">{words}</ul></div>'
        '<p class="buttons"><button name="decision" value="allow">Authorize app</button>'
        '<button class="plain" name="decision" value="cancel" formnovalidate>Cancel</button></p>'
        "</form></section>"
    )
    return page("Authorize app", body, form_target=f"{target.scheme}://{target.netloc}")


def consent_refused(reason: str) -> Response:
    """X's words for a request that it does not understand, and what was wrong with it."""
    body = (
        '<section class="card empty"><h1>Something went wrong</h1><p>You weren’t able to give '
        "access to the App. Go back and try logging in again.</p>"
        f'<p class="small">What the simulator objects to: {escape(reason)}</p></section>'
    )
    return page("Something went wrong", body, status=400)


# --- shared -------------------------------------------------------------------------------------


def nothing_here(status: int) -> Response:
    """A path, a person or a post that is not there."""
    body = (
        '<section class="card empty"><h1>Nothing here</h1><p>This page does not exist, or what '
        'stood here is gone. <a href="/">Back to the timeline</a></p></section>'
    )
    return page("Nothing here", body, status=status)


def stylesheet_or_icon(call: Call) -> Response:
    return asset(call.args["name"]) or nothing_here(404)


def _parts(call: Call) -> Parts:
    state = call.simulator.state
    return Parts(state.world, state.grants, call.now)


def _aside(call: Call) -> str:
    parts = _parts(call)
    told = parts.troubles(call.simulator.faults.hanging())
    told += parts.people(_best_known(call)[:_PEOPLE_ASIDE])
    return f"<aside>{told}</aside>" if told else ""


def _best_known(call: Call) -> list[User]:
    """Everybody; whom people talk to most comes first: usually the brand."""
    world = call.simulator.state.world
    return sorted(
        world.users.values(),
        key=lambda user: (-len(world.mentions_of(user.id)), user.username.lower()),
    )


def _user_picker(call: Call) -> str:
    options = "".join(
        f'<option value="{user.username}">{escape(user.name)} (@{user.username})</option>'
        for user in _best_known(call)
    )
    options = options or '<option value="">Nobody is here yet</option>'
    return f'<select name="user" required>{options}</select>'


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 19 else None


ROUTES = [
    Route("GET", "/", home),
    Route("GET", "/assets/<name>", stylesheet_or_icon),
    Route("GET", "/intent/tweet", intent_page),
    Route("POST", "/intent/tweet", post_as_person),
    Route("GET", "/<username>", profile),
    Route("GET", "/<username>/status/<id>", conversation),
]

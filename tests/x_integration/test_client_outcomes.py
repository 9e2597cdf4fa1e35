"""What each answer of X to a write means: the table in docs/X-API.md, over real HTTP."""

from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import pytest

from tests.x_integration.peers import answer, says
from x_integration.errors import XNotSent, XOutcomeUnknown, XRejected, XUnauthorized

PREFIX = "https://api.twitter.com/2/problems/"
SUMMON = "You can only reply to or quote posts where you are mentioned or are the author."
CONVERSATION = (
    "Reply to this conversation is not allowed because you have not been mentioned or otherwise "
    "engaged by the author of the post you are replying to."
)
DUPLICATE = "You are not allowed to create a Tweet with duplicate content."


class Meaning(NamedTuple):
    """A class and its code; for what was not sent also whether it counts and what it holds."""

    kind: type[Exception]
    code: str
    counts: bool | None = None
    holds_account: bool | None = None


def meaning_of(error: Any) -> Meaning:
    return Meaning(
        type(error),
        error.code,
        getattr(error, "counts", None),
        getattr(error, "holds_account", None),
    )


def paused(code: str) -> Meaning:
    return Meaning(XNotSent, code, counts=False, holds_account=False)


def held(code: str) -> Meaning:
    return Meaning(XNotSent, code, counts=False, holds_account=True)


def refused(code: str) -> Meaning:
    return Meaning(XRejected, code)


def doubtful(code: str) -> Meaning:
    return Meaning(XOutcomeUnknown, code)


def problem(status: int, detail: str = "No.", kind: str = "about:blank") -> dict[str, Any]:
    """A fault that answers with one of X's problems."""
    body = {"title": "Problem", "detail": detail, "type": kind, "status": status}
    return {"kind": "status", "status": status, "body": body}


def plain(status: int, body: Any = None, **headers: str) -> dict[str, Any]:
    """A fault that answers with this body, or with none."""
    return {"kind": "status", "status": status, "body": body, "headers": headers}


TABLE: dict[str, tuple[dict[str, Any], Meaning]] = {
    # 2xx, but what was made cannot be told
    "200 without data": (plain(200, {}), doubtful("x_200")),
    "201 without an id": (plain(201, {"data": {"text": "hi"}}), doubtful("x_201")),
    "201 with a null id": (plain(201, {"data": {"id": None}}), doubtful("x_201")),
    "201 with a blank id": (plain(201, {"data": {"id": ""}}), doubtful("x_201")),
    "201 with an id that is none": (plain(201, {"data": {"id": {"a": 1}}}), doubtful("x_201")),
    "201 with an endless id": (plain(201, {"data": {"id": "1" * 20}}), doubtful("x_201")),
    "201 with a list": (plain(201, [{"id": "1"}]), doubtful("x_201")),
    "201 with a list as data": (plain(201, {"data": [{"id": "1"}]}), doubtful("x_201")),
    "201 and no body": (plain(201), doubtful("x_201")),
    "204": (plain(204), doubtful("x_204")),
    "201 cut in the middle": ({"kind": "truncate"}, doubtful("x_201")),
    "200 HTML": ({"kind": "html", "status": 200}, doubtful("x_200")),
    # 3xx
    "301": (plain(301, None, Location="/2/users/me"), doubtful("x_301")),
    "307": (plain(307, None, Location="/2/users/me"), doubtful("x_307")),
    "304": (plain(304), doubtful("x_304")),
    # the content was refused
    "400": (problem(400, kind=f"{PREFIX}invalid-request"), refused("invalid_request")),
    "400 without a body": (plain(400), refused("invalid_request")),
    "400 HTML": ({"kind": "html", "status": 400}, refused("invalid_request")),
    "403 summon rule": (problem(403, SUMMON), refused("summon_rule")),
    "403 conversation": (problem(403, CONVERSATION), refused("summon_rule")),
    "403 target not authorized": (
        problem(403, "Not yours to see.", f"{PREFIX}not-authorized-for-resource"),
        refused("target_gone"),
    ),
    "403 target gone": (
        problem(403, "You attempted to reply to a Tweet that is deleted or not visible to you."),
        refused("target_gone"),
    ),
    "403 blocked by the author": (
        problem(403, "You have been blocked from replying to this author."),
        refused("target_gone"),
    ),
    "403 never seen before": (problem(403, "The moon is wrong."), refused("forbidden")),
    "403 HTML": ({"kind": "html", "status": 403}, refused("forbidden")),
    "403 without a body": (plain(403), refused("forbidden")),
    "404 problem": (problem(404, kind=f"{PREFIX}resource-not-found"), refused("target_gone")),
    "405 problem": (problem(405), refused("x_405")),
    "409 problem": (problem(409, kind=f"{PREFIX}conflict"), refused("x_409")),
    "422 problem": (problem(422), refused("x_422")),
    "422 in the old shape": (
        plain(422, {"errors": [{"code": 44, "message": "Bad."}]}),
        refused("x_422"),
    ),
    "422 in the manner of OAuth": (
        plain(422, {"error": "invalid_request", "error_description": "Bad."}),
        refused("x_422"),
    ),
    # the token, the account, or everybody's money
    "401": (problem(401), Meaning(XUnauthorized, "x_unauthorized", False, False)),
    "401 without a body": (plain(401), Meaning(XUnauthorized, "x_unauthorized", False, False)),
    "402": (problem(402, "No credits.", f"{PREFIX}credits"), paused("no_credits")),
    "402 without a body": (plain(402), paused("no_credits")),
    "403 client forbidden": (
        problem(403, kind="https://api.x.com/2/problems/client-forbidden"),
        held("client_forbidden"),
    ),
    "403 unsupported authentication": (
        problem(403, kind=f"{PREFIX}unsupported-authentication"),
        held("unsupported_authentication"),
    ),
    "403 oauth1 permissions": (
        problem(403, kind=f"{PREFIX}oauth1-permissions"),
        held("oauth1_permissions"),
    ),
    "403 missing scope": (problem(403, "Missing scope: tweet.write."), held("x_account")),
    "403 missing scopes": (problem(403, "Missing required scopes."), held("x_account")),
    "403 missing scope in the manner of OAuth": (
        plain(403, {"error": "insufficient_scope", "error_description": "Not enough."}),
        held("x_account"),
    ),
    "403 usage capped": (problem(403, kind=f"{PREFIX}usage-capped"), paused("usage_capped")),
    "403 suspended": (problem(403, "Your account is suspended."), held("x_account")),
    "403 locked": (problem(403, "Your account is temporarily locked."), held("x_account")),
    "429": (problem(429), paused("rate_limited")),
    "429 in the old shape": (
        plain(429, {"errors": [{"code": 88, "message": "Rate limit exceeded"}]}),
        paused("rate_limited"),
    ),
    "429 HTML": ({"kind": "html", "status": 429}, paused("rate_limited")),
    "429 usage capped": (problem(429, kind=f"{PREFIX}usage-capped"), paused("usage_capped")),
    # nobody can tell
    "403 duplicate": (problem(403, DUPLICATE), doubtful("duplicate_content")),
    "404 without a body": (plain(404), doubtful("x_404")),
    "404 HTML": ({"kind": "html", "status": 404}, doubtful("x_404")),
    "404 that says nothing": (plain(404, {}), doubtful("x_404")),
    "408 problem": (problem(408), doubtful("x_408")),
    "409 without a body": (plain(409), doubtful("x_409")),
    "500 problem": (problem(500), doubtful("x_500")),
    "502 without a body": (plain(502), doubtful("x_502")),
    "503 HTML": ({"kind": "html"}, doubtful("x_503")),
    "503 problem": (problem(503), doubtful("x_503")),
    "504": (plain(504), doubtful("x_504")),
    "599": (plain(599), doubtful("x_599")),
    # the local X's own words for them
    "fault drop": ({"kind": "drop"}, doubtful("x_answer_lost")),
    "fault lost_answer": ({"kind": "lost_answer"}, doubtful("x_answer_lost")),
    "fault server_error": ({"kind": "server_error"}, doubtful("x_503")),
    "fault server_error after": (
        {"kind": "server_error", "status": 502, "after": True},
        doubtful("x_502"),
    ),
    "fault duplicate": ({"kind": "duplicate"}, doubtful("duplicate_content")),
    "fault duplicate after": (
        {"kind": "duplicate", "after": True},
        doubtful("duplicate_content"),
    ),
    "fault rate_limited": ({"kind": "rate_limited"}, paused("rate_limited")),
    "fault usage_capped": ({"kind": "usage_capped"}, paused("usage_capped")),
    "fault no_credits": ({"kind": "no_credits"}, paused("no_credits")),
    "fault suspended": ({"kind": "suspended"}, held("x_account")),
    "fault unauthorized": (
        {"kind": "unauthorized"},
        Meaning(XUnauthorized, "x_unauthorized", False, False),
    ),
}


@pytest.mark.parametrize("name", TABLE)
def test_each_answer_has_its_meaning_and_is_asked_for_once(voice, name):
    fault, meaning = TABLE[name]
    voice.simulator.fault(method="POST", path="/2/tweets", times=None, **fault)
    with pytest.raises(meaning.kind) as raised:
        voice.says()
    assert meaning_of(raised.value) == meaning
    assert voice.calls() == [("POST", "/2/tweets")]


def test_a_post_gives_its_id(voice):
    assert voice.says("Good morning!") == voice.posts()[0]["id"]


def test_a_reply_stands_under_its_target(voice):
    target = voice.simulator.say("cafe", "A thread.")["id"]
    voice.says("Its second post.", in_reply_to=target)
    assert voice.posts()[0]["in_reply_to"] == target


@pytest.mark.parametrize("status", [200, 202])
def test_any_2xx_with_an_id_is_executed(voice, status):
    voice.simulator.fault("status", "POST", "/2/tweets", **_body(status, {"data": {"id": "77"}}))
    assert voice.says() == "77"


def test_a_number_as_id_is_read_as_its_digits(voice):
    voice.simulator.fault("status", "POST", "/2/tweets", **_body(201, {"data": {"id": 77}}))
    assert voice.says() == "77"


def test_x_own_words_are_the_message(voice):
    voice.simulator.fault(method="POST", path="/2/tweets", **problem(403, "The moon is wrong."))
    with pytest.raises(XRejected, match="X answered 403: The moon is wrong."):
        voice.says()


def test_words_in_the_manner_of_oauth_are_x_own_words_too(voice):
    body = {"error": "invalid_request", "error_description": "The moon is wrong."}
    voice.simulator.fault(method="POST", path="/2/tweets", **plain(400, body))
    with pytest.raises(XRejected, match="X answered 400: invalid_request The moon is wrong."):
        voice.says()


def test_endless_words_are_cut(voice):
    voice.simulator.fault(method="POST", path="/2/tweets", **problem(403, "moon " * 2000))
    with pytest.raises(XRejected) as raised:
        voice.says()
    assert len(str(raised.value)) < 400


# --- when to come back ------------------------------------------------------------------------


@pytest.mark.parametrize("status", [402, 429])
def test_the_header_says_when_to_come_back(voice, status):
    voice.simulator.fault(
        "status", "POST", "/2/tweets", status=status, headers={"x-rate-limit-reset": "1800000000"}
    )
    with pytest.raises(XNotSent) as raised:
        voice.says()
    assert raised.value.retry_at == datetime.fromtimestamp(1_800_000_000, UTC)


@pytest.mark.parametrize("value", ["", "soon", "-5", "1.5", "9" * 30, "\N{SUPERSCRIPT TWO}"])
def test_a_header_that_is_no_instant_says_nothing(voice, value):
    headers = {"x-rate-limit-reset": value} if value else {}
    voice.simulator.fault("status", "POST", "/2/tweets", status=429, headers=headers)
    with pytest.raises(XNotSent) as raised:
        voice.says()
    assert raised.value.retry_at is None


def test_a_spent_allowance_is_a_rate_limit_until_its_window_ends(voice):
    voice.simulator.settings(rate_limits={"POST /2/tweets": 1})
    voice.says("One.")
    latest = datetime.now(UTC) + timedelta(minutes=15, seconds=1)
    with pytest.raises(XNotSent) as raised:
        voice.says("Two.")
    assert meaning_of(raised.value) == paused("rate_limited")
    assert latest - timedelta(minutes=1) < (raised.value.retry_at or latest) < latest


# --- X's own refusals, unprovoked -----------------------------------------------------------------


def test_a_reply_to_somebody_who_did_not_summon_us_is_refused_by_the_rule(voice):
    voice.simulator.make_user("lia")
    target = voice.simulator.say("lia", "Nobody was mentioned.")["id"]
    with pytest.raises(XRejected) as raised:
        voice.says(in_reply_to=target)
    assert raised.value.code == "summon_rule"


def test_the_same_words_again_may_be_public_already(voice):
    voice.says("Twice.")
    with pytest.raises(XOutcomeUnknown) as raised:
        voice.says("Twice.")
    assert raised.value.code == "duplicate_content"


def test_a_reply_to_a_deleted_post_is_refused(voice):
    target = voice.simulator.say("cafe", "Soon gone.")["id"]
    voice.simulator.take_down(target)
    with pytest.raises(XRejected):
        voice.says(in_reply_to=target)


def test_an_expired_token_is_unauthorized(voice):
    voice.tokens = voice.simulator.connect("cafe", expires_in=-1)
    with pytest.raises(XUnauthorized):
        voice.says()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_never_followed(voice, peer, settings, status):
    elsewhere = peer(says(answer("201 Created", {"data": {"id": "666"}})))
    settings.X_API_BASE_URL = voice.simulator.base_url
    voice.simulator.fault(
        "status", "POST", "/2/tweets", **_body(status, None, Location=f"{elsewhere.base_url}/2")
    )
    with pytest.raises(XOutcomeUnknown):
        voice.says()
    assert elsewhere.requests == []


def _body(status: int, body: Any, **headers: str) -> dict[str, Any]:
    return {"status": status, "body": body, "headers": headers}

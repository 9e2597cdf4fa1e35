"""X's token endpoint: what it grants, what it refuses, and what nobody can tell."""

from datetime import timedelta

import pytest
from django.utils import timezone

from tests.x_integration.peers import answer, says
from tests.x_integration.simulator.caller import VERIFIER, code_for
from x_integration.client import XClient
from x_integration.errors import (
    ConnectFailed,
    XClientRefused,
    XGrantRefused,
    XReadFailed,
    XTokenUnspent,
)

TOKEN, REVOKE = "/2/oauth2/token", "/2/oauth2/revoke"
CANARY = "canary-4f1d8c"
GRANTED = {
    "access_token": "new-access",
    "refresh_token": "new-refresh",
    "expires_in": 7200,
    "scope": "tweet.read",
    "token_type": "bearer",
}


@pytest.fixture
def granted(voice):
    """Renew against an answer of X's token endpoint."""

    def renew(**changes):
        body = {name: value for name, value in (GRANTED | changes).items() if value is not ...}
        voice.simulator.fault("status", "POST", TOKEN, status=200, body=body)
        return voice.client.refresh_token("old")

    return renew


def test_a_renewal_gives_a_new_pair(voice):
    pair = voice.client.refresh_token(voice.tokens.refresh_token)
    assert pair.access_token != voice.tokens.access_token
    assert pair.refresh_token != voice.tokens.refresh_token
    assert voice.client.me(pair.access_token)[1] == "cafe"


def test_a_code_and_its_verifier_give_a_pair(voice):
    code = code_for(voice.simulator, "cafe")
    pair = voice.client.exchange_code(code, verifier=VERIFIER)
    assert voice.client.me(pair.access_token)[1] == "cafe"
    assert pair.expires_in == timedelta(hours=2)


def test_a_wrong_verifier_gives_nothing(voice):
    with pytest.raises(ConnectFailed, match="authorization code was invalid"):
        voice.client.exchange_code(code_for(voice.simulator, "cafe"), verifier="w" * 64)


def test_a_pair_shows_neither_token(voice):
    pair = voice.client.refresh_token(voice.tokens.refresh_token)
    assert pair.access_token not in repr(pair)
    assert pair.refresh_token not in repr(pair)


# --- what is granted ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "read"),
    [
        (3600, timedelta(hours=1)),
        ("3600", timedelta(hours=1)),
        (..., timedelta(hours=2)),
        (None, timedelta(hours=2)),
        ("soon", timedelta(hours=2)),
        (-5, timedelta(hours=2)),
        (0, timedelta(hours=2)),
        (1.5, timedelta(hours=2)),
        ([1], timedelta(hours=2)),
        (10**30, timedelta(hours=2)),
        (10**10, timedelta(days=366)),
    ],
)
def test_a_life_that_cannot_be_read_is_two_hours(granted, said, read):
    assert granted(expires_in=said).expires_in == read


@pytest.mark.parametrize("said", [..., None, "", "  ", 7, ["r"]])
def test_a_missing_or_blank_refresh_token_is_none(granted, said):
    assert granted(refresh_token=said).refresh_token is None


@pytest.mark.parametrize("said", [..., None, "", "  ", 7, ["a"], "a\nb", "a b", "açaí"])
def test_what_is_no_access_token_is_never_taken_for_one(granted, said):
    with pytest.raises(XReadFailed) as raised:
        granted(access_token=said)
    assert raised.value.code == "x_token_broken"


@pytest.mark.django_db
def test_half_a_character_is_no_access_token(peer):
    peer(says(answer("200 OK", {"access_token": "\ud800"})))
    with pytest.raises(XReadFailed):
        XClient().refresh_token("old")


def test_scope_and_type_are_cut_to_what_can_be_stored(granted):
    pair = granted(scope="s" * 600 + "\x00", token_type="\x00" + "t" * 30)
    assert (pair.scope, pair.token_type) == ("s" * 500, "t" * 20)


def test_a_missing_scope_and_type_have_their_defaults(granted):
    pair = granted(scope=..., token_type=...)
    assert (pair.scope, pair.token_type) == ("", "bearer")


@pytest.mark.parametrize("body", [[], "token", {}, None])
def test_a_200_that_grants_nothing_is_an_unknown_outcome(voice, body):
    voice.simulator.fault("status", "POST", TOKEN, status=200, body=body)
    with pytest.raises(XReadFailed) as raised:
        voice.client.refresh_token("old")
    assert raised.value.code == "x_token_broken"


# --- what is refused ----------------------------------------------------------------------------

DEAD = {
    "X's own": ("invalid_request", "Value passed for the token was invalid."),
    "RFC 6749": ("invalid_grant", "The grant is over."),
    "RFC 6749, silent": ("invalid_grant", None),
}
DEAD_WORDS = {
    "error": "invalid_grant",
    "error_description": "Value passed for the token was invalid.",
}
OURS = {
    "our client": (401, {"error": "invalid_client", "error_description": "No."}),
    "our header": (401, {"error": "unauthorized_client"}),
    "a 401 that says nothing": (401, None),
    "a dead grant's words with a 401": (401, DEAD_WORDS),
    "our client with a 400": (400, {"error": "invalid_client"}),
    "our app with a dead grant's words": (400, DEAD_WORDS | {"error": "unauthorized_client"}),
}
UNSPENT = {
    "a bad request": (400, {"error": "invalid_request", "error_description": "Missing [x]."}),
    "a code's words": (
        400,
        {
            "error": "invalid_request",
            "error_description": "Value passed for the authorization code was invalid.",
        },
    ),
    "too many": (429, {"title": "Too Many Requests"}),
    "forbidden": (403, None),
    "an empty 400": (400, None),
    "a list": (400, ["invalid_grant"]),
}
UNTOLD = {
    "a dead grant's words with another status": (503, DEAD_WORDS),
    "an empty 500": (500, None),
    "a time-out at X": (408, None),
    "a redirect": (302, None),
}


@pytest.mark.parametrize("name", DEAD)
def test_a_dead_grant_is_told_by_error_and_words(voice, name):
    error, words = DEAD[name]
    body = {"error": error, "error_description": words}
    voice.simulator.fault("status", "POST", TOKEN, status=400, body=body)
    with pytest.raises(XGrantRefused):
        voice.client.refresh_token("old")


def refused_with(voice, answers, name):
    """What a renewal raises for an answer."""
    status, body = answers[name]
    voice.simulator.fault("status", "POST", TOKEN, status=status, body=body)
    with pytest.raises(XReadFailed) as raised:
        voice.client.refresh_token("old")
    assert len(voice.calls()) == 1
    return raised.value


@pytest.mark.parametrize("name", OURS)
def test_our_own_credentials_are_told_from_a_dead_grant(voice, name):
    error = refused_with(voice, OURS, name)
    assert (type(error), error.code) == (XClientRefused, "x_client_refused")


@pytest.mark.parametrize("name", UNSPENT)
def test_what_x_did_not_do_leaves_the_token_unspent(voice, name):
    error = refused_with(voice, UNSPENT, name)
    assert (type(error), error.code) == (XTokenUnspent, f"x_token_{UNSPENT[name][0]}")


@pytest.mark.parametrize("name", UNTOLD)
def test_what_x_may_have_done_is_an_unknown_outcome(voice, name):
    error = refused_with(voice, UNTOLD, name)
    assert (type(error), error.code) == (XReadFailed, f"x_token_{UNTOLD[name][0]}")


def test_too_many_says_when_to_come_back(voice):
    voice.simulator.fault("rate_limited", "POST", TOKEN, reset_in=600)
    with pytest.raises(XTokenUnspent) as raised:
        voice.client.refresh_token("old")
    assert raised.value.retry_at is not None
    assert 590 < (raised.value.retry_at - timezone.now()).total_seconds() <= 600


@pytest.mark.django_db
def test_an_x_that_is_not_there_leaves_the_token_unspent(settings, free_port):
    settings.X_TOKEN_URL = f"http://127.0.0.1:{free_port}{TOKEN}"
    with pytest.raises(XTokenUnspent) as raised:
        XClient().refresh_token("old")
    assert raised.value.code == "x_unreachable"


@pytest.mark.parametrize("fault", ["drop", "lost_answer"])
def test_a_lost_answer_is_an_unknown_outcome_and_not_asked_again(voice, fault):
    voice.simulator.fault(fault, "POST", TOKEN)
    with pytest.raises(XReadFailed) as raised:
        voice.client.refresh_token(voice.tokens.refresh_token)
    assert raised.value.code == "x_token_lost"
    assert voice.calls() == [("POST", TOKEN)]


def test_a_spent_refresh_token_is_refused(voice):
    voice.client.refresh_token(voice.tokens.refresh_token)
    with pytest.raises(XGrantRefused):
        voice.client.refresh_token(voice.tokens.refresh_token)


def test_a_revoked_token_is_dead(voice):
    voice.client.revoke_token(voice.tokens.refresh_token)
    with pytest.raises(XGrantRefused):
        voice.client.refresh_token(voice.tokens.refresh_token)


def test_a_revocation_that_x_did_not_confirm_is_an_error(voice):
    voice.simulator.fault("status", "POST", REVOKE, status=503)
    with pytest.raises(XReadFailed, match="X did not revoke"):
        voice.client.revoke_token("token")


# --- what X echoes --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "ask"),
    [
        (TOKEN, lambda x: x.refresh_token(CANARY)),
        (TOKEN, lambda x: x.exchange_code(CANARY, verifier=VERIFIER)),
        (TOKEN, lambda x: x.exchange_code("some-code", verifier=CANARY)),
        (REVOKE, lambda x: x.revoke_token(CANARY)),
    ],
    ids=["refresh token", "code", "verifier", "revoked token"],
)
def test_a_secret_that_x_echoes_is_in_no_error(voice, path, ask):
    body = {"error": "invalid_grant", "error_description": f"Bad value {'.' * 100}{CANARY}."}
    voice.simulator.fault("status", "POST", path, status=400, body=body)
    with pytest.raises((ConnectFailed, XGrantRefused, XReadFailed)) as raised:
        ask(voice.client)
    assert "invalid_grant" in str(raised.value)
    assert CANARY[:9] not in f"{raised.value} {raised.value!r}"

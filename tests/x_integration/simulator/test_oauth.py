"""OAuth 2.0 with PKCE: consent, codes, rotation, reuse."""

import pytest
import requests

from tests.x_integration.simulator.caller import (
    Caller,
    ask_token,
    code_for,
    consent_form,
    decide,
    exchange,
    redirected,
    refresh,
)
from x_integration.simulator.process import SimulatorProcess

DEAD_TOKEN = {
    "error": "invalid_request",
    "error_description": "Value passed for the token was invalid.",
}
DEAD_CODE = {
    "error": "invalid_request",
    "error_description": "Value passed for the authorization code was invalid.",
}


@pytest.fixture
def code(simulator: SimulatorProcess, brand: Caller) -> str:
    return code_for(simulator, "brand")


def test_consent_redirects_with_the_state_and_a_code(simulator, brand):
    answer = decide(simulator, "brand")
    assert answer.status_code == 302
    assert answer.headers["Location"].startswith(simulator.redirect_uri + "?")
    assert redirected(answer)["state"] == "some-state"
    assert redirected(answer)["code"]


def test_cancel_redirects_with_access_denied(simulator, brand):
    answer = decide(simulator, "brand", "cancel")
    assert redirected(answer) == {"error": "access_denied", "state": "some-state"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"client_id": "other"},
        {"redirect_uri": "http://127.0.0.1:8000/integrations/x/oauth/callback/"},
        {"response_type": "token"},
        {"scope": ""},
        {"scope": "tweet.read everything"},
        {"state": ""},
        {"state": "s" * 501},
        {"code_challenge": "short"},
        {"code_challenge_method": "plain"},
    ],
)
def test_a_wrong_request_for_consent_is_a_page_and_never_a_redirect(simulator, brand, wrong):
    url = f"{simulator.base_url}/i/oauth2/authorize"
    page = requests.get(url, params=consent_form(simulator, **wrong), timeout=10)
    assert (page.status_code, decide(simulator, "brand", **wrong).status_code) == (400, 400)


def test_the_consent_page_lists_the_users_and_both_buttons(simulator, brand):
    url = f"{simulator.base_url}/i/oauth2/authorize"
    page = requests.get(url, params=consent_form(simulator), timeout=10).text
    assert all(text in page for text in ("@brand", "Authorize app", "Cancel"))


def test_the_consent_page_lets_its_form_end_at_the_redirect(simulator, brand):
    url = f"{simulator.base_url}/i/oauth2/authorize"
    page = requests.get(url, params=consent_form(simulator), timeout=10)
    policy = page.headers["Content-Security-Policy"]
    assert "form-action 'self' http://127.0.0.1:8000" in policy


def test_consent_of_somebody_unknown_is_refused(simulator):
    assert decide(simulator, "nobody").status_code == 400


def test_a_code_buys_a_pair_of_tokens(simulator, code):
    answer = exchange(simulator, code).json()
    assert {name: answer[name] for name in ("token_type", "expires_in", "scope")} == {
        "token_type": "bearer",
        "expires_in": 7200,
        "scope": "tweet.read tweet.write users.read offline.access",
    }
    assert answer["access_token"] != answer["refresh_token"]


def test_without_offline_access_there_is_no_refresh_token(simulator, brand):
    code = code_for(simulator, "brand", scope="tweet.read users.read")
    assert "refresh_token" not in exchange(simulator, code).json()


def test_the_access_token_speaks_for_the_person_who_consented(simulator, brand, code):
    token = exchange(simulator, code).json()["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    me = requests.get(f"{simulator.base_url}/2/users/me", headers=headers, timeout=10).json()
    assert me["data"] == {"id": brand.id, "name": "brand", "username": "brand"}


def test_a_wrong_verifier_is_refused(simulator, code):
    answer = exchange(simulator, code, code_verifier="w" * 64)
    assert (answer.status_code, answer.json()) == (400, DEAD_CODE)


def test_a_code_works_once(simulator, code):
    exchange(simulator, code)
    answer = exchange(simulator, code)
    assert (answer.status_code, answer.json()) == (400, DEAD_CODE)


def test_a_code_runs_out(simulator, brand):
    simulator.settings(code_ttl_seconds=0.001)
    answer = exchange(simulator, code_for(simulator, "brand"))
    assert (answer.status_code, answer.json()) == (400, DEAD_CODE)


def test_the_redirect_uri_of_the_exchange_must_match(simulator, code):
    answer = exchange(simulator, code, redirect_uri="http://127.0.0.1:8000/other")
    assert answer.status_code == 400
    assert "redirect uri" in answer.json()["error_description"]


def test_a_missing_basic_header_is_unauthorized_client(simulator):
    answer = ask_token(simulator, basic=False, grant_type="refresh_token", refresh_token="x")
    assert answer.status_code == 401
    assert answer.json() == {
        "error": "unauthorized_client",
        "error_description": "Missing valid authorization header",
    }


def test_a_wrong_secret_is_invalid_client(simulator):
    url = f"{simulator.base_url}/2/oauth2/token"
    answer = requests.post(url, data={}, auth=(simulator.client_id, "wrong"), timeout=10)
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


@pytest.mark.parametrize("missing", ["grant_type", "code", "redirect_uri", "code_verifier"])
def test_a_missing_parameter_is_named(simulator, code, missing):
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": simulator.redirect_uri,
        "code_verifier": "v" * 64,
    }
    del form[missing]
    answer = ask_token(simulator, **form)
    assert answer.json()["error_description"] == f"Missing required parameter [{missing}]."


def test_a_refresh_gives_a_new_pair(simulator, brand):
    answer = refresh(simulator, brand.tokens.refresh_token).json()
    assert answer["access_token"] != brand.tokens.access_token
    assert answer["refresh_token"] != brand.tokens.refresh_token


def test_the_old_access_token_outlives_a_refresh(simulator, brand):
    refresh(simulator, brand.tokens.refresh_token)
    assert brand.get("/2/users/me").status_code == 200


def test_an_unknown_refresh_token_is_refused_as_x_does(simulator):
    answer = refresh(simulator, "unknown")
    assert (answer.status_code, answer.json()) == (400, DEAD_TOKEN)


def test_a_spent_refresh_token_ends_the_whole_family(simulator, brand):
    second = refresh(simulator, brand.tokens.refresh_token).json()
    assert refresh(simulator, brand.tokens.refresh_token).json() == DEAD_TOKEN
    assert refresh(simulator, second["refresh_token"]).json() == DEAD_TOKEN
    assert brand.get("/2/users/me").status_code == 401
    assert simulator.overview()["refresh_reuses"] == 1


def test_a_reuse_leaves_other_families_alone(simulator, brand):
    other = simulator.connect("brand")
    refresh(simulator, brand.tokens.refresh_token)
    refresh(simulator, brand.tokens.refresh_token)
    assert refresh(simulator, other.refresh_token).status_code == 200


def test_revoking_the_refresh_token_ends_the_grant(simulator, brand):
    token = brand.tokens.refresh_token or ""
    assert ask_token(simulator, path="revoke", token=token).json() == {"revoked": True}
    assert brand.get("/2/users/me").status_code == 401
    assert refresh(simulator, token).json() == DEAD_TOKEN


def test_revoking_an_access_token_leaves_the_refresh_token(simulator, brand):
    ask_token(simulator, path="revoke", token=brand.tokens.access_token)
    assert brand.get("/2/users/me").status_code == 401
    assert refresh(simulator, brand.tokens.refresh_token).status_code == 200


def test_revoking_something_unknown_is_no_error(simulator):
    assert ask_token(simulator, path="revoke", token="unknown").status_code == 200


def test_an_expired_access_token_is_unauthorized(simulator):
    expired = Caller(simulator, simulator.connect("brand", expires_in=-1))
    answer = expired.get("/2/users/me")
    assert (answer.status_code, answer.json()["title"]) == (401, "Unauthorized")


def test_the_life_of_access_tokens_can_be_shortened(simulator, code):
    simulator.settings(expires_in=5)
    assert exchange(simulator, code).json()["expires_in"] == 5


def test_a_new_grant_ends_the_users_older_ones_where_one_is_allowed(simulator, brand, fan):
    simulator.settings(one_grant_per_user=True)
    exchange(simulator, code_for(simulator, "brand"))
    assert brand.get("/2/users/me").status_code == 401
    assert refresh(simulator, brand.tokens.refresh_token).json() == DEAD_TOKEN
    assert fan.get("/2/users/me").status_code == 200


def test_a_grant_from_the_control_door_ends_the_older_ones_too(simulator, brand):
    simulator.settings(one_grant_per_user=True)
    second = Caller(simulator, simulator.connect("brand"))
    assert [caller.get("/2/users/me").status_code for caller in (brand, second)] == [401, 200]


def test_a_grant_that_a_newer_one_ended_is_no_reuse(simulator, brand):
    simulator.settings(one_grant_per_user=True)
    second = simulator.connect("brand")
    refresh(simulator, brand.tokens.refresh_token)
    assert simulator.overview()["refresh_reuses"] == 0
    assert refresh(simulator, second.refresh_token).status_code == 200


def test_refused_refreshes_are_counted(simulator, brand):
    refresh(simulator, "unknown")
    for _ in range(3):  # rotated, reused, and then dead
        refresh(simulator, brand.tokens.refresh_token)
    assert simulator.overview()["refresh_refusals"] == 3

"""What can go wrong on purpose."""

import time
from pathlib import Path

import pytest
import requests

from tests.x_integration.simulator.caller import code_for, exchange, refresh
from x_integration.simulator.faults import KINDS
from x_integration.simulator.process import SimulatorFailed

TOKEN = "/2/oauth2/token"
PAGE = Path(__file__).resolve().parents[3] / "docs" / "X-API.md"


def said(simulator):
    return [post["text"] for post in simulator.posts(source="api")]


def rotations(simulator):
    return simulator.overview()["refresh_rotations"]


def test_a_status_takes_the_place_of_the_work(simulator, brand):
    simulator.fault(
        "status", "POST", "/2/tweets", status=503, body={"title": "Over"}, headers={"x-a": "b"}
    )
    answer = brand.post("hello")
    assert (answer.status_code, answer.json(), answer.headers["x-a"]) == (
        503,
        {"title": "Over"},
        "b",
    )
    assert said(simulator) == []


def test_a_status_after_denies_work_that_was_done(simulator, brand):
    simulator.fault("status_after", "POST", "/2/tweets", status=500)
    assert brand.post("hello").status_code == 500
    assert said(simulator) == ["hello"]


def test_a_lost_answer_was_work(simulator, brand):
    simulator.fault("lost_answer", "POST", "/2/tweets")
    with pytest.raises(requests.ConnectionError):
        brand.post("hello")
    assert said(simulator) == ["hello"]


def test_a_drop_does_nothing(simulator, brand):
    simulator.fault("drop", "POST", "/2/tweets")
    with pytest.raises(requests.ConnectionError):
        brand.post("hello")
    assert said(simulator) == []


def test_a_delay_comes_before_the_work(simulator, brand):
    simulator.fault("delay", "POST", "/2/tweets", ms=300)
    begun = time.monotonic()
    assert brand.post("hello").status_code == 201
    assert time.monotonic() - begun >= 0.3


def test_a_slow_answer_was_work_while_the_caller_waits(simulator, brand):
    simulator.fault("slow_answer", "POST", "/2/tweets", ms=600)
    with pytest.raises(requests.ReadTimeout):
        brand.call("POST", "/2/tweets", json={"text": "hello"}, timeout=0.2)
    assert said(simulator) == ["hello"]


def test_a_slow_answer_arrives_after_its_wait(simulator, brand):
    simulator.fault("slow_answer", "POST", TOKEN, ms=300)
    begun = time.monotonic()
    assert refresh(simulator, brand.tokens.refresh_token).status_code == 200
    assert time.monotonic() - begun >= 0.3


def test_html_is_no_json(simulator, brand):
    simulator.fault("html", "GET", "/2/users/me")
    answer = brand.get("/2/users/me")
    assert (answer.status_code, answer.headers["Content-Type"][:9]) == (503, "text/html")


def test_html_comes_in_place_of_the_work(simulator, brand):
    simulator.fault("html", "POST", TOKEN)
    refresh(simulator, brand.tokens.refresh_token)
    assert rotations(simulator) == 0


def test_html_can_come_after_the_work(simulator, brand):
    simulator.fault("html", "POST", TOKEN, after=True, status=502)
    answer = refresh(simulator, brand.tokens.refresh_token)
    assert (answer.status_code, answer.headers["Content-Type"][:9]) == (502, "text/html")
    assert rotations(simulator) == 1


@pytest.mark.parametrize(
    ("edit", "name", "told"),
    [
        ({"without": ["refresh_token"]}, "refresh_token", None),
        ({"set": {"refresh_token": ""}}, "refresh_token", ""),
        ({"set": {"expires_in": "7200"}}, "expires_in", "7200"),
    ],
)
def test_an_edited_answer_hides_work_that_was_done(simulator, brand, edit, name, told):
    simulator.fault("edit_answer", "POST", TOKEN, **edit)
    answer = refresh(simulator, brand.tokens.refresh_token)
    assert (answer.status_code, answer.json().get(name)) == (200, told)
    assert rotations(simulator) == 1


def test_an_edit_leaves_the_other_fields_alone(simulator, brand):
    simulator.fault("edit_answer", "POST", TOKEN, without=["refresh_token"])
    answer = exchange(simulator, code_for(simulator, "brand")).json()
    assert sorted(answer) == ["access_token", "expires_in", "scope", "token_type"]


def test_a_refusal_passes_unedited(simulator):
    simulator.fault("edit_answer", "POST", TOKEN, set={"error": "other"})
    assert refresh(simulator, "unknown").json()["error"] == "invalid_request"


def test_a_page_passes_unedited(simulator, brand):
    simulator.fault("edit_answer", "GET", "/brand", set={"a": 1})
    page = requests.get(f"{simulator.base_url}/brand", timeout=10)
    assert page.text.startswith("<!DOCTYPE html>")


def test_unauthorized_is_xs_own_401_and_nothing_was_done(simulator, brand):
    simulator.fault("unauthorized", "POST", "/2/tweets")
    answer, blank = brand.post("hello"), "about:blank"
    told = {"title": "Unauthorized", "detail": "Unauthorized", "type": blank, "status": 401}
    assert (answer.status_code, answer.json()) == (401, told)
    assert said(simulator) == []


def test_unauthorized_at_the_token_endpoint_is_invalid_client(simulator, brand):
    simulator.fault("unauthorized", "POST", TOKEN)
    answer = refresh(simulator, brand.tokens.refresh_token)
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    assert rotations(simulator) == 0


def test_everybody_can_be_unauthorized(simulator, brand, fan):
    simulator.fault("unauthorized", "*", "/2/.*", times=None)
    assert [caller.get("/2/users/me").status_code for caller in (brand, fan)] == [401, 401]
    assert refresh(simulator, fan.tokens.refresh_token).status_code == 401


def test_rate_limited_says_when_the_window_ends(simulator, brand):
    simulator.fault("rate_limited", "POST", "/2/tweets", reset_in=60)
    answer = brand.post("hello")
    assert (answer.status_code, answer.json()["title"]) == (429, "Too Many Requests")
    assert int(answer.headers["x-rate-limit-limit"]) > 0
    assert answer.headers["x-rate-limit-remaining"] == "0"
    assert int(answer.headers["x-rate-limit-reset"]) == pytest.approx(time.time() + 60, abs=5)


def test_rate_limited_ends_in_a_quarter_of_an_hour_unless_told(simulator, brand):
    simulator.fault("rate_limited", "POST", TOKEN)
    answer = refresh(simulator, brand.tokens.refresh_token)
    assert int(answer.headers["x-rate-limit-reset"]) == pytest.approx(time.time() + 900, abs=5)
    assert rotations(simulator) == 0


@pytest.mark.parametrize("after", [False, True])
def test_a_server_error_may_come_after_the_work(simulator, brand, after):
    simulator.fault("server_error", "POST", "/2/tweets", after=after)
    words = "Service Unavailable"
    told = {"title": words, "detail": words, "type": "about:blank", "status": 503}
    answer = brand.post("hello")
    assert (answer.status_code, answer.json()) == (503, told)
    assert said(simulator) == (["hello"] if after else [])


def test_a_server_error_has_the_status_that_was_asked_for(simulator, brand):
    simulator.fault("server_error", "POST", "/2/tweets", status=502)
    answer = brand.post("hello")
    assert (answer.status_code, answer.json()["title"]) == (502, "Bad Gateway")


def test_no_credits_is_xs_own_402_and_nothing_was_done(simulator, brand):
    simulator.fault("no_credits", "POST", "/2/tweets")
    answer = brand.post("hello")
    assert (answer.status_code, answer.json()["title"]) == (402, "CreditsDepleted")
    assert answer.json()["type"].endswith("/2/problems/credits")
    assert said(simulator) == []


def test_a_usage_cap_shows_a_window_that_is_not_spent(simulator, brand):
    simulator.fault("usage_capped", "POST", "/2/tweets")
    answer = brand.post("hello")
    assert (answer.status_code, answer.json()["title"]) == (429, "UsageCapExceeded")
    assert answer.json()["type"].endswith("/2/problems/usage-capped")
    assert int(answer.headers["x-rate-limit-remaining"]) > 0
    assert said(simulator) == []


@pytest.mark.parametrize("after", [False, True])
def test_a_duplicate_is_denied_in_xs_words_and_may_stand_all_the_same(simulator, brand, after):
    simulator.fault("duplicate", "POST", "/2/tweets", after=after)
    answer = brand.post("hello")
    duplicate = "You are not allowed to create a Tweet with duplicate content."
    assert (answer.status_code, answer.json()["detail"]) == (403, duplicate)
    assert said(simulator) == (["hello"] if after else [])


def test_a_suspended_account_is_told_so_once(simulator, brand):
    simulator.fault("suspended", "POST", "/2/tweets")
    answer = brand.post("hello")
    assert (answer.status_code, "suspended" in answer.json()["detail"]) == (403, True)
    assert said(simulator) == []
    assert brand.post("hello").status_code == 201


def test_a_truncated_answer_is_half_of_its_json(simulator, brand):
    simulator.fault("truncate", "POST", "/2/tweets")
    answer = brand.post("hello")
    with pytest.raises(requests.JSONDecodeError):
        answer.json()
    assert said(simulator) == ["hello"]


def test_a_fault_meets_as_often_as_asked(simulator, brand):
    simulator.fault("status", "GET", "/2/users/me", status=500, times=2)
    assert [brand.get("/2/users/me").status_code for _ in range(3)] == [500, 500, 200]


def test_a_fault_without_an_end_stays_until_taken_down(simulator, brand):
    simulator.fault("status", "*", "/2/.*", status=500, times=None)
    assert [brand.get("/2/users/me").status_code for _ in range(3)] == [500, 500, 500]
    simulator.clear_faults()
    assert brand.get("/2/users/me").status_code == 200


def test_a_fault_can_be_one_users_alone(simulator, brand, fan):
    simulator.fault("status", "GET", "/2/users/me", status=500, user="fan")
    assert [caller.get("/2/users/me").status_code for caller in (brand, fan)] == [200, 500]


def test_a_template_meets_every_id(simulator, brand):
    simulator.fault("status", "GET", "/2/users/{id}/mentions", status=500)
    assert brand.get(f"/2/users/{brand.id}/mentions").status_code == 500


def test_a_token_request_belongs_to_the_owner_of_its_token(simulator, brand):
    simulator.fault("drop", "POST", "/2/oauth2/token", user="brand")
    with pytest.raises(requests.ConnectionError):
        requests.post(
            f"{simulator.base_url}/2/oauth2/token",
            data={"grant_type": "refresh_token", "refresh_token": brand.tokens.refresh_token},
            timeout=10,
        )


def test_hung_faults_are_listed_with_their_hits(simulator, brand):
    simulator.fault("status", "GET", "/2/users/me", status=500, times=3)
    brand.get("/2/users/me")
    listed = simulator.faults()[0]
    assert (listed["kind"], listed["left"], listed["hits"]) == ("status", 2, 1)


def test_the_request_log_names_the_fault_and_keeps_the_silence(simulator, brand):
    simulator.fault("lost_answer", "POST", "/2/tweets")
    with pytest.raises(requests.ConnectionError):
        brand.post("hello")
    entry = simulator.requests()[-1]
    assert (entry["fault"], entry["status"]) == ("lost_answer", None)


@pytest.mark.parametrize(
    "wish",
    [
        {"kind": "nonsense", "method": "GET", "path": "/"},
        {"kind": "delay", "method": "GET", "path": "/"},
        {"kind": "delay", "method": "GET", "path": "/", "ms": "long"},
        {"kind": "status", "method": "GET", "path": "/", "status": 42},
        {"kind": "status", "method": "GET", "path": "/", "status": 500, "headers": {"a": "b\nc"}},
        {"kind": "slow_answer", "method": "GET", "path": "/"},
        {"kind": "slow_answer", "method": "GET", "path": "/", "ms": -1},
        {"kind": "edit_answer", "method": "GET", "path": "/", "set": ["a"]},
        {"kind": "edit_answer", "method": "GET", "path": "/", "without": "refresh_token"},
        {"kind": "edit_answer", "method": "GET", "path": "/", "without": [1]},
        {"kind": "unauthorized", "method": "GET", "path": "/", "status": 401},
        {"kind": "rate_limited", "method": "GET", "path": "/", "reset_in": "900"},
        {"kind": "rate_limited", "method": "GET", "path": "/", "reset_in": True},
        {"kind": "html", "method": "GET", "path": "/", "after": 1},
        {"kind": "server_error", "method": "GET", "path": "/", "status": "503"},
        {"kind": "duplicate", "method": "GET", "path": "/", "after": "yes"},
        {"kind": "suspended", "method": "GET", "path": "/", "after": True},
        {"kind": "no_credits", "method": "GET", "path": "/", "status": 402},
        {"kind": "drop", "method": "GET"},
        {"kind": "drop", "method": "GET", "path": "("},
        {"kind": "drop", "method": "GET", "path": "/", "times": 0},
        {"kind": "drop", "method": "GET", "path": "/", "nonsense": 1},
        {"kind": "drop", "method": "GET", "path": "/", "user": "\ud800"},
        {"kind": "status", "method": "GET", "path": "/", "status": 500, "body": ["\ud800"]},
    ],
)
def test_a_fault_that_makes_no_sense_is_refused(simulator, wish):
    with pytest.raises(SimulatorFailed, match="400"):
        simulator.control("POST", "/faults", wish)
    assert simulator.faults() == []


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_in_the_documents(kind):
    assert f"`{kind}`" in PAGE.read_text()

"""What can go wrong on purpose."""

import time

import pytest
import requests

from x_integration.simulator.process import SimulatorFailed


def said(simulator):
    return [post["text"] for post in simulator.posts(source="api")]


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


def test_html_is_no_json(simulator, brand):
    simulator.fault("html", "GET", "/2/users/me")
    answer = brand.get("/2/users/me")
    assert (answer.status_code, answer.headers["Content-Type"][:9]) == (503, "text/html")


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
        {"kind": "drop", "method": "GET"},
        {"kind": "drop", "method": "GET", "path": "("},
        {"kind": "drop", "method": "GET", "path": "/", "times": 0},
        {"kind": "drop", "method": "GET", "path": "/", "nonsense": 1},
    ],
)
def test_a_fault_that_makes_no_sense_is_refused(simulator, wish):
    with pytest.raises(SimulatorFailed, match="400"):
        simulator.control("POST", "/faults", wish)
    assert simulator.faults() == []

"""The control door."""

import itertools
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests

from tests.x_integration.simulator.caller import Caller
from x_integration.simulator.process import SimulatorFailed, TokenPair
from x_integration.simulator.settings import Settings


def test_the_overview_says_what_this_is_and_counts(simulator, brand, fan):
    brand.post("hello")
    overview = simulator.overview()
    assert (overview["simulator"], overview["version"]) == ("revfirst-x", 1)
    assert (overview["users"], overview["posts"], overview["grants_live"]) == (2, 1, 2)
    assert overview["posts_by_source"] == {"api": 1}
    assert {"duplicate", "lost_answer", "no_credits"} <= set(overview["fault_kinds"])


def test_posts_are_listed_as_typed(simulator, brand, fan):
    text = "@brand a < b & https://example.com/ 👩‍🍳"
    simulator.say("fan", text)
    assert simulator.posts(username="fan")[0]["text"] == text


def test_somebody_can_have_said_something_earlier(simulator, brand):
    post = simulator.say("brand", "long ago", created_at="2026-01-01T00:00:00+00:00")
    assert post["created_at"] == "2026-01-01T00:00:00.000Z"


def test_this_x_can_live_tomorrow(simulator, brand):
    simulator.settings(ahead_seconds=86_400)
    said = datetime.fromisoformat(simulator.say("brand", "hello from tomorrow")["created_at"])
    assert timedelta(hours=23) < said - datetime.now(UTC) < timedelta(hours=25)
    simulator.reset()
    simulator.make_user("brand")
    assert simulator.say("brand", "hello")["created_at"] < said.isoformat()


def test_a_user_can_change(simulator, brand):
    simulator.make_user("brand", name="The Brand", protected=True)
    assert simulator.control("GET", "/users") == [
        {
            "id": brand.id,
            "username": "brand",
            "name": "The Brand",
            "protected": True,
            "suspended": False,
        }
    ]


def test_a_user_keeps_what_is_not_named(simulator, brand):
    simulator.make_user("brand", name="The Brand", description="We roast.")
    simulator.connect("brand")
    shown = brand.get("/2/users/me", user_fields="description").json()["data"]
    assert (shown["name"], shown["description"]) == ("The Brand", "We roast.")


def test_requests_are_logged_in_order_without_bodies_or_tokens(simulator, brand):
    brand.get("/2/users/me")
    brand.post("a secret plan")
    entries = simulator.requests()
    assert [(e["method"], e["path"], e["user"], e["status"]) for e in entries] == [
        ("GET", "/2/users/me", "brand", 200),
        ("POST", "/2/tweets", "brand", 201),
    ]
    assert "secret" not in str(entries)
    assert brand.tokens.access_token not in str(entries)


def test_requests_can_be_asked_for_from_a_number_on(simulator, brand):
    brand.get("/2/users/me")
    last = simulator.requests()[-1]["n"]
    brand.post("hello")
    assert [entry["path"] for entry in simulator.requests(since=last)] == ["/2/tweets"]


def test_arrival_times_have_microseconds_and_rise(simulator, brand):
    for _ in range(3):
        brand.get("/2/users/me")
    stamps = [entry["at"] for entry in simulator.requests()]
    assert all(len(stamp) == len("2026-11-23T14:02:07.000001Z") for stamp in stamps)
    assert all(one < two for one, two in itertools.pairwise(stamps))


def test_latency_holds_up_the_api_and_not_the_control_door(simulator, brand):
    simulator.settings(latency_ms=200)
    assert brand.get("/2/users/me").elapsed.total_seconds() >= 0.2
    url = f"{simulator.base_url}/control"
    assert requests.get(url, timeout=10).elapsed.total_seconds() < 0.2


def test_grants_can_be_scoped(simulator):
    reader = Caller(simulator, simulator.connect("brand", scope="tweet.read users.read"))
    assert reader.tokens.refresh_token is None
    assert reader.get("/2/users/me").status_code == 200


def test_many_are_granted_at_once_and_the_missing_people_are_made(simulator, brand):
    wanted = [{"username": "brand"}, {"username": "lia", "expires_in": 60}]
    made = simulator.control("POST", "/grants/bulk", {"grants": wanted})
    assert [(one["username"], one["expires_in"]) for one in made] == [("brand", 7200), ("lia", 60)]
    for one in made:
        del one["token_type"]
        assert Caller(simulator, TokenPair(**one)).get("/2/users/me").json()["data"]["id"]
    assert simulator.overview()["grants_live"] == 3


def test_of_many_grants_none_is_made_when_one_is_nonsense(simulator):
    wanted = [{"username": "lia"}, {"username": "brand", "scope": "everything"}]
    with pytest.raises(SimulatorFailed, match="scope holds a word"):
        simulator.control("POST", "/grants/bulk", {"grants": wanted})
    assert (simulator.overview()["users"], simulator.overview()["grants"]) == (0, 0)


def test_many_things_are_said_at_once_in_order(simulator, brand):
    said = [
        {"username": "brand", "text": text, "created_at": "2026-01-01T00:00:00Z"} for text in "abc"
    ]
    told = simulator.say_all(said)
    assert [post["text"] for post in told] == ["a", "b", "c"]
    assert simulator.posts() == told


def test_what_was_said_before_a_wrong_one_of_many_stands(simulator, brand):
    with pytest.raises(SimulatorFailed, match="There is no user nobody"):
        simulator.say_all([{"username": who, "text": "hi"} for who in ("brand", "nobody")])
    assert [post["username"] for post in simulator.posts()] == ["brand"]


def test_a_reset_brings_the_defaults_back(simulator, brand):
    simulator.settings(access_tier="enterprise")
    simulator.fault("drop", "GET", "/2/users/me")
    simulator.reset()
    overview = simulator.overview()
    assert (overview["users"], overview["faults"]) == (0, 0)
    assert overview["settings"]["access_tier"] == "self_serve"
    assert simulator.requests() == []


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/users", {}),
        ("POST", "/users", {"username": "a b"}),
        ("POST", "/users", {"username": "control"}),
        ("POST", "/users", {"username": "a", "nonsense": 1}),
        ("POST", "/users", {"username": "a", "public_metrics": "many"}),
        ("POST", "/posts", {"username": "brand"}),
        ("POST", "/posts", {"username": "brand", "text": "a", "in_reply_to": "42"}),
        (
            "POST",
            "/posts",
            {"username": "brand", "text": "a", "created_at": "2099-01-01T00:00:00Z"},
        ),
        ("POST", "/posts", {"username": "brand", "text": "a", "source": "fax"}),
        ("POST", "/posts", {"username": "nobody", "text": "a"}),
        ("POST", "/grants", {"username": "nobody"}),
        ("POST", "/grants", {"username": "brand", "scope": "everything"}),
        ("POST", "/grants", {"username": "brand", "expires_in": "long"}),
        ("POST", "/posts/bulk", {"posts": [{"username": "brand", "text": "a", "nonsense": 1}]}),
        ("POST", "/grants/bulk", {}),
        ("POST", "/grants/bulk", {"grants": ["brand"]}),
        ("POST", "/grants/bulk", {"grants": [{"username": "brand", "nonsense": 1}]}),
        ("PATCH", "/settings", {"nonsense": 1}),
        ("PATCH", "/settings", {"access_tier": "gold"}),
        ("PATCH", "/settings", {"expires_in": 0}),
        ("PATCH", "/settings", {"latency_ms": -1}),
        ("PATCH", "/settings", {"rate_limits": {"GET /nowhere": 1}}),
        ("PATCH", "/settings", {"rate_limits": {"*": -1}}),
        ("PATCH", "/settings", {"expires_in": 1.5}),
        ("PATCH", "/settings", {"shuffled_pages": 1}),
        ("PATCH", "/settings", {"repeats_across_pages": 1.5}),
        ("PATCH", "/settings", {"repeats_across_pages": True}),
        ("PATCH", "/settings", {"bills_expanded_users": "no"}),
        ("PATCH", "/settings", {"credit_usd": -1}),
        ("PATCH", "/settings", {"credit_usd": "40"}),
        ("POST", "/posts", {"username": "brand", "text": "a", "indexed_after_seconds": "5"}),
        ("POST", "/posts", {"username": "brand", "text": "a", "indexed_after_seconds": -5}),
        ("POST", "/posts", {"username": "brand", "text": "a", "indexed_after_seconds": True}),
        ("PATCH", "/settings", {"one_grant_per_user": "yes"}),
        ("PATCH", "/settings", {"latency_ms": float("nan")}),
        ("PATCH", "/settings", {"code_ttl_seconds": float("inf")}),
        ("POST", "/users", {"username": "lia", "protected": "false"}),
        ("POST", "/posts", {"username": "brand", "text": "a", "reply_settings": "banana"}),
        ("POST", "/reset", {"sample": "yes"}),
        ("POST", "/faults", {"kind": ["drop"], "path": "/"}),
        ("POST", "/faults", {"kind": "drop", "path": "/", "user": 5}),
        ("POST", "/faults", {"kind": "drop", "path": "/", "method": 5}),
        ("DELETE", "/posts/42", None),
        ("GET", "/requests?since=x", None),
        ("GET", "/posts?username=nobody", None),
    ],
)
def test_nonsense_is_refused_with_a_sentence(simulator, brand, method, path, body):
    with pytest.raises(SimulatorFailed, match='40[04] {"detail":"'):
        simulator.control(method, path, body)


@pytest.mark.parametrize("name", Settings.__slots__)
def test_every_setting_is_described_for_people(name):
    page = Path(__file__).resolve().parents[3] / "docs" / "X-API.md"
    assert f"| `{name}` |" in page.read_text()


def test_settings_change_together_or_not_at_all(simulator):
    with pytest.raises(SimulatorFailed):
        simulator.settings(expires_in=5, access_tier="gold")
    assert simulator.overview()["settings"]["expires_in"] == 7200


@pytest.mark.parametrize("data", [b"{}", b""])
def test_a_write_must_say_that_it_is_json_with_a_body_or_without(simulator, brand, data):
    url = f"{simulator.base_url}/control/reset"
    assert requests.post(url, data=data, timeout=10).status_code == 415
    assert simulator.overview()["users"] == 1


@pytest.mark.parametrize("data", [b"[]", b"{", b"\xff", b"[" * 100_000])
def test_a_body_that_is_no_object_is_refused(simulator, data):
    url, headers = f"{simulator.base_url}/control/users", {"Content-Type": "application/json"}
    assert requests.post(url, data=data, headers=headers, timeout=10).status_code == 400

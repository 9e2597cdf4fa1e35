"""What X charges, and what happens when the money is gone."""

from datetime import UTC, date, datetime, timedelta

import pytest

from tests.x_integration.simulator.caller import Caller
from x_integration.simulator.prices import POST, PRICE_LISTS, PriceList, price_of
from x_integration.simulator.problems import no_credits


def today():
    return datetime.now(UTC).date().isoformat()


def charged(simulator, username="brand", day=None):
    """Kind → (count, usd) of a user's day."""
    lines = simulator.bill()["users"].get(username, {}).get(day or today(), {})
    return {kind: (line["count"], line["usd"]) for kind, line in lines.items()}


def paid(simulator):
    return simulator.bill()["total_usd"]


def test_nothing_was_charged_at_first(simulator, brand):
    assert simulator.bill() == {"users": {}, "total_usd": "0"}


@pytest.mark.parametrize(
    ("text", "kind", "usd"),
    [
        ("hello", "post", "0.015"),
        ("see example.com", "post_with_url", "0.200"),
        ("see https://example.com/", "post_with_url", "0.200"),
    ],
)
def test_a_post_costs_more_with_a_link(simulator, brand, text, kind, usd):
    brand.post(text)
    assert charged(simulator) == {kind: (1, usd)}


@pytest.mark.parametrize("text", ["yes", "yes: example.com"])
def test_a_summoned_reply_has_its_own_price(simulator, brand, fan, text):
    brand.reply(text, simulator.say("fan", "@brand hi")["id"])
    assert charged(simulator) == {"summoned_reply": (1, "0.010")}


def test_a_reply_to_oneself_is_a_post_like_any_other(simulator, brand):
    ours = simulator.say("brand", "I am @brand")["id"]
    brand.reply("and more", ours)
    assert charged(simulator) == {"post": (1, "0.015")}


def test_a_deletion_is_charged(simulator, brand):
    brand.delete(simulator.say("brand", "oops")["id"])
    assert charged(simulator) == {"post_delete": (1, "0.010")}


def test_who_one_is_costs_a_user_once_a_day(simulator, brand):
    brand.get("/2/users/me")
    brand.get("/2/users/me")
    assert charged(simulator) == {"user_read": (1, "0.010")}


@pytest.mark.parametrize(
    ("path", "params"),
    [
        ("/2/users/{brand}/mentions", {}),
        ("/2/users/{fan}/tweets", {}),
        ("/2/tweets", {"ids": "{first},{second},42"}),
        ("/2/tweets/search/recent", {"query": "hello"}),
    ],
)
def test_a_post_is_charged_where_it_is_returned(simulator, brand, fan, path, params):
    said = [simulator.say("fan", f"@brand hello {n}")["id"] for n in range(2)]
    names = {"brand": brand.id, "fan": fan.id, "first": said[0], "second": said[1]}
    params = {name: value.format(**names) for name, value in params.items()}
    assert brand.get(path.format(**names), **params).status_code == 200
    assert charged(simulator) == {"post_read": (2, "0.010")}


def test_the_same_post_is_charged_once_a_day_and_app(simulator, brand, fan):
    said = simulator.say("fan", "@brand hello")["id"]
    brand.mentions()
    brand.get("/2/tweets", ids=said)
    fan.timeline()
    assert (paid(simulator), charged(simulator, "fan")) == ("0.005", {})


def test_the_same_post_is_charged_again_on_the_next_day(simulator, brand, fan):
    simulator.say("fan", "@brand hello")
    brand.mentions()
    simulator.settings(ahead_seconds=86_400)
    renewed = Caller(simulator, simulator.connect("brand"))  # the token is of yesterday
    renewed.mentions()
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).date().isoformat()
    assert charged(simulator, day=tomorrow) == {"post_read": (1, "0.005")}
    assert paid(simulator) == "0.010"


def test_the_bill_of_each_account_stands_alone(simulator, brand, fan):
    brand.post("hello")
    fan.post("hello")
    assert charged(simulator, "fan") == charged(simulator) == {"post": (1, "0.015")}
    assert paid(simulator) == "0.030"


def test_what_x_refuses_is_free(simulator, brand, fan):
    post = simulator.say("fan", "nobody was asked")["id"]
    refused = [brand.reply("hello", post), brand.post(""), brand.delete("42")]
    refused += [brand.get("/2/tweets", ids="x"), brand.get("/2/tweets/search/recent", query="(")]
    assert all(answer.status_code >= 400 for answer in refused)
    assert paid(simulator) == "0"


def test_a_call_that_a_fault_stops_is_free_and_one_whose_answer_is_lost_is_not(simulator, brand):
    simulator.fault("server_error", "POST", "/2/tweets")
    brand.post("not said")
    assert paid(simulator) == "0"
    simulator.fault("truncate", "POST", "/2/tweets")
    brand.post("said")
    assert paid(simulator) == "0.015"


def test_what_comes_along_is_free(simulator, brand, fan):
    root = simulator.say("brand", "news")["id"]
    simulator.say("fan", "nice", in_reply_to=root)
    brand.mentions(expansions="author_id,referenced_tweets.id")
    assert charged(simulator) == {"post_read": (1, "0.005")}


def test_what_comes_along_can_be_billed_too(simulator, brand, fan):
    simulator.settings(bills_expanded_users=True)
    root = simulator.say("brand", "news")["id"]
    simulator.say("fan", "nice", in_reply_to=root)
    brand.mentions(expansions="author_id,referenced_tweets.id")
    assert charged(simulator) == {"post_read": (2, "0.010"), "user_read": (1, "0.010")}


# --- credit -------------------------------------------------------------------------------------


def test_a_call_that_the_credit_does_not_cover_is_not_made(simulator, brand):
    simulator.settings(credit_usd=0.03)
    statuses = [brand.post(f"hello {n}").status_code for n in range(3)]
    assert statuses == [201, 201, 402]
    assert [post["text"] for post in simulator.posts()] == ["hello 0", "hello 1"]
    assert paid(simulator) == "0.030"


def test_without_credit_nothing_is_read_or_deleted(simulator, brand, fan):
    simulator.settings(credit_usd=0)
    ours = simulator.say("brand", "here")["id"]
    answers = [brand.get("/2/users/me"), brand.get("/2/tweets", ids=ours), brand.delete(ours)]
    assert [answer.status_code for answer in answers] == [402] * 3
    assert answers[0].json() == no_credits(dialect="legacy").body
    assert simulator.posts()[0]["deleted"] is False


def test_the_credit_is_the_whole_apps(simulator, brand, fan):
    simulator.settings(credit_usd=0.02)
    brand.post("hello")
    assert fan.post("hello").status_code == 402


def test_without_credit_what_costs_nothing_is_answered(simulator, brand, fan):
    simulator.say("fan", "@brand hello")
    brand.mentions()
    simulator.settings(credit_usd=0)
    assert brand.mentions()["meta"]["result_count"] == 1
    assert brand.timeline()["meta"]["result_count"] == 0


def test_more_credit_lets_the_calls_through_again(simulator, brand):
    simulator.settings(credit_usd=0)
    assert brand.post("hello").status_code == 402
    simulator.settings(credit_usd=None)
    assert brand.post("hello").status_code == 201


# --- prices -------------------------------------------------------------------------------------


def test_a_price_holds_from_its_day_on(monkeypatch):
    dearer = PriceList(date(2030, 1, 1), {POST: PRICE_LISTS[0].usd[POST] * 2})
    monkeypatch.setattr("x_integration.simulator.prices.PRICE_LISTS", (*PRICE_LISTS, dearer))
    days = [date(2020, 1, 1), date(2029, 12, 31), date(2030, 1, 1)]
    assert [str(price_of(POST, day)) for day in days] == ["0.015", "0.015", "0.030"]


def test_the_price_lists_stand_in_order_and_price_the_same_kinds():
    days = [prices.since for prices in PRICE_LISTS]
    assert days == sorted(set(days))
    assert {frozenset(prices.usd) for prices in PRICE_LISTS} == {frozenset(PRICE_LISTS[0].usd)}


def test_a_reset_forgets_the_bill(simulator, brand):
    brand.post("hello")
    simulator.reset()
    assert simulator.bill() == {"users": {}, "total_usd": "0"}

"""POST and DELETE /2/tweets: shapes, the summon rule and X's other refusals."""

import pytest
import requests

SUMMON = "You can only reply to or quote posts where you are mentioned or are the author."
GONE = "You attempted to reply to a Tweet that is deleted or not visible to you."
DUPLICATE = "You are not allowed to create a Tweet with duplicate content."


def refusal(answer):
    return answer.status_code, answer.json()["detail"]


def test_a_post_comes_back_with_its_id_and_text(simulator, brand):
    answer = brand.post("hello")
    data = answer.json()["data"]
    assert answer.status_code == 201
    assert data == {"id": data["id"], "text": "hello", "edit_history_tweet_ids": [data["id"]]}


def test_a_post_through_the_api_is_known_as_machine_made(simulator, brand):
    brand.post("from the app")
    simulator.say("brand", "from a person")
    assert [post["text"] for post in simulator.posts(source="api")] == ["from the app"]


def test_ids_tell_the_time_and_rise(simulator, brand):
    first, second = (int(brand.post(text).json()["data"]["id"]) for text in ("one", "two"))
    assert first < second
    assert (first >> 22) + 1288834974657 > 1_700_000_000_000


def test_a_reply_carries_the_names_that_x_puts_in_front(simulator, brand, fan):
    simulator.make_user("friend")
    post = simulator.say("fan", "@brand and @friend, hello")
    answer = brand.reply("hi!", post["id"])
    assert answer.json()["data"]["text"] == "@fan @friend hi!"
    assert simulator.posts(source="api")[0]["text"] == "hi!"


def test_names_can_be_excluded_from_a_reply(simulator, brand, fan):
    friend = simulator.make_user("friend")
    post = simulator.say("fan", "@brand and @friend, hello")
    reply = {"in_reply_to_tweet_id": post["id"], "exclude_reply_user_ids": [friend["id"]]}
    assert brand.post("hi!", reply=reply).json()["data"]["text"] == "@fan hi!"


# --- the summon rule ----------------------------------------------------------------------------


def test_a_mention_summons(simulator, brand, fan):
    post = simulator.say("fan", "hey @BRAND")
    assert brand.reply("yes?", post["id"]).status_code == 201


def test_a_quote_of_our_post_summons(simulator, brand, fan):
    ours = simulator.say("brand", "news")
    post = simulator.say("fan", "look at this", quote=ours["id"])
    assert brand.reply("thank you", post["id"]).status_code == 201


def test_our_own_post_can_be_answered(simulator, brand):
    ours = brand.post("one").json()["data"]["id"]
    assert brand.reply("two", ours).status_code == 201


def test_a_reply_to_our_reply_summons_by_its_leading_name(simulator, brand, fan):
    ours = simulator.say("brand", "news")
    post = simulator.say("fan", "nice", in_reply_to=ours["id"])
    assert brand.reply("thanks", post["id"]).status_code == 201


def test_a_reply_to_us_whose_author_removed_our_name_does_not_summon(simulator, brand, fan):
    ours = simulator.say("brand", "news")
    post = simulator.say("fan", "nice", in_reply_to=ours["id"], auto_mention=False)
    assert refusal(brand.reply("thanks", post["id"])) == (403, SUMMON)


def test_nobody_else_is_answered(simulator, brand, fan):
    post = simulator.say("fan", "just talking")
    assert refusal(brand.reply("hello!", post["id"])) == (403, SUMMON)
    assert simulator.posts(source="api") == []


def test_a_quote_of_somebody_elses_post_does_not_summon(simulator, brand, fan):
    theirs = simulator.say("fan", "mine")
    post = simulator.say("fan", "again", quote=theirs["id"])
    assert refusal(brand.reply("hello!", post["id"])) == (403, SUMMON)


def test_enterprise_answers_everybody(simulator, brand, fan):
    simulator.settings(access_tier="enterprise")
    post = simulator.say("fan", "just talking")
    assert brand.reply("hello!", post["id"]).status_code == 201


def test_enterprise_still_honours_reply_settings(simulator, brand, fan):
    simulator.settings(access_tier="enterprise")
    post = simulator.say("fan", "friends only", reply_settings="mentionedUsers")
    status, detail = refusal(brand.reply("hello!", post["id"]))
    assert status == 403
    assert detail.startswith("Reply to this conversation is not allowed")


def test_quotes_are_for_enterprise(simulator, brand, fan):
    post = simulator.say("fan", "@brand quote me")
    assert refusal(brand.post("look", quote_tweet_id=post["id"])) == (403, SUMMON)
    simulator.settings(access_tier="enterprise")
    assert brand.post("look", quote_tweet_id=post["id"]).status_code == 201


def test_a_post_that_never_was_cannot_be_answered(brand):
    assert refusal(brand.reply("hello?", "42")) == (403, GONE)


def test_a_deleted_post_cannot_be_answered(simulator, brand, fan):
    post = simulator.say("fan", "@brand hi")
    simulator.take_down(post["id"])
    assert refusal(brand.reply("hello?", post["id"])) == (403, GONE)


def test_a_protected_account_cannot_be_answered(simulator, brand):
    simulator.make_user("shy", protected=True)
    post = simulator.say("shy", "@brand psst")
    assert refusal(brand.reply("hello?", post["id"])) == (403, GONE)


# --- the other refusals -------------------------------------------------------------------------


def test_the_same_text_twice_is_a_duplicate(brand):
    brand.post("again and again")
    answer = brand.post("again and again")
    assert answer.status_code == 403
    assert answer.json() == {
        "title": "Forbidden",
        "detail": DUPLICATE,
        "type": "about:blank",
        "status": 403,
    }


@pytest.mark.parametrize(
    "again", ["caf\u00e9  au lait", "cafe\u0301 au lait", "caf\u00e9 au lait "]
)
def test_another_form_of_the_same_text_is_a_duplicate(brand, again):
    assert brand.post("caf\u00e9 au lait").status_code == 201
    assert refusal(brand.post(again)) == (403, DUPLICATE)


def test_a_deleted_post_is_no_longer_duplicated(brand):
    brand.delete(brand.post("once").json()["data"]["id"])
    assert brand.post("once").status_code == 201


def test_the_same_reply_to_two_people_is_no_duplicate(simulator, brand, fan):
    simulator.make_user("friend")
    posts = [simulator.say(name, "@brand hello")["id"] for name in ("fan", "friend")]
    assert [brand.reply("Thank you!", post).status_code for post in posts] == [201, 201]


def test_280_weighted_characters_pass_and_281_do_not(brand):
    assert brand.post("a" * 280).status_code == 201
    assert brand.post("b" * 281).status_code == 400


def test_the_names_in_front_of_a_reply_weigh_nothing(simulator, brand, fan):
    post = simulator.say("fan", "@brand hi")
    assert brand.reply("@fan " + "a" * 280, post["id"]).status_code == 201


def test_one_cashtag_passes_and_two_do_not(brand):
    assert brand.post("up: $KC").status_code == 201
    assert brand.post("up: $KC $SB").status_code == 403


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({}, "$.text"),
        ({"text": ""}, "$.text"),
        ({"text": "  \n"}, "$.text"),
        ({"text": 7}, "$.text"),
        ({"text": "a", "nonsense": 1}, "$.nonsense: is not defined in the schema"),
        ({"text": "a", "reply": {}}, "$.reply.in_reply_to_tweet_id"),
        ({"text": "a", "reply": {"in_reply_to_tweet_id": "x"}}, "^[0-9]{1,19}$"),
        ({"text": "a", "reply": {"in_reply_to_tweet_id": "1", "x": 1}}, "$.reply.x"),
        ({"text": "a", "reply": "1"}, "$.reply"),
        ({"text": "a", "reply_settings": "nobody"}, "$.reply_settings"),
        ({"text": "a", "made_with_ai": "yes"}, "$.made_with_ai"),
        ({"text": "a", "poll": {"options": ["a", "b"], "duration_minutes": 5}}, "$.poll"),
        ([], "$"),
    ],
)
def test_a_body_outside_the_schema_is_an_invalid_request(brand, body, told):
    answer = brand.call("POST", "/2/tweets", json=body)
    assert answer.status_code == 400
    assert told in answer.json()["errors"][0]["message"]


@pytest.mark.parametrize("data", [b"{", b"\xff", b""])
def test_a_body_that_is_no_json_is_an_invalid_request(brand, data):
    headers = brand.tokens.headers | {"Content-Type": "application/json"}
    url = f"{brand.simulator.base_url}/2/tweets"
    assert requests.post(url, data=data, headers=headers, timeout=10).status_code == 400


def test_another_content_type_is_refused(brand):
    assert brand.call("POST", "/2/tweets", data={"text": "form"}).status_code == 400


def test_own_posts_can_be_deleted(simulator, brand):
    post_id = brand.post("oops").json()["data"]["id"]
    assert brand.delete(post_id).json() == {"data": {"deleted": True}}
    assert brand.timeline()["meta"]["result_count"] == 0
    assert simulator.posts(username="brand")[0]["deleted"] is True


def test_other_peoples_posts_cannot_be_deleted(simulator, brand, fan):
    post = simulator.say("fan", "mine")
    assert brand.delete(post["id"]).status_code == 403


def test_a_post_that_is_not_there_cannot_be_deleted(brand):
    answer = brand.delete("42")
    assert (answer.status_code, answer.json()["resource_id"]) == (404, "42")


def test_a_body_nested_beyond_measure_is_invalid(brand):
    url, json = f"{brand.simulator.base_url}/2/tweets", {"Content-Type": "application/json"}
    nested = b'{"text":' + b"[" * 100_000
    answer = requests.post(url, data=nested, headers=brand.tokens.headers | json, timeout=10)
    assert (answer.status_code, answer.json()["title"]) == (400, "Invalid Request")


def test_a_text_longer_than_any_is_refused_before_it_is_counted(brand):
    answer = brand.post("@brand " * 30_000)
    assert (answer.status_code, answer.json()["title"]) == (400, "Invalid Request")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"text": None}, "$.text: null found, string expected"),
        ({"text": 5}, "$.text: integer found, string expected"),
        (
            {"text": "a", "reply": {"in_reply_to_tweet_id": "1", "exclude_reply_user_ids": [5]}},
            "$.reply.exclude_reply_user_ids[0]: integer found, string expected",
        ),
    ],
)
def test_a_value_of_another_type_is_named_in_the_words_of_json(brand, body, words):
    answer = brand.call("POST", "/2/tweets", json=body)
    assert answer.status_code == 400
    assert words in [error["message"] for error in answer.json()["errors"]]


# --- suspension ---------------------------------------------------------------------------------


def test_a_suspended_account_writes_nothing_until_it_is_lifted(simulator, brand):
    simulator.make_user("brand", suspended=True)
    suspended = "Your account is suspended and is not permitted to access this feature."
    assert [refusal(brand.post(text)) for text in ("a", "b")] == [(403, suspended)] * 2
    simulator.make_user("brand", suspended=False)
    assert brand.post("a").status_code == 201


def test_a_suspended_account_takes_nothing_back(simulator, brand):
    ours = simulator.say("brand", "news")
    simulator.make_user("brand", suspended=True)
    assert brand.delete(ours["id"]).status_code == 403
    assert simulator.posts(username="brand")[0]["deleted"] is False


def test_a_suspended_account_still_reads(simulator, brand):
    simulator.make_user("brand", suspended=True)
    assert brand.get("/2/users/me").status_code == 200


def test_a_suspension_is_one_accounts_alone(simulator, brand, fan):
    simulator.make_user("brand", suspended=True)
    assert fan.post("hello").status_code == 201

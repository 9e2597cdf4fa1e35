"""X's two vocabularies: a request is answered in its own words."""

import pytest

from tests.x_integration.simulator.caller import Caller
from x_integration.simulator.process import SimulatorProcess


@pytest.fixture
def thread(simulator: SimulatorProcess, brand: Caller, fan: Caller) -> str:
    """The id of a post of ours that the fan answered."""
    root = simulator.say("brand", "hello all")
    simulator.say("fan", "hi", in_reply_to=root["id"])
    return str(root["id"])


def test_legacy_words_get_legacy_answers(brand, thread):
    answer = brand.mentions(
        tweet_fields="referenced_tweets,public_metrics", expansions="referenced_tweets.id"
    )
    post = answer["data"][0]
    assert post["referenced_tweets"][0]["id"] == thread
    assert post["edit_history_tweet_ids"] == [post["id"]]
    assert "retweet_count" in post["public_metrics"]
    assert [each["id"] for each in answer["includes"]["tweets"]] == [thread]


def test_new_words_get_new_answers(brand, thread):
    answer = brand.mentions(post_fields="public_metrics", expansions="referenced_posts,author_id")
    post = answer["data"][0]
    assert post["referenced_posts"][0]["id"] == thread
    assert post["edit_history_post_ids"] == [post["id"]]
    assert post["author_id"] == answer["includes"]["users"][0]["id"]
    assert "repost_count" in post["public_metrics"]
    assert [each["id"] for each in answer["includes"]["posts"]] == [thread]


def test_a_new_expansion_alone_tells_the_dialect(brand, thread):
    assert "posts" in brand.mentions(expansions="referenced_posts")["includes"]


def test_author_id_is_no_field_in_the_new_words(brand):
    assert brand.get(f"/2/users/{brand.id}/tweets", post_fields="author_id").status_code == 400


def test_mixed_words_are_an_invalid_request(brand):
    answer = brand.get(
        f"/2/users/{brand.id}/tweets", tweet_fields="lang", expansions="referenced_posts"
    )
    assert answer.status_code == 400


def test_users_count_tweets_or_posts(brand):
    legacy = brand.get("/2/users/me", user_fields="public_metrics", tweet_fields="lang").json()
    new = brand.get("/2/users/me", user_fields="public_metrics", post_fields="lang").json()
    assert "tweet_count" in legacy["data"]["public_metrics"]
    assert "post_count" in new["data"]["public_metrics"]


def test_problems_name_the_host_of_their_dialect(brand):
    hosts = [
        brand.get("/2/tweets", ids="42", **fields).json()["errors"][0]["type"].split("/2/")[0]
        for fields in ({"tweet_fields": "lang"}, {"post_fields": "lang"})
    ]
    assert hosts == ["https://api.twitter.com", "https://api.x.com"]


def test_without_a_hint_the_default_of_the_command_line_holds(own_simulator):
    own_simulator.dialect = "new"
    with own_simulator:
        brand = Caller(own_simulator, own_simulator.connect("brand"))
        assert "edit_history_post_ids" in brand.post("hello").json()["data"]

"""GET /2/tweets/search/recent: the query language, the seven days, the pages."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from x_integration.simulator.queries import FILTERS, OPERATORS

RECENT = "/2/tweets/search/recent"
FIELDS = "author_id,referenced_tweets"


def found(caller, query, **params):
    """The texts that a search shows, oldest first."""
    answer = caller.get(RECENT, query=query, **params)
    assert answer.status_code == 200, answer.text
    return [post["text"] for post in answer.json().get("data", [])][::-1]


def refusal(caller, query, **params):
    """Status and first sentence of a search that X does not make."""
    answer = caller.get(RECENT, query=query, **params)
    return answer.status_code, answer.json()["errors"][0]["message"]


@pytest.fixture
def talk(simulator, brand, fan):
    """Some posts of two people; the ids by their place."""
    simulator.make_user("lia")
    said = [simulator.say("fan", "Coffee and cake, and no TEA today", lang="en")]
    said += [simulator.say("lia", "o café da manhã https://example.com/ #cafezinho", lang="pt")]
    said += [simulator.say("lia", "coffee cake with @brand", in_reply_to=said[0]["id"], lang="en")]
    said += [simulator.say("fan", "雨の日の喫茶店が好き", quote=said[1]["id"], lang="ja")]
    said += [simulator.say("brand", "$KC is up, so is the mood", lang="en")]
    return [post["id"] for post in said]


FIRST = "Coffee and cake, and no TEA today"
LINK = "o café da manhã"
REPLY = "@fan coffee cake with @brand"
QUOTE = "雨の日の喫茶店が好き"
OURS = "$KC is up, so is the mood"


@pytest.mark.parametrize(
    ("query", "texts"),
    [
        ("coffee", [FIRST, REPLY]),
        ("COFFEE tea", [FIRST]),
        ("coff", []),
        ('", "', [FIRST, OURS]),
        ('"coffee cake"', [REPLY]),
        ('coffee -"coffee cake"', [FIRST]),
        ("tea OR mood", [FIRST, OURS]),
        ("coffee today OR mood", [FIRST, OURS]),
        ("coffee (today OR mood)", [FIRST]),
        ("coffee -(tea OR mood)", [REPLY]),
        ("喫茶店", [QUOTE]),
        ("犬coffee", []),
        ("from:fan", [FIRST, QUOTE]),
        ("from:FAN -from:lia -coffee", [QUOTE]),
        ("to:fan", [REPLY]),
        ("@brand", [REPLY]),
        ("@fan", [REPLY]),
        ("$kc", [OURS]),
        ("coffee lang:en", [FIRST, REPLY]),
        ("coffee lang:pt", []),
        ("coffee is:reply", [REPLY]),
        ("coffee -is:retweet", [FIRST, REPLY]),
        ("coffee is:retweet", []),
        ("from:fan is:quote", [QUOTE]),
        ("coffee has:mentions", [REPLY]),
        ("coffee min_replies:1", [FIRST]),
        ("coffee min_likes:1", []),
        ("conversation_id:{0}", [FIRST, REPLY]),
        ("in_reply_to_tweet_id:{0}", [REPLY]),
        ("quotes_of_tweet_id:{1}", [QUOTE]),
    ],
)
def test_a_query_finds_what_it_says(brand, talk, query, texts):
    assert found(brand, query.format(*talk)) == texts


@pytest.mark.parametrize("query", ["#cafezinho", "#CAFEZINHO", "from:lia has:links", "café manhã"])
def test_tags_links_and_accents_are_found(brand, talk, query):
    assert [text.partition(" https")[0] for text in found(brand, query)] == [LINK]


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("near:here", "Reference to invalid operator 'near'"),
        ("coffee has:media", "Reference to invalid operator 'has'"),
        ("conversation_id:abc", "invalid value 'abc' of operator 'conversation_id'"),
        ("coffee and cake", "Ambiguous use of and as a keyword"),
        ("(coffee", "missing ')' for the '(' (at position 1)"),
        ("coffee)", "no viable alternative at input ')' (at position 7)"),
        ('coffee "cake', "no viable alternative at character"),
        ("coffee OR", "no viable alternative at input '<EOF>'"),
        ("coffee -", "no viable alternative at character"),
        ('""', "no viable alternative"),
        ("lang:en", "stand-alone operator"),
        ("-coffee", "stand-alone operator"),
        ("coffee OR lang:en", "stand-alone operator"),
        ("", "must not be empty"),
        ("a" * 513, "at most 512 characters, not 513"),
        ("(" * 400, "nested too deeply"),
    ],
)
def test_a_query_that_x_cannot_read_is_an_invalid_request(brand, query, words):
    status, message = refusal(brand, query)
    assert (status, words in message) == (400, True), message


@pytest.mark.parametrize("operator", [*(f"{name}:" for name in OPERATORS), *FILTERS])
def test_every_operator_is_described_for_people(operator):
    page = Path(__file__).resolve().parents[3] / "docs" / "X-API.md"
    assert f"`{operator}`" in page.read_text()


def test_an_enterprise_query_may_be_longer(simulator, brand):
    simulator.settings(access_tier="enterprise")
    assert found(brand, "a" * 513) == []


@pytest.mark.parametrize(
    "params",
    [
        {"max_results": "9"},
        {"max_results": "101"},
        {"sort_order": "best"},
        {"next_token": "zzz"},
        {"exclude": "replies"},
        {"since_id": "1"},
        {"start_time": "2020-01-01T00:00:00Z"},
    ],
)
def test_what_a_search_does_not_take_is_an_invalid_request(brand, params):
    assert refusal(brand, "coffee", **params)[0] == 400


def test_a_search_without_a_query_is_an_invalid_request(brand):
    assert brand.get(RECENT).status_code == 400


def test_a_search_reaches_back_seven_days(simulator, brand, fan):
    now = datetime.now(UTC)
    for days in (6, 8):
        said = (now - timedelta(days=days)).isoformat()
        simulator.say("fan", f"coffee {days} days ago", created_at=said)
    assert found(brand, "coffee") == ["coffee 6 days ago"]


def test_an_id_wins_over_an_instant(brand, talk):
    long_ago = "2020-01-01T00:00:00Z"
    assert found(brand, "coffee", since_id=talk[0], start_time=long_ago) == [REPLY]
    assert found(brand, "coffee", until_id=talk[2], end_time=long_ago) == [FIRST]


@pytest.mark.parametrize("name", ["next_token", "pagination_token"])
def test_the_pages_of_a_search_show_every_post_once(simulator, brand, fan, name):
    said = [simulator.say("fan", f"coffee {n}")["id"] for n in range(25)]
    seen: list[str] = []
    token: dict[str, str] = {}
    while True:
        page = brand.get(RECENT, query="coffee", max_results=10, **token).json()
        seen += [post["id"] for post in page["data"]]
        if "next_token" not in page["meta"]:
            break
        token = {name: page["meta"]["next_token"]}
    assert seen == said[::-1]
    assert page["meta"]["result_count"] == 5


def test_a_token_is_good_for_its_own_query_only(simulator, brand, fan):
    for n in range(11):
        simulator.say("fan", f"coffee {n}")
    token = brand.get(RECENT, query="coffee").json()["meta"]["next_token"]
    assert refusal(brand, "tea", next_token=token)[0] == 400


def test_a_token_is_given_once(simulator, brand, fan):
    for n in range(11):
        simulator.say("fan", f"coffee {n}")
    token = brand.get(RECENT, query="coffee").json()["meta"]["next_token"]
    assert refusal(brand, "coffee", next_token=token, pagination_token=token)[0] == 400
    assert len(found(brand, "coffee", next_token=token)) == 1


def test_relevancy_shows_the_best_liked_first(simulator, brand):
    simulator.reset(sample=True)
    params = {"tweet_fields": "public_metrics", "max_results": 100, "sort_order": "relevancy"}
    aurora = type(brand)(simulator, simulator.connect("cafe_aurora"))
    posts = aurora.get(RECENT, query="from:cafe_aurora", **params).json()["data"]
    likes = [post["public_metrics"]["like_count"] for post in posts]
    assert likes == sorted(likes, reverse=True)
    assert len(set(likes)) > 1


def test_an_empty_search_has_only_a_count(brand):
    assert brand.get(RECENT, query="coffee").json() == {"meta": {"result_count": 0}}


def test_a_search_is_answered_in_the_words_it_is_asked_in(brand, talk):
    old = brand.get(RECENT, query="to:fan", tweet_fields=FIELDS).json()["data"][0]
    new = brand.get(RECENT, query="to:fan", expansions="referenced_posts").json()["data"][0]
    assert old["referenced_tweets"] == new["referenced_posts"]


def test_a_search_has_a_rate_limit_of_its_own(brand):
    assert brand.get(RECENT, query="coffee").headers["x-rate-limit-limit"] == "300"


@pytest.mark.parametrize("trait", ["protected", "suspended"])
def test_a_search_shows_nothing_of_who_cannot_be_seen(simulator, brand, talk, trait):
    simulator.make_user("lia", **{trait: True})
    assert found(brand, "coffee") == [FIRST]


def test_a_search_shows_nothing_that_was_deleted(simulator, brand, talk):
    simulator.take_down(talk[2])
    assert found(brand, "coffee") == [FIRST]

"""users/me, mentions, timelines and posts by id."""

import pytest

from tests.x_integration.simulator.caller import Caller
from x_integration.simulator.process import SimulatorProcess

FIELDS = "author_id,conversation_id,created_at,entities,in_reply_to_user_id,lang,public_metrics,referenced_tweets,reply_settings"


def ids(answer):
    return [post["id"] for post in answer.get("data", [])]


@pytest.fixture
def twelve(simulator: SimulatorProcess, brand: Caller, fan: Caller) -> list[str]:
    """Ids of twelve mentions, newest first."""
    said = [simulator.say("fan", f"@brand number {n}")["id"] for n in range(12)]
    return said[::-1]


def test_without_a_token_x_says_unauthorized(simulator):
    stranger = Caller(simulator, simulator.connect("brand", expires_in=-1))
    answer = stranger.get("/2/users/me")
    assert answer.status_code == 401
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json() == {
        "title": "Unauthorized",
        "detail": "Unauthorized",
        "type": "about:blank",
        "status": 401,
    }


def test_a_missing_scope_is_forbidden(simulator):
    reader = Caller(simulator, simulator.connect("brand", scope="tweet.read users.read"))
    answer = reader.post("hello")
    assert (answer.status_code, answer.json()["detail"]) == (403, "Forbidden")


def test_only_requested_fields_come_back(simulator, brand, fan):
    simulator.say("fan", "@brand hello")
    assert set(brand.mentions()["data"][0]) == {"id", "text", "edit_history_tweet_ids"}


def test_requested_fields_come_back(simulator, brand, fan):
    post = simulator.say("fan", "@brand hello", lang="en")
    shown = brand.mentions(tweet_fields=FIELDS)["data"][0]
    assert shown["author_id"] == fan.id
    assert shown["conversation_id"] == post["id"]
    assert shown["created_at"] == post["created_at"]
    assert shown["lang"] == "en"
    assert shown["reply_settings"] == "everyone"


def test_a_reply_names_what_it_answers(simulator, brand, fan):
    root = simulator.say("brand", "hello all")
    simulator.say("fan", "hi", in_reply_to=root["id"])
    shown = brand.mentions(tweet_fields=FIELDS)["data"][0]
    assert shown["text"] == "@brand hi"
    assert shown["referenced_tweets"] == [{"type": "replied_to", "id": root["id"]}]
    assert (shown["in_reply_to_user_id"], shown["conversation_id"]) == (brand.id, root["id"])


def test_expansions_bring_users_and_posts_along(simulator, brand, fan):
    root = simulator.say("brand", "hello all")
    simulator.say("fan", "hi", in_reply_to=root["id"])
    answer = brand.mentions(expansions="author_id,referenced_tweets.id,in_reply_to_user_id")
    assert [user["username"] for user in answer["includes"]["users"]] == ["fan", "brand"]
    assert [post["text"] for post in answer["includes"]["tweets"]] == ["hello all"]


def test_a_deleted_reference_becomes_an_error_beside_the_data(simulator, brand, fan):
    root = simulator.say("brand", "hello all")
    simulator.say("fan", "hi", in_reply_to=root["id"])
    simulator.take_down(root["id"])
    answer = brand.mentions(expansions="referenced_tweets.id")
    assert len(answer["data"]) == 1
    assert answer["errors"][0]["resource_id"] == root["id"]
    assert answer["errors"][0]["type"].endswith("/resource-not-found")


def test_links_become_tco_and_signs_become_entities(simulator, brand, fan):
    simulator.say("fan", "@brand a < b & see https://example.com/?a=1&b=2 now")
    shown = brand.mentions(tweet_fields="entities")["data"][0]
    link = shown["entities"]["urls"][0]
    assert shown["text"] == f"@brand a &lt; b &amp; see {link['url']} now"
    assert shown["text"][link["start"] : link["end"]] == link["url"]
    assert link["expanded_url"] == "https://example.com/?a=1&b=2"


def test_an_empty_timeline_has_only_a_count(brand):
    assert brand.timeline() == {"meta": {"result_count": 0}}


def test_pages_run_from_new_to_old_and_end_without_a_token(brand, twelve):
    seen, token = [], None
    while True:
        page = brand.mentions(max_results=5, **({"pagination_token": token} if token else {}))
        seen += ids(page)
        token = page["meta"].get("next_token")
        if token is None:
            break
    assert seen == twelve


def test_meta_names_the_ends_of_the_page(brand, twelve):
    meta = brand.mentions(max_results=5)["meta"]
    assert (meta["newest_id"], meta["oldest_id"], meta["result_count"]) == (
        twelve[0],
        twelve[4],
        5,
    )


def test_the_previous_token_leads_back(brand, twelve):
    first = brand.mentions(max_results=5)
    second = brand.mentions(max_results=5, pagination_token=first["meta"]["next_token"])
    back = brand.mentions(max_results=5, pagination_token=second["meta"]["previous_token"])
    assert ids(back) == ids(first)


def test_a_token_is_good_for_its_own_timeline_only(brand, fan, twelve):
    token = brand.mentions(max_results=5)["meta"]["next_token"]
    answer = fan.get(f"/2/users/{fan.id}/tweets", pagination_token=token)
    assert answer.status_code == 400


def test_a_page_stays_put_while_new_mentions_arrive(simulator, brand, twelve):
    first = brand.mentions(max_results=5)
    simulator.say("fan", "@brand one more")
    second = brand.mentions(max_results=5, pagination_token=first["meta"]["next_token"])
    assert ids(second) == twelve[5:10]


def test_since_id_and_until_id_are_both_exclusive(brand, twelve):
    answer = brand.mentions(since_id=twelve[6], until_id=twelve[2])
    assert ids(answer) == twelve[3:6]


def test_start_time_is_inclusive_and_end_time_exclusive(simulator, brand, fan):
    moments = [f"2026-01-0{day}T00:00:00Z" for day in (1, 2, 3)]
    said = [simulator.say("fan", f"@brand {m}", created_at=m)["id"] for m in moments]
    answer = brand.mentions(start_time=moments[0], end_time=moments[2])
    assert ids(answer) == [said[1], said[0]]


@pytest.mark.parametrize(
    "params",
    [
        {"max_results": "4"},
        {"max_results": "101"},
        {"max_results": "many"},
        {"since_id": "abc"},
        {"since_id": "9", "until_id": "8"},
        {"start_time": "yesterday"},
        {"start_time": "2026-01-02T00:00:00Z", "end_time": "2026-01-01T00:00:00Z"},
        {"pagination_token": "zzz"},
        {"tweet_fields": "nonsense"},
        {"expansions": "nonsense"},
        {"nonsense": "1"},
        {"exclude": "replies"},
    ],
)
def test_what_x_does_not_know_is_an_invalid_request(brand, params):
    answer = brand.get(f"/2/users/{brand.id}/mentions", **params)
    assert answer.status_code == 400
    assert answer.json()["title"] == "Invalid Request"
    assert answer.json()["type"].endswith("/invalid-request")


def test_nobody_is_mentioned_by_the_own_posts(simulator, brand):
    simulator.say("brand", "I am @brand")
    assert brand.mentions()["meta"]["result_count"] == 0


def test_the_timeline_can_leave_replies_out(simulator, brand):
    root = simulator.say("brand", "first")
    simulator.say("brand", "second", in_reply_to=root["id"])
    assert ids(brand.timeline(exclude="replies,retweets")) == [root["id"]]


def test_mentions_reach_back_800_posts(simulator, brand, fan):
    for n in range(810):
        simulator.say("fan", f"@brand {n}")
    seen, token = 0, None
    while True:
        page = brand.mentions(max_results=100, **({"pagination_token": token} if token else {}))
        seen += page["meta"]["result_count"]
        token = page["meta"].get("next_token")
        if token is None:
            break
    assert seen == 800


def test_posts_by_id_come_with_errors_for_the_missing(simulator, brand):
    post = simulator.say("brand", "here")
    answer = brand.get("/2/tweets", ids=f"{post['id']},42")
    assert answer.status_code == 200
    assert ids(answer.json()) == [post["id"]]
    assert answer.json()["errors"][0]["value"] == "42"


@pytest.mark.parametrize("wanted", ["", "abc", ",".join(["1"] * 101)])
def test_ids_are_1_to_100_numbers(brand, wanted):
    assert brand.get("/2/tweets", ids=wanted).status_code == 400


def test_protected_posts_are_not_shown(simulator, brand):
    simulator.make_user("shy", protected=True)
    post = simulator.say("shy", "psst")
    answer = brand.get("/2/tweets", ids=post["id"]).json()
    assert answer["errors"][0]["type"].endswith("/not-authorized-for-resource")


def test_who_is_protected_sees_the_own_posts(simulator, brand):
    simulator.make_user("brand", protected=True)
    first = simulator.say("brand", "psst")
    second = simulator.say("brand", "and more", in_reply_to=first["id"])
    by_id = brand.get("/2/tweets", ids=first["id"], expansions="referenced_tweets.id").json()
    timeline = brand.timeline(expansions="referenced_tweets.id")
    assert ids(by_id) == [first["id"]]
    assert ids(timeline) == [second["id"], first["id"]]
    assert "errors" not in timeline


def test_a_protected_accounts_mention_is_not_delivered(simulator, brand):
    simulator.make_user("shy", protected=True)
    simulator.say("shy", "@brand psst")
    assert brand.mentions()["meta"]["result_count"] == 0


# --- who and what is gone -----------------------------------------------------------------------


def errors_of(answer):
    """Problem type and post of each error."""
    return [(e["type"].rpartition("/")[2], e["resource_id"]) for e in answer.json()["errors"]]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"protected": True}, "not-authorized-for-resource"),
        ({"suspended": True}, "resource-not-found"),
    ],
)
def test_who_is_shut_away_later_is_seen_no_longer(simulator, brand, fan, change, problem):
    said = simulator.say("fan", "@brand hello")["id"]
    simulator.make_user("fan", **change)
    assert brand.mentions()["meta"]["result_count"] == 0
    assert errors_of(brand.get("/2/tweets", ids=said)) == [(problem, said)]
    assert errors_of(brand.get(f"/2/users/{fan.id}/tweets")) == [(problem, fan.id)]


def test_who_is_let_in_again_is_seen_again(simulator, brand, fan):
    said = simulator.say("fan", "@brand hello")["id"]
    simulator.make_user("fan", suspended=True)
    simulator.make_user("fan", suspended=False)
    assert ids(brand.mentions()) == [said]


def test_who_is_suspended_sees_the_own_posts(simulator, brand):
    said = simulator.say("brand", "hello")["id"]
    simulator.make_user("brand", suspended=True)
    assert ids(brand.timeline()) == [said]


def test_who_is_suspended_does_not_come_along(simulator, brand, fan):
    simulator.make_user("lia", suspended=True)
    simulator.say("fan", "@brand and @lia, hello")
    users = brand.mentions(expansions="entities.mentions.username")["includes"]["users"]
    assert [user["username"] for user in users] == ["brand"]


def test_a_deleted_post_is_an_error_beside_the_others(simulator, brand, fan):
    said = [simulator.say("fan", f"@brand {n}")["id"] for n in range(2)]
    simulator.take_down(said[0])
    answer = brand.get("/2/tweets", ids=",".join(said))
    assert ids(answer.json()) == ids(brand.mentions()) == [said[1]]
    assert errors_of(answer) == [("resource-not-found", said[0])]


# --- disorder -----------------------------------------------------------------------------------


def test_a_late_post_is_found_when_its_time_has_come(simulator, brand, fan):
    late = simulator.say("fan", "@brand late", indexed_after_seconds=60)["id"]
    soon = simulator.say("fan", "@brand at once")["id"]
    search = "/2/tweets/search/recent"
    assert ids(brand.mentions()) == ids(brand.get(search, query="@brand").json()) == [soon]
    simulator.settings(ahead_seconds=61)
    assert ids(brand.mentions()) == [soon, late]
    assert ids(brand.get(search, query="@brand").json()) == [soon, late]


def test_a_late_post_stands_on_its_authors_timeline_at_once(simulator, brand, fan):
    late = simulator.say("fan", "@brand late", indexed_after_seconds=60)["id"]
    assert ids(fan.timeline()) == ids(brand.get("/2/tweets", ids=late).json()) == [late]


def pages_of_mentions(caller, **params):
    """Every page, from the newest on."""
    pages = [caller.mentions(**params)]
    while token := pages[-1]["meta"].get("next_token"):
        pages.append(caller.mentions(pagination_token=token, **params))
    return pages


def test_a_page_can_be_out_of_order_while_its_ends_are_told(simulator, brand, fan):
    said = [simulator.say("fan", f"@brand {n}")["id"] for n in range(40)]
    simulator.settings(shuffled_pages=True)
    older, newer = said[:20], said[20:]
    shown = pages_of_mentions(brand, max_results=20)
    assert [sorted(ids(page)) for page in shown] == [newer, older]
    assert [ids(page) == sorted(ids(page), reverse=True) for page in shown] == [False, False]
    assert [page["meta"]["newest_id"] for page in shown] == [newer[-1], older[-1]]


@pytest.mark.parametrize(("repeats", "sizes"), [(2, [5, 3, 3, 1]), (50, [5, 1, 1, 1, 1, 1, 1, 1])])
def test_posts_of_a_page_can_come_again_on_the_next(simulator, brand, twelve, repeats, sizes):
    simulator.settings(repeats_across_pages=repeats)
    pages = [ids(page) for page in pages_of_mentions(brand, max_results=5)]
    seen: list[str] = []
    for page, size in zip(pages, sizes, strict=True):
        new = [post for post in page if post not in seen]
        assert (len(page) <= 5, len(new)) == (True, size)
        assert page == seen[len(seen) - len(page) + size :] + new
        seen += new
    assert seen == twelve


# --- the rest -----------------------------------------------------------------------------------


def test_a_name_inside_a_link_mentions_nobody(simulator, brand, fan):
    post = simulator.say("fan", "see https://blog.example/@brand/story")
    assert brand.mentions()["meta"]["result_count"] == 0
    assert brand.reply("thanks", post["id"]).status_code == 403


def test_an_unknown_user_is_an_error_beside_no_data(brand):
    answer = brand.get("/2/users/42/mentions")
    assert (answer.status_code, list(answer.json())) == (200, ["errors"])


def test_me_shows_the_requested_fields(simulator, brand):
    simulator.make_user("brand", description="We roast.")
    shown = brand.get("/2/users/me", user_fields="description,public_metrics,protected").json()
    assert shown["data"]["description"] == "We roast."
    assert shown["data"]["public_metrics"]["tweet_count"] == 0
    assert shown["data"]["protected"] is False


def test_rate_headers_count_down_per_user_and_endpoint(brand, fan):
    remaining = [
        caller.get("/2/users/me").headers["x-rate-limit-remaining"]
        for caller in (brand, brand, fan)
    ]
    assert remaining == ["74", "73", "74"]


def test_a_spent_allowance_is_429_until_the_reset(simulator, brand):
    simulator.settings(rate_limits={"GET /2/users/me": 1})
    brand.get("/2/users/me")
    answer = brand.get("/2/users/me")
    assert (answer.status_code, answer.headers["x-rate-limit-remaining"]) == (429, "0")
    assert int(answer.headers["x-rate-limit-reset"]) > 1_700_000_000
    assert answer.json()["title"] == "Too Many Requests"


def test_a_path_that_x_does_not_have_is_404_without_a_body(brand):
    answer = brand.get("/2/nonsense")
    assert (answer.status_code, answer.content) == (404, b"")

"""The sample data: well-formed, whole, and alive after loading."""

import html
import json
import re
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest
import requests

from tests.x_integration.simulator.caller import Caller
from x_integration.simulator import sample

FILES = sorted(Path(sample.__file__).parent.glob("*.json"))
SAID = [path for path in FILES if path.name.startswith("said_")]
BRAND = "cafe_aurora"


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


def everything(paths):
    """Posts and users of the files by id."""
    pages = [read(path) for path in paths]
    posts = [post for page in pages for post in page["data"] + page["includes"].get("tweets", [])]
    users = [user for page in pages for user in page["includes"]["users"]]
    return {post["id"]: post for post in posts}, {user["id"]: user for user in users}


@pytest.fixture
def sampled(simulator):
    simulator.reset(sample=True)
    return simulator


@pytest.fixture
def aurora(sampled):
    return Caller(sampled, sampled.connect(BRAND))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_file_is_a_whole_page(path):
    page = read(path)
    ids = [int(post["id"]) for post in page["data"]]
    assert ids == sorted(ids, reverse=True)
    assert page["meta"] == {
        "result_count": len(ids),
        "newest_id": str(ids[0]),
        "oldest_id": str(ids[-1]),
    }


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_reference_of_a_file_resolves_in_it(path):
    page = read(path)
    posts, users = everything([path])
    for post in page["data"]:
        assert post["author_id"] in users
        for reference in post.get("referenced_tweets", []):
            assert reference["id"] in posts
        for mention in post.get("entities", {}).get("mentions", []):
            assert users[mention["id"]]["username"] == mention["username"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_entity_stands_where_it_says(path):
    posts, _ = everything([path])
    for post in posts.values():
        for kind, entities in post.get("entities", {}).items():
            for entity in entities:
                name = {"mentions": "username", "urls": "url"}.get(kind, "tag")
                sign = {"mentions": "@", "hashtags": "#", "cashtags": "$"}.get(kind, "")
                assert post["text"][entity["start"] : entity["end"]] == sign + entity[name]


def test_ids_and_instants_agree():
    posts, _ = everything(FILES)
    for post in posts.values():
        created = datetime.fromisoformat(post["created_at"])
        milliseconds = (int(post["id"]) >> 22) + 1288834974657
        assert created == datetime.fromtimestamp(milliseconds / 1000, UTC)


def test_conversations_lead_to_their_root():
    posts, _ = everything(FILES)
    for post in posts.values():
        root = post
        while answered := [
            r for r in root.get("referenced_tweets", []) if r["type"] == "replied_to"
        ]:
            root = posts[answered[0]["id"]]
        assert post["conversation_id"] == root["id"]


def test_the_sample_is_as_varied_as_real_life():
    posts, users = everything(FILES)
    texts = " ".join(post["text"] for post in posts.values())
    assert (len(posts), len(users)) == (300, 33)
    assert {post["lang"] for post in posts.values()} == {"pt", "en", "es", "ja", "ar"}
    assert "\u200d" in texts
    assert "&amp;" in texts
    assert any("cashtags" in post.get("entities", {}) for post in posts.values())
    assert any("urls" in post.get("entities", {}) for post in posts.values())


def test_the_sample_holds_what_a_brand_has_to_tell_apart():
    said = {path.stem: read(path)["data"] for path in FILES}
    posts = [post for page in said.values() for post in page]
    kinds = Counter(r["type"] for post in posts for r in post.get("referenced_tweets", []))
    alone = re.compile("stop reply|don't reply|deja de resp|لا تردّوا")
    assert {post["lang"] for post in said["said_to_the_brand"] if alone.search(post["text"])} == {
        "en", "es", "ar",
    }  # fmt: skip
    assert min(kinds["replied_to"], kinds["quoted"]) >= 8
    assert not any(f"@{BRAND}" in post["text"] for post in said["said_around"])


def test_a_search_finds_all_that_the_brand_said(sampled, aurora):
    search = {"query": f"from:{BRAND}", "max_results": 100}
    shown = aurora.get("/2/tweets/search/recent", **search).json()["data"]
    said = sampled.posts(username=BRAND)[::-1]
    assert [post["id"] for post in shown] == [post["id"] for post in said]


def test_loading_says_every_post_once(sampled):
    posts, _ = everything(SAID)
    typed = [post["text"] for post in sampled.posts()]
    assert len(typed) == len(posts)
    plain = {html.unescape(post["text"]) for post in posts.values() if "t.co" not in post["text"]}
    assert plain <= set(typed)


def test_the_newest_post_is_some_minutes_old(sampled):
    newest = datetime.fromisoformat(sampled.posts()[-1]["created_at"])
    age = (datetime.now(UTC) - newest).total_seconds()
    assert 200 < age < 300


def test_loaded_references_lead_to_loaded_posts(sampled):
    posts = {post["id"]: post for post in sampled.posts()}
    references = [post[kind] for post in posts.values() for kind in ("in_reply_to", "quote")]
    found = [reference for reference in references if reference is not None]
    assert len(found) >= 9
    assert set(found) <= set(posts)


def test_the_api_shows_the_sample_as_the_files_do(aurora):
    page = aurora.mentions(max_results=100, tweet_fields="entities,lang")
    source = read(next(path for path in SAID if path.stem == "said_to_the_brand"))
    shown = [(post["lang"], "urls" in post.get("entities", {})) for post in page["data"]]
    assert shown == [(post["lang"], "urls" in post.get("entities", {})) for post in source["data"]]
    assert [post["text"] for post in page["data"] if "t.co" not in post["text"]] == [
        post["text"] for post in source["data"] if "t.co" not in post["text"]
    ]


def test_some_of_the_sample_summons_the_brand_and_some_does_not(sampled, aurora):
    sampled.settings(rate_limits={"*": 1000})
    others = [post for post in sampled.posts() if post["username"] != BRAND]
    tried = [
        aurora.reply(f"Olá, número {n}", post["id"]).status_code for n, post in enumerate(others)
    ]
    assert (tried.count(201), tried.count(403)) == (66, 161)


def test_the_next_sample_mention_is_said_now(sampled, aurora):
    newest = aurora.mentions()["meta"]["newest_id"]
    said = sampled.say_sample()
    assert aurora.mentions(since_id=newest)["data"][0]["id"] == said["id"]


def test_sample_mentions_begin_again_with_a_visible_variation(sampled):
    later = len(read(next(path for path in FILES if path.stem == "later"))["data"])
    said = [sampled.say_sample()["text"] for _ in range(2 * later)]
    assert len(set(said)) == 2 * later
    assert said[later] == f"{said[0]} · 2"


def test_a_sample_mention_can_be_said_to_another_brand(simulator, brand):
    simulator.say_sample("brand")
    assert "@brand" in brand.mentions()["data"][0]["text"]


def test_a_sample_mention_can_be_said_by_somebody_new(sampled, aurora):
    known = {post["username"] for post in sampled.posts()}
    said = sampled.say_sample(by="guest_7")
    assert (said["username"], "guest_7" in known) == ("guest_7", False)
    assert aurora.mentions()["data"][0]["id"] == said["id"]


def test_the_first_start_loads_the_sample_and_later_ones_do_not(own_simulator):
    own_simulator.sample = True
    with own_simulator:
        before = own_simulator.posts()
        own_simulator.kill()
        own_simulator.start()
        assert own_simulator.posts() == before


def test_every_sample_page_can_be_read(sampled):
    for post in sampled.posts():
        url = f"{sampled.base_url}/{post['username']}/status/{post['id']}"
        assert requests.get(url, timeout=10).status_code == 200

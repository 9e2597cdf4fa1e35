"""Every kind of answer in the new dialect, and the request behind it, against X's own document.

X's document knows no `about:blank` problems, although most of X's 401, 403 and 429 answers are
such: those answers are left to the other tests, and only their requests are checked here.
"""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import requests
from openapi_core import Config, OpenAPI
from openapi_core.contrib.requests import RequestsOpenAPIRequest, RequestsOpenAPIResponse

from tests.x_integration.simulator.caller import Caller
from x_integration.simulator.dialects import NEW
from x_integration.simulator.process import SimulatorProcess

OPENAPI_FILE = os.environ.get("X_OPENAPI_FILE", "")
pytestmark = pytest.mark.skipif(
    not OPENAPI_FILE, reason="X_OPENAPI_FILE does not name X's OpenAPI document"
)
POST_FIELDS = "conversation_id,created_at,display_text_range,entities,lang,possibly_sensitive,public_metrics,reply_settings,source"
EXPANSIONS = "author_id,in_reply_to_user_id,referenced_posts,entities.mentions.username"
USER_FIELDS = "created_at,description,location,protected,public_metrics,subscription_type,url,verified,verified_type"
SHAPE = {"post_fields": POST_FIELDS, "expansions": EXPANSIONS, "user_fields": USER_FIELDS}

Check = Callable[[requests.Response], dict]


@pytest.fixture(scope="module")
def document() -> dict:
    """X's own, but that openapi-core knows OAuth 2.0 only as the bearer token it sends."""
    document: dict = json.loads(Path(OPENAPI_FILE).read_text(encoding="utf-8"))
    bearer = {"type": "http", "scheme": "bearer"}
    schemes = document["components"]["securitySchemes"]
    document["components"]["securitySchemes"] = dict.fromkeys(schemes, bearer)
    return document


@pytest.fixture(scope="module")
def new_simulator(tmp_path_factory):
    folder = tmp_path_factory.mktemp("new-x")
    with SimulatorProcess(folder, sample=True, dialect="new") as simulator:
        yield simulator


@pytest.fixture
def aurora(new_simulator):
    new_simulator.reset(sample=True)
    return Caller(new_simulator, new_simulator.connect("cafe_aurora"))


@pytest.fixture(scope="module")
def checked(new_simulator, document) -> Check:
    """Validates a request and its answer; gives the answer's body back."""
    openapi = OpenAPI.from_dict(
        document | {"servers": [{"url": new_simulator.base_url}]},
        config=Config(extra_media_type_deserializers={"application/problem+json": json.loads}),
    )

    def check(answer: requests.Response) -> dict:
        request = RequestsOpenAPIRequest(answer.request)
        openapi.validate_request(request)
        openapi.validate_response(request, RequestsOpenAPIResponse(answer))
        return dict(answer.json())

    return check


def has_id_and_text(*posts):
    return all(post["id"].isdecimal() and isinstance(post["text"], str) for post in posts)


def test_me_conforms(aurora, checked):
    answer = checked(aurora.get("/2/users/me", user_fields=USER_FIELDS))
    assert answer["data"]["username"] == "cafe_aurora"
    assert answer["data"]["id"].isdecimal()


def test_me_with_its_latest_post_conforms(aurora, checked):
    answer = checked(aurora.get("/2/users/me", expansions="most_recent_post_id"))
    assert has_id_and_text(*answer["includes"]["posts"])


def test_mentions_conform(aurora, checked):
    answer = checked(aurora.get(f"/2/users/{aurora.id}/mentions", max_results=5, **SHAPE))
    assert len(answer["data"]) == 5
    assert has_id_and_text(*answer["data"])
    assert answer["meta"]["next_token"]


def test_the_sample_conforms_to_the_last_post(aurora, checked):
    pages = [
        checked(aurora.get(f"/2/users/{user}/tweets", max_results=100, **SHAPE))
        for user in [row["id"] for row in aurora.simulator.control("GET", "/users")]
    ]
    posts = [post for page in pages for post in page.get("data", [])]
    assert has_id_and_text(*posts)
    assert len(posts) == len(aurora.simulator.posts())


def test_an_empty_timeline_conforms(aurora, checked):
    quiet = Caller(aurora.simulator, aurora.simulator.connect("quiet"))
    assert checked(quiet.get(f"/2/users/{quiet.id}/tweets", **SHAPE))["meta"]["result_count"] == 0


def test_a_page_in_the_middle_conforms(aurora, checked):
    path = f"/2/users/{aurora.id}/mentions"
    token = checked(aurora.get(path, max_results=5))["meta"]["next_token"]
    page = checked(aurora.get(path, max_results=5, pagination_token=token))
    assert page["meta"]["previous_token"]


def test_a_window_of_time_conforms(aurora, checked):
    path = f"/2/users/{aurora.id}/tweets"
    times = {"start_time": "2026-01-01T00:00:00Z", "end_time": "2036-01-01T00:00:00Z"}
    assert checked(aurora.get(path, exclude="replies,retweets", **times))["data"]


def test_posts_by_id_conform_with_their_errors(aurora, checked):
    shy = aurora.simulator.make_user("shy", protected=True)
    hidden = aurora.simulator.say("shy", "psst")["id"]
    known = aurora.simulator.posts()[0]["id"]
    assert shy["protected"] is True
    answer = checked(aurora.get("/2/tweets", ids=f"{known},{hidden},42", **SHAPE))
    assert has_id_and_text(*answer["data"])
    assert [error["resource_id"] for error in answer["errors"]] == [hidden, "42"]


def test_a_search_conforms(aurora, checked):
    path, query = "/2/tweets/search/recent", "(from:cafe_aurora OR @cafe_aurora) -is:retweet"
    page = checked(aurora.get(path, query=query, max_results=10, sort_order="recency", **SHAPE))
    token = page["meta"]["next_token"]
    assert has_id_and_text(*page["data"])
    assert checked(aurora.get(path, query=query, next_token=token, **SHAPE))["data"]


def test_a_search_that_finds_nothing_conforms(aurora, checked):
    answer = checked(aurora.get("/2/tweets/search/recent", query="zeppelin", **SHAPE))
    assert answer["meta"] == {"result_count": 0}


def test_a_query_that_cannot_be_read_conforms(aurora, checked):
    answer = aurora.get("/2/tweets/search/recent", query="near:here")
    assert (answer.status_code, checked(answer)["title"]) == (400, "Invalid Request")


def test_an_unknown_user_conforms(aurora, checked):
    assert checked(aurora.get("/2/users/42/mentions"))["errors"]


def test_a_created_post_conforms(aurora, checked):
    assert has_id_and_text(checked(aurora.post("Bom dia! ☕"))["data"])


def test_a_reply_conforms(aurora, checked):
    mention = aurora.mentions()["data"][0]["id"]
    assert has_id_and_text(checked(aurora.reply("Oi & bem-vinda <3", mention))["data"])


def test_a_deletion_conforms(aurora, checked):
    post_id = aurora.post("oops").json()["data"]["id"]
    assert checked(aurora.delete(post_id)) == {"data": {"deleted": True}}


def test_a_deletion_of_nothing_conforms(aurora, checked):
    answer = aurora.delete("42")
    assert answer.status_code == 404
    assert checked(answer)["resource_type"] == "tweet"


@pytest.mark.parametrize("body", [{"text": ""}, {"text": "a" * 281}])
def test_an_invalid_request_conforms(aurora, checked, body):
    answer = aurora.call("POST", "/2/tweets", json=body)
    assert answer.status_code == 400
    assert checked(answer)["title"] == "Invalid Request"


def test_an_invalid_query_is_refused_here_and_by_the_document(aurora, checked):
    answer = aurora.get(f"/2/users/{aurora.id}/mentions", max_results=4, post_fields="lang")
    assert answer.status_code == 400
    with pytest.raises(Exception, match="max_results"):
        checked(answer)


def test_the_vocabulary_is_that_of_the_document(document):
    parameters = document["components"]["parameters"]
    written = {
        name: frozenset(parameters[name]["schema"]["items"]["enum"])
        for name in (
            "PostFieldsParameter",
            "PostExpansionsParameter",
            "UserFieldsParameter",
            "UserExpansionsParameter",
        )
    }
    assert written == {
        "PostFieldsParameter": NEW.post_fields,
        "PostExpansionsParameter": NEW.post_expansions,
        "UserFieldsParameter": NEW.user_fields,
        "UserExpansionsParameter": NEW.user_expansions,
    }

"""Questions to X: whose token this is, pages of posts, and answers that cannot be trusted."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.x_integration.peers import answer, says
from x_integration import client
from x_integration.client import Window, XClient
from x_integration.errors import XReadFailed, XUnauthorized

MENTIONS = "/2/users/{id}/mentions"


@pytest.fixture(params=["legacy", "new"])
def dialect(request, settings):
    """The words that we ask in."""
    settings.X_FIELD_DIALECT = request.param
    return request.param


def mentions(voice, **window):
    us, token = voice.tokens.user_id, voice.tokens.access_token
    return list(voice.client.mentions(us, Window(**window), access_token=token))


def timeline(voice, since, **more):
    return list(
        voice.client.timeline(
            voice.tokens.user_id, access_token=voice.tokens.access_token, start_time=since, **more
        )
    )


def hear(voice, count):
    """So many mentions, the oldest first; their ids."""
    voice.simulator.make_user("lia")
    return [voice.simulator.say("lia", f"@cafe number {n}")["id"] for n in range(count)]


# --- whose token --------------------------------------------------------------------------------


def test_a_token_tells_whose_it_is(voice):
    assert voice.client.me(voice.tokens.access_token) == (voice.tokens.user_id, "cafe")


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        "cafe",
        {},
        {"id": "1"},
        {"username": "cafe"},
        {"id": "", "username": "cafe"},
        {"id": "abc", "username": "cafe"},
        {"id": "1" * 20, "username": "cafe"},
        {"id": "1", "username": ""},
        {"id": "1", "username": "c" * 51},
        {"id": "1", "username": "a\x00b"},
    ],
)
def test_an_answer_that_names_nobody_is_not_believed(voice, data):
    voice.simulator.fault("status", "GET", "/2/users/me", status=200, body={"data": data})
    with pytest.raises(XReadFailed, match="whose token"):
        voice.client.me(voice.tokens.access_token)


# --- pages --------------------------------------------------------------------------------------


def test_pages_follow_each_other_until_there_is_no_next(voice, dialect):
    said = hear(voice, 250)
    pages = mentions(voice)
    assert [len(page.posts) for page in pages] == [100, 100, 50]
    assert [post.id for page in pages for post in page.posts] == said[::-1]


def test_nothing_said_is_one_empty_page(voice, dialect):
    assert [page.posts for page in mentions(voice)] == [()]


def test_only_what_is_newer_than_the_mark_is_asked_for(voice, dialect):
    said = hear(voice, 5)
    assert [post.id for post in mentions(voice, since_id=said[2])[0].posts] == said[:2:-1]


def test_a_page_is_read_when_it_is_asked_for(voice):
    hear(voice, 250)
    us, token = voice.tokens.user_id, voice.tokens.access_token
    assert len(next(voice.client.mentions(us, access_token=token)).posts) == 100
    assert len(voice.calls()) == 1


def test_the_timeline_begins_at_its_start(voice, dialect):
    now = datetime.now(UTC)
    old = (now - timedelta(hours=2)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    voice.simulator.say("cafe", "Two hours ago.", created_at=old)
    new = voice.says("Now.")
    pages = timeline(voice, now - timedelta(hours=1))
    assert [post.id for page in pages for post in page.posts] == [new]


def test_the_start_of_a_timeline_is_told_in_utc(voice):
    new = voice.says("Now.")
    east = datetime.now(UTC).astimezone().tzinfo
    pages = timeline(voice, (datetime.now(UTC) - timedelta(minutes=1)).astimezone(east))
    assert [post.id for post in pages[0].posts] == [new]


def test_a_page_that_leads_to_itself_is_an_error_and_no_loop(voice):
    body = {"data": [], "meta": {"result_count": 0, "next_token": "again"}}
    voice.simulator.fault("status", "GET", MENTIONS, status=200, body=body, times=None)
    with pytest.raises(XReadFailed) as raised:
        mentions(voice)
    assert raised.value.code == "x_broken_page"


def page_before(token: str) -> dict[str, Any]:
    """An empty page, behind which another one waits."""
    return {"data": [], "meta": {"result_count": 0, "next_token": token}}


def test_pages_without_end_are_an_error_and_no_success(voice, monkeypatch):
    monkeypatch.setattr(client, "MAX_PAGES", 10)
    for number in range(20):
        body = page_before(f"t{number}")
        voice.simulator.fault("status", "GET", MENTIONS, status=200, body=body)
    with pytest.raises(XReadFailed, match="no end"):
        mentions(voice)


def test_pages_that_lead_in_a_circle_are_an_error_and_no_success(voice):
    for token in "abcab":
        voice.simulator.fault("status", "GET", MENTIONS, status=200, body=page_before(token))
    with pytest.raises(XReadFailed, match="no end"):
        mentions(voice)


# --- what cannot be trusted ---------------------------------------------------------------------

UNREADABLE: dict[str, dict[str, Any]] = {
    "500": {"status": 500, "body": {"title": "Oops"}},
    "503 without a body": {"status": 503},
    "429": {"status": 429},
    "403": {"status": 403, "body": {"detail": "No."}},
    "404 without a body": {"status": 404},
    "302": {"status": 302, "headers": {"Location": "/2/users/me"}},
    "206": {"status": 206, "body": {"data": [], "meta": {}}},
    "200 without a body": {"status": 200},
    "a list": {"status": 200, "body": []},
    "a text": {"status": 200, "body": "data"},
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_anything_but_an_object_with_200_is_no_page(voice, name):
    voice.simulator.fault("status", "GET", MENTIONS, **UNREADABLE[name])
    with pytest.raises(XReadFailed) as raised:
        mentions(voice)
    assert raised.value.code == f"x_read_{UNREADABLE[name]['status']}"
    assert len(voice.calls()) == 1


@pytest.mark.parametrize("fault", ["html", "drop", "lost_answer", "truncate"])
def test_a_broken_answer_is_no_page(voice, fault):
    hear(voice, 1)
    voice.simulator.fault(fault, "GET", MENTIONS)
    with pytest.raises(XReadFailed):
        mentions(voice)


def test_x_saying_that_it_may_not_tell_is_not_an_empty_page(voice):
    shy = voice.simulator.make_user("shy", protected=True)["id"]
    with pytest.raises(XReadFailed, match="not authorized to see the user"):
        list(voice.client.mentions(shy, access_token=voice.tokens.access_token))


def test_a_token_that_x_repeats_in_its_words_is_in_no_error(voice):
    token = voice.tokens.access_token
    body = {"errors": [{"detail": f"{'.' * 190}{token} may not see it."}]}
    voice.simulator.fault("status", "GET", MENTIONS, status=200, body=body)
    with pytest.raises(XReadFailed, match="does not show it") as raised:
        mentions(voice)
    assert token[:9] not in f"{raised.value} {raised.value!r}"


def test_a_token_that_x_does_not_take_is_unauthorized(voice):
    with pytest.raises(XUnauthorized):
        voice.client.me("unknown")


@pytest.mark.django_db
def test_json_too_deep_to_read_is_no_page(peer):
    deep = b'{"data": ' + b"[" * 100_000 + b"]" * 100_000 + b', "meta": {}}'
    peer(says(answer("200 OK", deep)))
    with pytest.raises(XReadFailed):
        list(XClient().mentions("1", access_token="t"))


@pytest.mark.django_db
def test_json_nearly_too_deep_to_read_is_no_page(peer):
    deep = b'{"data": [' + b"[" * 900 + b"]" * 900 + b'], "meta": {}}'
    peer(says(answer("200 OK", deep)))
    with pytest.raises(XReadFailed):
        list(XClient().mentions("1", access_token="t"))

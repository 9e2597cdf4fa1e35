"""The queue over HTTP: who proposes, edits and rejects; nobody approves."""

import pytest
from django.urls import get_resolver

from publishing.models import Approval, QueueItem
from tests.api import approve, member, program, send, signed_in
from tests.api import queue_path as path
from tests.factories import (
    SourcePostFactory,
    UserFactory,
)
from workspaces.models import AuditEvent

pytestmark = pytest.mark.django_db(transaction=True)


# --- Proposing ----------------------------------------------------------------------------------


def test_a_member_proposes_a_post_which_waits_for_a_person(cafe):
    person = member(cafe, "member", username="bia")
    status, _, told = send(signed_in(person), "post", path(cafe), text="Good morning!")
    assert (status, told["state"], told["kind"]) == (201, "pending", "post")
    assert (told["written_by"], told["origin"], told["approval"]) == ("bia", "person", None)
    event = AuditEvent.objects.get(type="item.propose")
    assert (event.actor, event.door) == (f"user:{person.pk}", "api")


def test_the_answer_says_where_the_new_item_is(owner, cafe):
    answer = owner.post(path(cafe), {"text": "Good morning!"}, format="json")
    assert owner.get(answer.headers["Location"]).json() == answer.json()


def test_a_program_proposes_a_reply_to_a_stored_post(cafe):
    post = SourcePostFactory(workspace=cafe)
    client = program(cafe, member(cafe, "member"), "queue:propose")
    later = "2030-01-01T12:00:00Z"
    status, _, told = send(
        client,
        "post",
        path(cafe),
        text="Thank you!",
        source_post_id=post.x_post_id,
        scheduled_for=later,
    )
    assert (status, told["kind"], told["scheduled_for"]) == (201, "reply", later)
    assert told["source_post"]["x_post_id"] == post.x_post_id


def test_a_second_reply_to_one_post_is_409(owner, cafe, item):
    given = {"text": "Again!", "source_post_id": item.source_post.x_post_id}
    assert send(owner, "post", path(cafe), **given)[:2] == (409, "already_proposed")


def test_another_workspaces_post_is_missing(owner, cafe):
    for x_post_id in (SourcePostFactory().x_post_id, "1"):
        given = {"text": "Hello", "source_post_id": x_post_id}
        assert send(owner, "post", path(cafe), **given)[:2] == (404, "source_post_not_found")
    assert not QueueItem.objects.exists()


@pytest.mark.parametrize("text", ["x" * 281, "   ", "a\x07b"])
def test_a_text_that_x_would_not_take_is_422(owner, cafe, text):
    status, code, _ = send(owner, "post", path(cafe), text=text)
    assert (status, code) in {(422, "bad_content"), (400, "invalid")}
    assert not QueueItem.objects.exists()


BAD_BODIES = {
    "nothing": ("{}", "text"),
    "null": ('{"text": null}', "text"),
    "an object": ('{"text": {"a": 1}}', "text"),
    "a number, which would be written otherwise": ('{"text": 1e2}', "text"),
    "a number beyond measure": ('{"text": 1e400}', "text"),
    "a NUL": ('{"text": "a\\u0000b"}', "text"),
    "half a pair": ('{"text": "\\ud800"}', "text"),
    "too long": ('{"text": "' + "x" * 10_001 + '"}', "text"),
    "an unknown field": ('{"text": "a", "approve": true}', "approve"),
    "a state": ('{"text": "a", "state": "approved"}', "state"),
    "a post id that is none": ('{"text": "a", "source_post_id": "1; --"}', "source_post_id"),
    "a post id beyond measure": (
        '{"text": "a", "source_post_id": "99999999999999999999"}',
        "source_post_id",
    ),
    "a time that is none": ('{"text": "a", "scheduled_for": "tomorrow"}', "scheduled_for"),
    "a time beyond measure": (
        '{"text": "a", "scheduled_for": "9999-12-31T23:59:59-12:00"}',
        "scheduled_for",
    ),
    "a time after which no approval can end": (
        '{"text": "a", "scheduled_for": "9999-12-31T23:59:59Z"}',
        "scheduled_for",
    ),
    "a list": ("[1]", "non_field_errors"),
    "a word": ('"text"', "non_field_errors"),
}


@pytest.mark.parametrize("name", BAD_BODIES)
def test_a_bad_proposal_is_400_and_names_the_field(owner, cafe, name):
    body, field = BAD_BODIES[name]
    answer = owner.post(path(cafe), body, content_type="application/json")
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid")
    assert list(answer.json()["fields"]) == [field]
    assert not QueueItem.objects.exists()


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"[" * 60_000, 400, "parse_error"),
        (b'{"text": ', 400, "parse_error"),
        (b'{"text": "a", "\\ud800": 1}', 400, "invalid"),
        (b'{"text": "a", "\\u0000": 1}', 400, "invalid"),
        (b'{"text": NaN}', 400, "parse_error"),
        (b"\xff\xfe", 400, "parse_error"),
        (b'{"text": ' + b"9" * 5000 + b"}", 400, "parse_error"),
        (b'{"text": "' + b"x" * 70_000 + b'"}', 413, "too_large"),
    ],
)
def test_a_body_that_cannot_be_read_is_no_500(owner, cafe, body, status, code):
    answer = owner.post(path(cafe), body, content_type="application/json")
    assert (answer.status_code, answer.json()["code"]) == (status, code)


@pytest.mark.parametrize("charset", ["utf-16", "unicode_escape", "idna", "latin-1"])
def test_json_is_utf_8_whatever_its_header_says(owner, cafe, charset):
    body = '{"text": "Olá ☕"}'.encode()
    answer = owner.post(path(cafe), body, content_type=f"application/json; charset={charset}")
    assert (answer.status_code, answer.json()["text"]) == (201, "Olá ☕")


# --- Editing and rejecting ----------------------------------------------------------------------


@pytest.mark.parametrize("role", ["owner", "admin"])
def test_an_operator_edits_and_the_approval_is_void(cafe, item, role):
    approve(item, member(cafe))
    client = signed_in(member(cafe, role))
    given = {"version": 1, "text": "Thanks, Lia!"}
    status, _, told = send(client, "patch", path(cafe, item.number), **given)
    assert (status, told["text"], told["version"], told["state"]) == (
        200,
        "Thanks, Lia!",
        2,
        "pending",
    )
    assert told["approval"]["status"] == "void"


@pytest.mark.parametrize("role", ["owner", "admin"])
def test_an_operator_rejects_with_a_reason(cafe, item, role):
    client = signed_in(member(cafe, role))
    given = {"version": 1, "reason": "too cheerful"}
    status, _, told = send(client, "post", path(cafe, item.number, "reject"), **given)
    assert (status, told["state"], told["decision_reason"]) == (200, "rejected", "too cheerful")


CHANGES = [
    ("patch", (), {"version": 1, "text": "Mine"}),
    ("post", ("reject",), {"version": 1, "reason": "no"}),
]


@pytest.mark.parametrize(("method", "tail", "body"), CHANGES)
def test_a_member_changes_nothing(cafe, item, method, tail, body):
    client = signed_in(member(cafe, "member"))
    answer = send(client, method, path(cafe, item.number, *tail), **body)
    assert answer[:2] == (403, "role")
    assert QueueItem.objects.get().state == "pending"


@pytest.mark.parametrize(("method", "tail", "body"), CHANGES)
def test_what_was_edited_meanwhile_is_409(owner, cafe, item, method, tail, body):
    QueueItem.objects.update(version=2)
    answer = send(owner, method, path(cafe, item.number, *tail), **body)
    assert answer[:2] == (409, "wrong_state")


@pytest.mark.parametrize(("method", "tail", "body"), CHANGES)
def test_a_session_without_a_csrf_token_changes_nothing(cafe, item, method, tail, body):
    client = signed_in(member(cafe))
    client.handler.enforce_csrf_checks = True
    answer = send(client, method, path(cafe, item.number, *tail), **body)
    assert answer[:2] == (403, "permission_denied")


@pytest.mark.parametrize(("method", "tail", "body"), CHANGES)
def test_a_key_needs_no_csrf_token_but_the_scope(cafe, item, method, tail, body):
    person, address = member(cafe), path(cafe, item.number, *tail)
    reader = program(cafe, person, "queue:read", "queue:propose")
    assert send(reader, method, address, **body)[:2] == (403, "missing_scope")
    editor = program(cafe, person, "queue:edit")
    editor.handler.enforce_csrf_checks = True
    assert send(editor, method, address, **body)[0] == 200


@pytest.mark.parametrize(
    "version", [None, 0, -1, "x", 2**31, 10**30, 1.5, True, [], {"a": 1}, "1\x00"]
)
@pytest.mark.parametrize(("method", "tail", "body"), CHANGES)
def test_a_decision_names_a_version_that_can_be(owner, cafe, item, method, tail, body, version):
    answer = send(owner, method, path(cafe, item.number, *tail), **body | {"version": version})
    assert answer[:2] == (400, "invalid")
    assert list(answer[2]["fields"]) == ["version"]


@pytest.mark.parametrize("reason", ["", "  ", "x" * 201, None, "a\x00"])
def test_a_rejection_says_why(owner, cafe, item, reason):
    given = {"version": 1, "reason": reason}
    answer = send(owner, "post", path(cafe, item.number, "reject"), **given)
    assert answer[:2] == (400, "invalid")


# --- Nobody approves here -----------------------------------------------------------------------


def test_no_route_of_the_api_approves():
    ours = [str(pattern.pattern) for pattern in get_resolver().url_patterns]
    assert [route for route in ours if "approve" in route] == []


@pytest.mark.parametrize(
    ("method", "tail", "body"),
    [
        ("post", ("approve",), {"version": 1}),
        ("patch", (), {"version": 1, "text": "x", "state": "approved"}),
        ("patch", (), {"version": 1, "text": "x", "approve": True}),
        ("put", (), {"version": 1, "text": "x"}),
        ("post", (), {"version": 1}),
        ("delete", (), {}),
        ("options", (), {}),
    ],
)
def test_whatever_is_sent_an_item_stays_unapproved(cafe, item, method, tail, body):
    for client in (signed_in(member(cafe)), program(cafe, member(cafe), "queue:edit")):
        answer = getattr(client, method)(path(cafe, item.number, *tail), body, format="json")
        assert answer.status_code in {400, 403, 404, 405}
    assert not Approval.objects.exists()
    assert QueueItem.objects.get().state == "pending"


def test_nobody_is_asked_to_say_who_they_are(client, cafe, item):
    for address in (path(cafe), path(cafe, item.number)):
        answer = client.get(address)
        assert (answer.status_code, answer.json()["code"]) == (401, "not_authenticated")
        assert "Bearer" in answer.headers["WWW-Authenticate"]


def test_somebody_inactive_is_nobody(cafe):
    person = member(cafe)
    client = signed_in(person)
    type(person).objects.update(is_active=False)
    assert client.get(path(cafe)).status_code == 401


def test_a_stranger_who_is_signed_in_finds_nothing(cafe):
    assert send(signed_in(UserFactory()), "get", path(cafe))[:2] == (404, "workspace_not_found")

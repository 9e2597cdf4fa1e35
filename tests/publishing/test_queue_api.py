"""The queue over HTTP: who reads, proposes, edits and rejects, and what the answers hold."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import get_resolver
from django.utils import timezone

from publishing.models import Approval, PublishAttempt, QueueItem
from publishing.services import approve_item, propose_item
from publishing.states import Outcome, State
from tests.api import make_key, member, program, signed_in, with_key
from tests.factories import (
    QueueItemFactory,
    SourcePostFactory,
    UserFactory,
    WorkspaceFactory,
    XAccountFactory,
)
from workspaces.actors import Actor
from workspaces.models import AuditEvent

pytestmark = pytest.mark.django_db(transaction=True)

SOMEBODY_ELSES = "Thank you from bar"


@pytest.fixture
def cafe():
    """A workspace with an account."""
    workspace = WorkspaceFactory(slug="cafe")
    XAccountFactory(workspace=workspace)
    return workspace


@pytest.fixture
def owner(cafe):
    """Its owner, in a browser."""
    return signed_in(member(cafe))


@pytest.fixture
def item(cafe):
    """A pending reply."""
    return QueueItemFactory(workspace=cafe, text="Thank you, Lia!")


def path(workspace, *more):
    """An address of the queue."""
    return "/".join(["/publishing/queue", str(workspace.pk), *map(str, more)])


def post_of(workspace, text="Good morning!"):
    """A pending post of our own."""
    return propose_item(workspace, text=text, actor=Actor.worker(), now=timezone.now())


def approve(item, user):
    """Approve it, as it is."""
    actor = Actor.operator(user, door="admin")
    return approve_item(item.pk, version=item.version, actor=actor, now=timezone.now())


def send(client, method, address, **body):
    """A request with a JSON body: status, code, and what came back."""
    answer = getattr(client, method)(address, body, format="json")
    return answer.status_code, answer.json().get("code"), answer.json()


# --- Reading ------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["owner", "admin", "member"])
def test_every_member_reads(cafe, item, role):
    client = signed_in(member(cafe, role))
    assert client.get(path(cafe)).json()["items"][0]["number"] == item.number
    assert client.get(path(cafe, item.number)).json()["text"] == "Thank you, Lia!"


def test_an_item_in_a_list_says_what_it_is(owner, cafe, item):
    (told,) = owner.get(path(cafe)).json()["items"]
    assert told["source_post"].pop("posted_at")
    assert told["source_post"].pop("url").endswith(item.source_post.x_post_id)
    assert [told.pop(name) is not None for name in ("created_at", "moved_at")] == [True, True]
    assert told == {
        "number": item.number,
        "version": 1,
        "kind": "reply",
        "state": "pending",
        "text": "Thank you, Lia!",
        "origin": "template",
        "scheduled_for": None,
        "not_before": None,
        "blocked_reason": None,
        "x_post_id": None,
        "price_usd": "0.010",
        "source_post": {
            "x_post_id": item.source_post.x_post_id,
            "author_username": "lia",
            "text": "What a morning!",
            "lang": "en",
            "eligibility": "summoned",
            "eligibility_reason": "mentions_us",
            "may_be_answered": True,
        },
    }


@pytest.mark.parametrize(
    ("text", "price"),
    [("Good morning!", "0.015"), ("See https://a.example", "0.200"), ("See a.example", "0.200")],
)
def test_a_post_of_our_own_has_its_price(owner, cafe, text, price):
    number = post_of(cafe, text).number
    assert owner.get(path(cafe, number)).json()["price_usd"] == price


@pytest.mark.parametrize(
    ("eligibility", "price"), [("summoned", "0.010"), ("not_summoned", "0.200")]
)
def test_a_summoned_reply_keeps_its_price_with_a_link_in_it(owner, cafe, eligibility, price):
    post = SourcePostFactory(workspace=cafe, eligibility=eligibility)
    item = QueueItemFactory(workspace=cafe, source_post=post, text="https://a.example")
    assert owner.get(path(cafe, item.number)).json()["price_usd"] == price


def test_a_blocked_item_says_why_and_until_when(owner, cafe, item):
    until = timezone.now() + timedelta(minutes=45)
    QueueItem.objects.update(blocked_reason="thread_cooldown", not_before=until)
    told = owner.get(path(cafe, item.number)).json()
    assert told["blocked_reason"] == "thread_cooldown"
    assert told["not_before"] == until.isoformat().replace("+00:00", "Z")


def test_an_approval_is_told_with_who_when_where_and_what(cafe, item):
    user = member(cafe, username="ana")
    approve(item, user)
    approval = Approval.objects.get()
    told = signed_in(user).get(path(cafe, item.number)).json()["approval"]
    assert told.pop("approved_at")
    assert told.pop("expires_at")
    assert told == {
        "approved_by": "ana",
        "door": "admin",
        "version": 1,
        "content_hash": approval.content_hash,
        "status": "live",
    }


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"voided_at": timezone.now()}, "void"),
        ({"used_at": timezone.now()}, "used"),
        (
            {
                "approved_at": timezone.now() - timedelta(hours=2),
                "expires_at": timezone.now() - timedelta(hours=1),
            },
            "expired",
        ),
    ],
)
def test_an_approval_says_what_it_is_worth(owner, cafe, item, changes, status):
    approve(item, member(cafe))
    Approval.objects.update(**changes)
    assert owner.get(path(cafe, item.number)).json()["approval"]["status"] == status


def test_tries_are_told_newest_first_with_xs_words(owner, cafe, item):
    now = timezone.now()
    for number, outcome in enumerate((Outcome.NOT_EXECUTED, Outcome.REFUSED), start=1):
        PublishAttempt.objects.create(
            workspace=cafe,
            item=item,
            number=number,
            snapshot={},
            content_hash="",
            kind=item.kind,
            outcome=outcome,
            started_at=now,
            settled_at=now,
            code="x_code",
            words="X's words.",
        )
    told = owner.get(path(cafe, item.number)).json()["attempts"]
    assert [(one["number"], one["outcome"], one["words"]) for one in told] == [
        (2, "refused", "X's words."),
        (1, "not_executed", "X's words."),
    ]


# --- Pages --------------------------------------------------------------------------------------


def numbers(client, workspace, **query):
    """The numbers on every page, page by page."""
    pages: list[list[int]] = []
    cursor: str | None = None
    while len(pages) < 20:
        more = {} if cursor is None else {"cursor": cursor}
        body = client.get(path(workspace), {**query, **more}).json()
        pages.append([item["number"] for item in body["items"]])
        cursor = body["next_cursor"]
        if cursor is None:
            return pages
    raise AssertionError(pages)


def test_pages_go_from_the_newest_to_the_oldest_without_a_gap(owner, cafe):
    for number in range(1, 8):
        QueueItemFactory(workspace=cafe, number=number)
    assert numbers(owner, cafe, limit=3) == [[7, 6, 5], [4, 3, 2], [1]]
    assert numbers(owner, cafe, limit=7) == [[7, 6, 5, 4, 3, 2, 1]]


def test_what_comes_in_meanwhile_moves_no_page(owner, cafe):
    for number in range(1, 5):
        QueueItemFactory(workspace=cafe, number=number)
    first = owner.get(path(cafe), {"limit": 2}).json()
    QueueItemFactory(workspace=cafe, number=5)
    second = owner.get(path(cafe), {"limit": 2, "cursor": first["next_cursor"]}).json()
    assert [item["number"] for item in second["items"]] == [2, 1]


def test_state_and_kind_narrow_the_list(owner, cafe):
    reply = QueueItemFactory(workspace=cafe, number=90)
    QueueItemFactory(workspace=cafe, number=91, state=State.REJECTED)
    post = QueueItemFactory(workspace=cafe, number=92, kind="post", source_post=None)
    assert numbers(owner, cafe, state="pending") == [[post.number, reply.number]]
    assert numbers(owner, cafe, kind="reply") == [[91, 90]]
    assert numbers(owner, cafe, kind="post", state="pending") == [[92]]
    assert numbers(owner, cafe, kind="post", state="rejected") == [[]]


def test_a_rare_kind_is_found_over_pages_that_each_look_through_so_many(owner, cafe, monkeypatch):
    monkeypatch.setattr("publishing.api.WINDOW", 3)
    QueueItemFactory(workspace=cafe, number=1, kind="post", source_post=None)
    for number in range(2, 9):
        QueueItemFactory(workspace=cafe, number=number)
    assert numbers(owner, cafe, kind="post") == [[], [], [1]]


@pytest.mark.parametrize(
    "query",
    [
        {"cursor": "x"},
        {"cursor": "0"},
        {"cursor": "-1"},
        {"cursor": str(2**63)},
        {"cursor": "9" * 5000},
        {"cursor": "1\x00"},
        {"cursor": "1e9"},
        {"limit": "0"},
        {"limit": "101"},
        {"limit": "many"},
        {"state": "asleep"},
        {"state": "pending\x00"},
        {"kind": "thread"},
        {"stat": "pending"},
    ],
)
def test_a_question_that_cannot_be_meant_is_400_and_names_the_field(owner, cafe, query):
    answer = owner.get(path(cafe), query)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid")
    assert answer.json()["fields"].keys() == query.keys()


def test_a_thousand_parameters_are_no_500(owner, cafe):
    answer = owner.get(path(cafe) + "?" + "&".join(f"a{n}=1" for n in range(1500)))
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")


def statements(client, address, **query):
    """How many statements one answer takes."""
    with CaptureQueriesContext(
        connection,
    ) as seen:
        assert client.get(address, query).status_code == 200
    return len(seen)


@pytest.mark.parametrize("query", [{}, {"state": "pending"}, {"kind": "reply"}])
def test_a_page_of_a_hundred_takes_no_more_statements_than_one_of_one(cafe, query):
    secret = make_key(cafe, member(cafe), "queue:read")[1]
    client = with_key(secret)
    QueueItemFactory(workspace=cafe)
    client.get(path(cafe))  # notes that the key was used, once a minute
    one = statements(client, path(cafe), limit=100, **query)
    QueueItemFactory.create_batch(120, workspace=cafe)
    assert statements(client, path(cafe), limit=100, **query) == one <= 4


@pytest.mark.parametrize(
    ("query", "index"), [({}, "item_number_once"), ({"state": "pending"}, "item_queue_newest")]
)
def test_a_page_is_read_along_an_index_and_nothing_is_sorted_or_counted(cafe, query, index):
    client = signed_in(member(cafe))
    post = SourcePostFactory(workspace=cafe)
    now = timezone.now()
    QueueItem.objects.bulk_create(
        QueueItem(
            workspace=cafe,
            number=number,
            kind="reply",
            state=State.REJECTED if number % 3 else State.EXPIRED,
            text="…",
            source_post=post,
            created_at=now,
            moved_at=now,
        )
        for number in range(1, 3001)
    )
    QueueItem.objects.filter(number__gt=2900).update(state=State.FAILED)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE publishing_queueitem")
    query = dict.fromkeys(query, "failed")
    with CaptureQueriesContext(connection) as seen:
        client.get(path(cafe), query)
    (page,) = [one["sql"] for one in seen if 'FROM "publishing_queueitem"' in one["sql"]]
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {page}")
        plan = "\n".join(line for (line,) in cursor.fetchall())
    assert index in plan, plan
    assert "Sort" not in plan, plan
    assert [one for one in seen if "COUNT(" in one["sql"]] == []


# --- Another workspace's rows -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "tail", "body"),
    [
        ("get", (), {}),
        ("post", (), {"text": "Hello"}),
        ("get", (1,), {}),
        ("patch", (1,), {"version": 1, "text": "Mine"}),
        ("post", (1, "reject"), {"version": 1, "reason": "no"}),
    ],
)
@pytest.mark.parametrize("superuser", [False, True])
def test_another_workspace_is_missing_just_like_one_that_never_was(
    cafe, method, tail, body, superuser
):
    bar = QueueItemFactory(number=1, text=SOMEBODY_ELSES).workspace
    never = WorkspaceFactory.build(id=uuid4())
    person = member(cafe, is_superuser=superuser)
    answers = [
        send(signed_in(person), method, path(place, *tail), **body) for place in (bar, never)
    ]
    assert answers[0] == answers[1]
    assert answers[0][:2] == (404, "workspace_not_found")
    kept = QueueItem.objects.get()
    assert (kept.text, kept.state) == (SOMEBODY_ELSES, "pending")


def test_a_list_holds_the_own_workspaces_items_only(owner, cafe, item):
    QueueItemFactory(number=item.number + 1)
    assert numbers(owner, cafe) == [[item.number]]


def test_an_item_that_is_not_there_is_404(owner, cafe):
    for number in (1, 2**63, 2**64, 10**30):
        assert send(owner, "get", path(cafe, number))[:2] == (404, "item_not_found")


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

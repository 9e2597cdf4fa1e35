"""The queue over HTTP: who reads it, page by page, and what the answers hold."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from publishing.models import Approval, PublishAttempt, QueueItem
from publishing.services import propose_item
from publishing.states import Outcome, State
from tests.api import approve, make_key, member, send, signed_in, with_key
from tests.api import queue_path as path
from tests.factories import (
    MembershipFactory,
    QueueItemFactory,
    SourcePostFactory,
    WorkspaceFactory,
)
from workspaces.actors import Actor

pytestmark = pytest.mark.django_db(transaction=True)

SOMEBODY_ELSES = "Thank you from bar"


def post_of(workspace, text="Good morning!"):
    """A pending post of our own."""
    return propose_item(workspace, text=text, actor=Actor.worker(), now=timezone.now())


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
        "blocked_because": None,
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


@pytest.mark.parametrize(
    ("method", "tail", "body"),
    [
        ("get", (), {}),
        ("patch", (), {"version": 1, "text": "Mine now"}),
        ("post", ("reject",), {"version": 1, "reason": "not here"}),
    ],
)
def test_another_workspaces_item_is_missing_at_the_address_of_ones_own(cafe, method, tail, body):
    """Also to somebody who operates both: a number is a workspace's own."""
    theirs = QueueItemFactory(number=7, text=SOMEBODY_ELSES)
    person = member(cafe)
    MembershipFactory(workspace=theirs.workspace, user=person)
    answer = send(signed_in(person), method, path(cafe, theirs.number, *tail), **body)
    assert answer[:2] == (404, "item_not_found")
    theirs.refresh_from_db()
    assert (theirs.text, theirs.state) == (SOMEBODY_ELSES, "pending")

"""The audit log over HTTP: the own chain only, newest first, row by row as it is chained."""

from uuid import uuid4

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests.api import make_key, member, program, signed_in, with_key
from tests.factories import WorkspaceFactory
from workspaces import audit
from workspaces.actors import Actor
from workspaces.models import AuditEvent

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def cafe():
    """A workspace."""
    return WorkspaceFactory(slug="cafe")


def happen(workspace, type_="item.propose", subject="item:1", times=1):
    """Write rows."""
    for _ in range(times):
        with transaction.atomic():
            audit.record(
                type_,
                subject=subject,
                actor=Actor.worker(),
                now=timezone.now(),
                workspace=workspace,
                data={"version": 1},
            )


def path(workspace):
    """The log's address."""
    return f"/publishing/audit/{workspace.pk}"


def seqs(client, workspace, **query):
    """The rows on every page, page by page."""
    pages: list[list[int]] = []
    more: dict[str, str] = {}
    while len(pages) < 20:
        body = client.get(path(workspace), {**query, **more}).json()
        pages.append([event["seq"] for event in body["events"]])
        if body["next_cursor"] is None:
            return pages
        more = {"cursor": body["next_cursor"]}
    raise AssertionError(pages)


@pytest.mark.parametrize("role", ["owner", "admin", "member"])
def test_every_member_reads_pages_newest_first(cafe, role):
    happen(cafe, times=5)
    assert seqs(signed_in(member(cafe, role)), cafe, limit=2) == [[5, 4], [3, 2], [1]]


def test_a_row_is_told_whole_so_that_its_hash_can_be_checked(cafe):
    happen(cafe)
    told = signed_in(member(cafe)).get(path(cafe)).json()["events"][0]
    event = AuditEvent.objects.get()
    assert told["at"] == event.at.isoformat().replace("+00:00", "Z")
    del told["at"]
    assert told == {
        "chain": str(cafe.pk),
        "seq": 1,
        "type": "item.propose",
        "subject": "item:1",
        "actor": "worker",
        "door": "worker",
        "data": {"version": 1},
        "hash": event.hash,
        "prev_hash": audit.GENESIS,
    }


def test_type_and_subject_narrow_the_log(cafe):
    happen(cafe)
    happen(cafe, "item.approve")
    happen(cafe, "item.approve", "item:2")
    client = signed_in(member(cafe))
    assert seqs(client, cafe, type="item.approve") == [[3, 2]]
    assert seqs(client, cafe, subject="item:1") == [[2, 1]]
    assert seqs(client, cafe, subject="item:1", type="item.approve") == [[2]]
    assert seqs(client, cafe, type="nothing") == [[]]


def test_other_chains_are_not_in_it(cafe):
    happen(cafe)
    happen(WorkspaceFactory())
    happen(None)
    assert seqs(signed_in(member(cafe)), cafe) == [[1]]


def test_another_workspaces_log_is_missing_just_like_one_that_never_was(cafe):
    bar = WorkspaceFactory()
    happen(bar)
    client = signed_in(member(cafe, is_superuser=True))
    answers = [client.get(path(place)) for place in (bar, WorkspaceFactory.build(id=uuid4()))]
    assert [answer.status_code for answer in answers] == [404, 404]
    assert answers[0].content == answers[1].content


def test_a_key_needs_its_scope(cafe):
    person = member(cafe, "member")
    statuses = [
        program(cafe, person, scope).get(path(cafe)).status_code
        for scope in ("audit:read", "queue:read")
    ]
    assert statuses == [200, 403]


def test_nobody_reads_it(client, cafe):
    assert client.get(path(cafe)).status_code == 401


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_nobody_writes_it(cafe, method):
    answer = getattr(signed_in(member(cafe)), method)(path(cafe), {}, format="json")
    assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")


@pytest.mark.parametrize(
    "query",
    [
        {"cursor": "x"},
        {"cursor": str(2**63)},
        {"limit": "101"},
        {"type": "x" * 61},
        {"subject": "item:\x00"},
        {"actor": "user:1"},
    ],
)
def test_a_question_that_cannot_be_meant_is_400_and_names_the_field(cafe, query):
    answer = signed_in(member(cafe)).get(path(cafe), query)
    assert (answer.status_code, list(answer.json()["fields"])) == (400, list(query))


def test_a_page_of_a_hundred_takes_no_more_statements_than_one_of_one(cafe):
    client = with_key(make_key(cafe, member(cafe), "audit:read")[1])
    client.get(path(cafe))
    counted = []
    for _ in range(2):
        with CaptureQueriesContext(connection) as seen:
            assert client.get(path(cafe), {"limit": 100}).status_code == 200
        counted.append(len(seen))
        happen(cafe, times=110)
    assert counted[0] == counted[1] <= 3

"""The table of docs/X-API.md, row by row over real HTTP: what X said, and everything that it means here."""

from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from publishing.models import Approval, PublishAttempt, QueueItem
from publishing.services import claim_item, compare_counters
from publishing.services.settle import MAX_TRIES
from publishing.states import State
from tests.worlds import WORKER, attempts, problem
from workspaces.models import AuditEvent, Counter, SystemHold
from x_integration.models import Spend, XAccount
from x_integration.prices import POST_READ

PREFIX = "https://api.twitter.com/2/problems/"
SUMMON = "You can only reply to or quote posts where you are mentioned or are the author."
DUPLICATE = "You are not allowed to create a Tweet with duplicate content."
PRICE = Decimal("0.01")


@dataclass(frozen=True)
class Row:
    """What X does, and the code that it is known by; the rest follows from the class."""

    fault: dict[str, Any]
    code: str
    tries: int = 0
    holds: str = ""  # "system" or "account"
    posted: bool = False
    more: dict[str, Any] = field(default_factory=dict)


EXECUTED = {"2xx with an id": Row({"kind": "delay", "ms": 1}, "", posted=True)}
RELEASED = {
    "429": Row(problem(429), "rate_limited"),
    "429 with headers": Row({"kind": "rate_limited", "reset_in": 600}, "rate_limited"),
    "402": Row({"kind": "no_credits"}, "no_credits", holds="system"),
    "usage cap": Row({"kind": "usage_capped"}, "usage_capped", holds="system"),
    "suspended": Row({"kind": "suspended"}, "x_account", holds="account"),
    "client-forbidden": Row(
        problem(403, kind=f"{PREFIX}client-forbidden"), "client_forbidden", holds="account"
    ),
    "missing scope": Row(
        problem(403, "The token lacks a required scope."), "x_account", holds="account"
    ),
}
REFUSED = {
    "400": Row(problem(400, kind=f"{PREFIX}invalid-request"), "invalid_request"),
    "403 by the summon rule": Row(problem(403, SUMMON), "summon_rule"),
    "403 target gone": Row(
        problem(403, kind=f"{PREFIX}not-authorized-for-resource"), "target_gone"
    ),
    "404 with a problem": Row(problem(404, kind=f"{PREFIX}resource-not-found"), "target_gone"),
    "any other 403": Row(problem(403, "Because."), "forbidden"),
    "any other 4xx": Row(problem(422), "x_422"),
}
UNKNOWN = {
    "500": Row({"kind": "server_error", "status": 500}, "x_500"),
    "502 after the work": Row(
        {"kind": "server_error", "status": 502, "after": True}, "x_502", posted=True
    ),
    "HTML of the edge": Row({"kind": "html"}, "x_503"),
    "reset": Row({"kind": "drop"}, "x_answer_lost"),
    "answer lost": Row({"kind": "lost_answer"}, "x_answer_lost", posted=True),
    "half of the JSON": Row({"kind": "truncate"}, "x_201", posted=True),
    "2xx without an id": Row({"kind": "edit_answer", "without": ["data"]}, "x_201", posted=True),
    "duplicate content": Row(problem(403, DUPLICATE), "duplicate_content"),
    "404 without a body": Row({"kind": "status", "status": 404}, "x_404"),
    "408": Row(problem(408), "x_408"),
    "3xx": Row({"kind": "status", "status": 307, "headers": {"Location": "/2/tweets"}}, "x_307"),
}


@pytest.fixture
def item(x):
    """An approved reply."""
    return x.approved(x.connected())


def settled(x, item: QueueItem, row: Row) -> QueueItem:
    """After X has done so."""
    x.fault(**row.fault)
    item = x.publish(item)
    assert item.last_error == row.code
    assert len(x.machine_posts()) == row.posted
    assert compare_counters() == []
    return item


def counted() -> dict[str, Decimal]:
    """Every counter that this publication touched, with its labels."""
    rows = Counter.objects.exclude(name__in=["replies_proposed_total", "approvals_total"])
    rows = rows.exclude(labels=f"kind={POST_READ}")
    return {f"{row.name} {row.labels}".strip(): row.value for row in rows}


def spent() -> list[tuple[str, int, Decimal]]:
    """What the ledger says, but for what was read before."""
    return list(Spend.objects.exclude(kind=POST_READ).values_list("kind", "calls", "usd"))


def approval() -> str:
    (only,) = Approval.objects.all()
    return "void" if only.voided_at else "used" if only.used_at else "live"


def room_for_another(x, item):
    """What keeps a second reply to the same person, in the same thread, from going: the reservation."""
    QueueItem.objects.filter(pk=item.pk).update(state=State.REJECTED, x_post_id="")
    XAccount.objects.update(held_at=None, held_reason="")
    SystemHold.objects.all().update(lifted_at=timezone.now())
    target = PublishAttempt.objects.get(item=item)
    second = x.answering(item.workspace, by="lia", text="And another thing")
    post = second.source_post
    post.conversation_id = target.thread
    post.save(update_fields=["conversation_id"])
    claim_item(second.pk, actor=WORKER, now=timezone.now())
    second.refresh_from_db()
    return second.blocked_reason


@pytest.mark.parametrize("name", EXECUTED)
def test_executed_is_a_confirm(x, item, name):
    item = settled(x, item, EXECUTED[name])
    assert (item.state, attempts(item), approval()) == (State.PUBLISHED, ["succeeded"], "used")
    assert item.x_post_id == x.machine_posts()[0]["id"]
    assert spent() == [("summoned_reply", 1, PRICE)]
    assert counted() == {
        "replies_published_total": 1,
        "x_spend_usd_total kind=summoned_reply": PRICE,
    }


@pytest.mark.parametrize("name", RELEASED)
def test_not_executed_is_a_release_that_gives_everything_back(x, item, name):
    row = RELEASED[name]
    item = settled(x, item, row)
    assert (item.state, attempts(item)) == (State.APPROVED, ["not_executed"])
    assert (item.tries, approval(), spent()) == (row.tries, "live", [])
    assert item.not_before > timezone.now()
    assert counted() == {f"publish_errors_total code={row.code}": 1}
    assert SystemHold.objects.filter(lifted_at=None).exists() is (row.holds == "system")
    assert XAccount.objects.exclude(held_at=None).exists() is (row.holds == "account")


@pytest.mark.parametrize("name", REFUSED)
def test_refused_is_a_fail_that_gives_everything_back(x, item, name):
    row = REFUSED[name]
    item = settled(x, item, row)
    assert (item.state, attempts(item)) == (State.FAILED, ["refused"])
    assert (item.tries, approval(), spent()) == (0, "void", [])
    assert row.fault["body"]["detail"] in item.last_words
    assert counted() == {f"publish_errors_total code={row.code}": 1}


@pytest.mark.parametrize("name", UNKNOWN)
def test_unknown_is_a_doubt_that_keeps_everything(x, item, name):
    row = UNKNOWN[name]
    item = settled(x, item, row)
    assert (item.state, attempts(item)) == (State.UNCONFIRMED, ["unknown"])
    assert (item.tries, approval()) == (0, "used")
    assert spent() == [("summoned_reply", 1, PRICE)]
    attempt = PublishAttempt.objects.get()
    assert attempt.next_look_at == attempt.started_at + timedelta(seconds=15)
    assert counted() == {
        f"publish_errors_total code={row.code}": 1,
        "x_spend_usd_total kind=summoned_reply": PRICE,
    }


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (EXECUTED["2xx with an id"], "thread_cooldown"),
        (UNKNOWN["reset"], "thread_cooldown"),
        (REFUSED["400"], ""),
        (RELEASED["429"], ""),
    ],
    ids=["confirm", "doubt", "fail", "release"],
)
def test_confirm_and_doubt_keep_the_cooldown_and_fail_and_release_give_it_back(
    x, item, row, reason
):
    item = settled(x, item, row)
    assert room_for_another(x, item) == reason


def test_a_time_out_is_a_doubt(x, item, monkeypatch):
    monkeypatch.setattr("x_integration.client.READ_SECONDS", 0.3)
    x.fault("slow_answer", ms=1500)
    item = x.publish(item)
    assert (item.state, item.last_error) == (State.UNCONFIRMED, "x_answer_lost")
    assert x.sweep(after=timedelta(seconds=20)).confirmed == 1
    assert spent() == [("summoned_reply", 1, PRICE)]


def test_what_was_not_sent_counts_tries_and_the_last_one_fails(x, item, settings):
    settings.X_API_BASE_URL = "http://127.0.0.1:1"
    waits = []
    for number in range(1, MAX_TRIES + 1):
        QueueItem.objects.update(not_before=None)
        before = timezone.now()
        item = x.publish(item)
        if number < MAX_TRIES:
            assert (item.state, item.tries, approval()) == (State.APPROVED, number, "live")
            waits.append(round((item.not_before - before).total_seconds()))
    assert waits == [30, 60, 120, 240]
    assert (item.state, approval(), spent()) == (State.FAILED, "void", [])
    assert attempts(item) == ["not_executed"] * MAX_TRIES
    assert counted() == {"publish_errors_total code=x_unreachable": MAX_TRIES}


def test_a_rate_limit_is_waited_out_however_often_and_only_the_approval_ends_it(x, item):
    for _ in range(MAX_TRIES + 2):
        QueueItem.objects.update(not_before=None)
        x.fault(**problem(429))
        item = x.publish(item)
    assert (item.state, item.tries) == (State.APPROVED, 0)
    assert x.sweep(after=timedelta(hours=25)).expired == 1


def test_a_killed_worker_is_a_doubt_after_two_minutes(x, item):
    claim_item(item.pk, actor=WORKER, now=timezone.now())
    assert x.sweep(after=timedelta(seconds=119)).doubted == 0
    assert x.sweep(after=timedelta(seconds=121)).doubted == 1
    item.refresh_from_db()
    assert (item.state, item.last_error) == (State.UNCONFIRMED, "never_settled")
    assert (approval(), spent()) == ("used", [("summoned_reply", 1, PRICE)])


@pytest.mark.parametrize("name", [*REFUSED, *UNKNOWN, *RELEASED])
def test_each_outcome_has_one_audit_row_with_its_code(x, item, name):
    row = {**REFUSED, **UNKNOWN, **RELEASED}[name]
    settled(x, item, row)
    type_ = "fail" if name in REFUSED else "doubt" if name in UNKNOWN else "release"
    event = AuditEvent.objects.get(type=f"item.{type_}")
    assert (event.data["attempt"], event.data["code"]) == (1, row.code)

"""Counters: what the services counted, and what the audit log says independently."""

from decimal import Decimal
from functools import partial
from threading import Event, Thread

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from tests.concurrency import run_together
from tests.factories import WorkspaceFactory
from workspaces import audit, counters
from workspaces.actors import Actor
from workspaces.counters import Count, labels_of, labels_text
from workspaces.models import AuditEvent, Counter

ZERO, ONE = Decimal(0), Decimal(1)


@pytest.fixture
def workspace(transactional_db):
    """A workspace with real commits."""
    return WorkspaceFactory()


def record(workspace, type_: str, *counts: Count, door: str = "worker", **data: object) -> None:
    """One event and what it counts."""
    with transaction.atomic():
        audit.record(
            type_,
            workspace=workspace,
            subject="item:1",
            actor=Actor("worker", door),
            now=timezone.now(),
            data=data,
            counts=counts,
        )


def propose(workspace) -> None:
    """As the service tells of a proposed reply."""
    record(workspace, "item.propose", Count("replies_proposed_total"), kind="reply")


def differences() -> list[tuple[str, str, Decimal, Decimal]]:
    """Name, labels, counter and audit of each difference."""
    return [(d.name, d.labels, d.counter, d.audit) for d in counters.compare()]


def forget_last_event() -> None:
    """Take the newest audit row away, behind the triggers' back."""
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        cursor.execute(
            "DELETE FROM workspaces_auditevent WHERE id = (SELECT max(id) FROM workspaces_auditevent)"
        )
        cursor.execute("SET session_replication_role = origin")


# --- Counting -----------------------------------------------------------------------------------


def test_the_first_count_makes_the_counter_and_the_next_adds_to_it(workspace):
    propose(workspace)
    propose(workspace)
    row = Counter.objects.get()
    assert (row.chain, row.name, row.labels, row.value) == (
        str(workspace.pk),
        "replies_proposed_total",
        "",
        2,
    )


def test_each_set_of_labels_is_a_counter_of_its_own(workspace):
    for reason in ("paused", "kill_switch", "paused"):
        record(workspace, "item.block", Count("publish_blocked_total", {"reason": reason}))
    rows = Counter.objects.order_by("labels").values_list("labels", "value")
    assert list(rows) == [("reason=kill_switch", 1), ("reason=paused", 2)]


def test_the_order_of_the_labels_makes_no_difference():
    assert labels_text({"b": "2", "a": "1"}) == labels_text({"a": "1", "b": "2"}) == "a=1,b=2"


@pytest.mark.parametrize("labels", [{}, {"code": "x"}, {"a": "", "b": "c=d"}])
def test_labels_are_read_back_as_they_were(labels):
    assert labels_of(labels_text(labels)) == labels


def test_the_same_counter_twice_in_one_event_is_added_up(workspace):
    record(workspace, "x", Count("spend", amount=Decimal("0.015")), Count("spend"))
    assert Counter.objects.get().value == Decimal("1.015")


def test_an_event_that_counts_nothing_makes_no_counter(workspace):
    record(workspace, "account.connect")
    assert not Counter.objects.exists()


def test_a_counter_never_falls_below_zero(workspace):
    with pytest.raises(IntegrityError, match="counter_never_negative"):
        record(workspace, "x", Count("spend", amount=Decimal(-1)))
    assert not AuditEvent.objects.exists()


def test_many_who_count_at_once_lose_nothing(workspace):
    def five() -> None:
        for _ in range(5):
            with transaction.atomic():
                counters.add("system", [Count("spend", amount=Decimal("0.1"))])

    assert run_together(*[five] * 8) == ["ok"] * 8
    assert Counter.objects.get().value == 4


def test_transactions_that_count_in_opposite_order_do_not_wait_for_each_other_for_ever(workspace):
    names = [f"counter_{n:02}" for n in range(20)]

    def count(order: list[str]) -> None:
        for _ in range(25):
            with transaction.atomic():
                counters.add("system", [Count(name) for name in order])

    assert run_together(partial(count, names), partial(count, names[::-1])) == ["ok", "ok"]
    assert set(Counter.objects.values_list("value", flat=True)) == {Decimal(50)}


# --- Comparing ----------------------------------------------------------------------------------


def test_what_the_services_count_is_what_the_audit_says(workspace):
    propose(workspace)
    record(
        workspace,
        "item.approve",
        Count("approvals_total", {"decision": "approve", "door": "telegram"}),
        door="telegram",
    )
    record(
        workspace,
        "item.block",
        Count("publish_blocked_total", {"reason": "paused"}),
        reason="paused",
    )
    record(workspace, "item.fail", Count("publish_errors_total", {"code": "summon"}), code="summon")
    record(None, "item.doubt", Count("publish_errors_total", {"code": "lost"}), code="lost")
    assert differences() == []


def test_a_counter_that_was_changed_is_found(workspace):
    propose(workspace)
    Counter.objects.update(value=3)
    assert differences() == [("replies_proposed_total", "", 3, ONE)]


def test_a_counter_that_was_removed_is_found(workspace):
    propose(workspace)
    Counter.objects.all().delete()
    assert differences() == [("replies_proposed_total", "", ZERO, ONE)]


def test_an_audit_row_that_was_removed_is_found(workspace):
    propose(workspace)
    propose(workspace)
    forget_last_event()
    assert differences() == [("replies_proposed_total", "", 2, ONE)]


def test_a_counter_that_no_audit_row_explains_is_found(workspace):
    record(workspace, "item.propose", Count("applause_total"), kind="post")
    assert differences() == [("applause_total", "", ONE, ZERO)]


def test_a_count_under_the_wrong_label_is_two_differences(workspace):
    record(workspace, "item.fail", Count("publish_errors_total", {"code": "b"}), code="a")
    assert differences() == [
        ("publish_errors_total", "code=a", ZERO, ONE),
        ("publish_errors_total", "code=b", ONE, ZERO),
    ]


def test_a_count_in_another_workspace_is_two_differences(workspace):
    propose(workspace)
    Counter.objects.update(chain=str(WorkspaceFactory().pk))
    assert sorted(differences()) == [
        ("replies_proposed_total", "", ZERO, ONE),
        ("replies_proposed_total", "", ONE, ZERO),
    ]


def test_events_whose_data_do_not_match_are_not_counted(workspace):
    record(workspace, "item.propose", kind="post")
    record(workspace, "item.confirm", Count("posts_published_total"), kind="post")
    assert differences() == []


def test_a_difference_is_told_in_words(workspace):
    record(
        workspace, "item.fail", Count("publish_errors_total", {"code": "b"}, Decimal(30)), code="b"
    )
    (difference,) = counters.compare()
    assert str(difference) == (
        f"publish_errors_total{{code=b}} of {workspace.pk}: counter 30, audit 1"
    )


def test_work_that_goes_on_meanwhile_is_no_difference(workspace):
    done = Event()

    def work() -> None:
        while not done.is_set():
            propose(workspace)
        connection.close()

    worker = Thread(target=work)
    worker.start()
    try:
        found = [difference for _ in range(60) for difference in differences()]
    finally:
        done.set()
        worker.join()
    assert found == []
    assert Counter.objects.get().value > 1

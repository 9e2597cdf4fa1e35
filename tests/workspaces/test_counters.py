"""Counters: what the services counted, and what the audit log says independently."""

import ast
import re
from decimal import Decimal
from functools import partial
from threading import Event, Thread

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from tests.concurrency import run_together
from tests.factories import WorkspaceFactory
from tests.worlds import ROOT
from workspaces import audit, counters
from workspaces.actors import Actor
from workspaces.counters import Count, Tally, labels_of, labels_text
from workspaces.models import AuditEvent, Counter

ZERO, ONE = Decimal(0), Decimal(1)
APPS = ("revfirst", "workspaces", "x_integration", "publishing", "control")


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


# --- Sums ---------------------------------------------------------------------------------------


@pytest.fixture
def spend(monkeypatch):
    """A counter of money, known for one test."""
    monkeypatch.setattr(counters, "_tallies", [])
    counters.register(
        Tally("x_spend_usd_total", "x.spend", labels={"kind": "kind"}, amount="usd"),
        Tally("reads_total", "x.spend", where={"kind": "read"}),
    )

    def record_spend(workspace, usd: object, kind: str = "post", counted: str = "") -> None:
        amount = Decimal(counted or str(usd))
        counts = [Count("x_spend_usd_total", {"kind": kind}, amount)]
        if kind == "read":
            counts.append(Count("reads_total"))
        record(workspace, "x.spend", *counts, usd=usd, kind=kind)

    return record_spend


def test_a_sum_is_read_off_the_audit_log_and_equals_the_counter(workspace, spend):
    for usd in ("0.015", "0.000001", "12", "0.2"):
        spend(workspace, usd)
    spend(workspace, "0.005", kind="read")
    spend(None, "1.5")
    assert differences() == []
    assert counters.from_audit()[str(workspace.pk), "x_spend_usd_total", "kind=post"] == Decimal(
        "12.215001"
    )


def test_a_sum_that_differs_is_found_with_both_numbers(workspace, spend):
    spend(workspace, "0.015", counted="0.010")
    assert differences() == [("x_spend_usd_total", "kind=post", Decimal("0.010"), Decimal("0.015"))]


def test_a_number_in_place_of_text_is_summed_too(workspace, spend):
    spend(workspace, 3)
    assert differences() == []


@pytest.mark.parametrize("usd", ["", "much", "1e9", "-1", "NaN", None, [], "9" * 40, "1.0000001"])
def test_what_is_no_amount_sums_to_nothing_and_is_a_difference(workspace, spend, usd):
    spend(workspace, usd, counted="2")
    assert differences() == [("x_spend_usd_total", "kind=post", 2, ZERO)]


def test_a_row_without_the_amount_sums_to_nothing(workspace, spend):
    record(workspace, "x.spend", kind="post")
    assert differences() == []


# --- Who counts ---------------------------------------------------------------------------------


def callers(name: str, *, module: str = "") -> list[str]:
    """The functions of our code that call `name`, or `module.name`, as the source has it."""
    found = []
    for path in sorted(path for app in APPS for path in (ROOT / app).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef):
                calls = [call for call in ast.walk(node) if isinstance(call, ast.Call)]
                names = [ast.unparse(call.func) for call in calls]
                where = f"{path.relative_to(ROOT)}:{node.name}"
                found += [where for called in names if called == f"{module}.{name}".lstrip(".")]
    return found


def test_counters_change_only_beside_an_audit_row():
    assert callers("add", module="counters") == ["workspaces/audit.py:record"]
    imported = [
        str(path.relative_to(ROOT))
        for app in APPS
        for path in (ROOT / app).rglob("*.py")
        if re.search(r"from workspaces\.counters import .*\badd\b", path.read_text())
    ]
    assert imported == []


def test_no_code_but_the_counters_own_writes_their_rows():
    writes = re.compile(
        r"Counter\.objects\S*\.(create|update|get_or_create|update_or_create|bulk_)"
    )
    writers = [
        str(path.relative_to(ROOT))
        for app in APPS
        for path in (ROOT / app).rglob("*.py")
        if writes.search(path.read_text()) or "INTO workspaces_counter" in path.read_text()
    ]
    assert writers == ["workspaces/counters.py"]


def test_a_published_reply_is_counted_in_one_place():
    assert len(callers("record_replies_published")) == 1


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

"""The audit log as it is written: chained, in the change's own transaction, and never changed again."""

from datetime import UTC, datetime, timedelta, timezone
from functools import partial

import pytest
from django.db import IntegrityError, connection, transaction

from tests.concurrency import run_together
from tests.factories import UserFactory, WorkspaceFactory
from workspaces import audit
from workspaces.actors import Actor
from workspaces.audit import GENESIS, Break
from workspaces.counters import Count
from workspaces.models import AuditChain, AuditEvent, Counter

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def record(workspace=None, **more) -> AuditEvent:
    """One event in a transaction of its own."""
    told = {"subject": "item:1", "actor": Actor.worker(), "now": NOON, **more}
    with transaction.atomic():
        return audit.record("item.confirm", workspace=workspace, **told)


def breaks() -> list[Break]:
    """Where the log does not hold."""
    return [found for found in audit.verify() if isinstance(found, Break)]


def test_an_event_keeps_what_happened_to_what_by_whom_through_which_door(db):
    ana = UserFactory()
    record(actor=Actor.operator(ana, door="telegram"), data={"version": 2})
    row = AuditEvent.objects.get()
    assert (row.type, row.subject, row.at, row.data) == (
        "item.confirm",
        "item:1",
        NOON,
        {"version": 2},
    )
    assert (row.actor, row.door) == (f"user:{ana.pk}", "telegram")


def test_each_row_carries_the_hash_of_the_one_before(db):
    workspace = WorkspaceFactory()
    first, second, third = (record(workspace) for _ in range(3))
    assert [row.seq for row in (first, second, third)] == [1, 2, 3]
    assert [row.prev_hash for row in (first, second, third)] == [GENESIS, first.hash, second.hash]


def test_the_head_is_the_last_row(db):
    workspace = WorkspaceFactory()
    record(workspace)
    last = record(workspace)
    head = AuditChain.objects.get()
    assert (head.name, head.head_seq, head.head_hash) == (str(workspace.pk), 2, last.hash)


def test_each_workspace_has_a_chain_of_its_own_and_so_has_the_system(db):
    one, two = WorkspaceFactory.create_batch(2)
    rows = [record(one), record(two), record(), record(one)]
    assert [(row.chain, row.seq) for row in rows] == [
        (str(one.pk), 1),
        (str(two.pk), 1),
        ("system", 1),
        (str(one.pk), 2),
    ]


def test_the_hash_covers_every_column_but_itself():
    event = AuditEvent(id=1, chain="a", seq=1, at=NOON, prev_hash=GENESIS)
    for column in [field.attname for field in AuditEvent._meta.concrete_fields]:
        before = audit.event_hash(event)
        value = getattr(event, column)
        other = value + timedelta(microseconds=1) if column == "at" else f"{value}?"
        setattr(event, column, other)
        assert (audit.event_hash(event) == before) == (column == "hash"), column
        setattr(event, column, value)


def test_two_columns_cannot_trade_characters():
    one = AuditEvent(id=1, chain="a", seq=1, at=NOON, type="item.a", subject="b")
    two = AuditEvent(id=1, chain="a", seq=1, at=NOON, type="item.", subject="ab")
    assert audit.event_hash(one) != audit.event_hash(two)


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"z": 1, "a": {"y": [1, None, True, "two"], "b": {}}},
        {"words": 'não, 日本, مرحبا, 👩🏽‍🚀, "quoted", \\ and \n'},
        {"big": 10**15, "negative": -1},
    ],
)
def test_what_was_written_is_read_back_to_the_same_hash(transactional_db, data):
    record(data=data)
    assert breaks() == []


def test_the_zone_of_the_clock_makes_no_difference(transactional_db):
    record(now=NOON.astimezone(timezone(timedelta(hours=-3))))
    assert AuditEvent.objects.get().at == NOON
    assert breaks() == []


def test_an_event_outside_a_transaction_is_refused(transactional_db):
    with pytest.raises(RuntimeError, match="belongs to the transaction"):
        audit.record("item.confirm", subject="item:1", actor=Actor.worker(), now=NOON)
    assert not AuditEvent.objects.exists()


def test_a_change_that_is_rolled_back_leaves_neither_event_nor_head_nor_count(transactional_db):
    with transaction.atomic():
        record(counts=[Count("replies_published_total")])
        transaction.set_rollback(True)
    for model in (AuditEvent, AuditChain, Counter):
        assert not model.objects.exists()


def test_after_a_roll_back_the_chain_goes_on_without_a_gap(transactional_db):
    record()
    with transaction.atomic():
        record()
        transaction.set_rollback(True)
    assert record().seq == 2
    assert breaks() == []


def test_many_who_write_to_one_chain_at_once_leave_it_contiguous(transactional_db):
    workspace = WorkspaceFactory()

    def ten() -> None:
        for _ in range(10):
            record(workspace, counts=[Count("replies_published_total")])

    assert run_together(*[ten] * 8) == ["ok"] * 8
    seqs = AuditEvent.objects.order_by("seq").values_list("seq", flat=True)
    assert list(seqs) == list(range(1, 81))
    assert breaks() == []
    assert Counter.objects.get().value == 80


def test_the_first_events_of_a_chain_may_come_at_once(transactional_db):
    workspaces = WorkspaceFactory.create_batch(2)
    acts = [partial(record, workspace) for workspace in workspaces * 4]
    assert run_together(*acts) == ["ok"] * 8
    assert sorted(AuditChain.objects.values_list("head_seq", flat=True)) == [4, 4]
    assert breaks() == []


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE workspaces_auditevent SET door = 'admin'",
        "UPDATE workspaces_auditevent SET id = id",
        "DELETE FROM workspaces_auditevent",
        "TRUNCATE workspaces_auditevent",
        """
        INSERT INTO workspaces_auditevent SELECT * FROM workspaces_auditevent
        ON CONFLICT (id) DO UPDATE SET door = 'admin'
        """,
    ],
)
def test_the_database_refuses_to_change_what_happened(db, statement):
    record()
    with (
        pytest.raises(IntegrityError, match="append-only"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(statement)
    assert AuditEvent.objects.get().door == "worker"


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE workspaces_auditchain SET head_seq = head_seq - 1",
        "UPDATE workspaces_auditchain SET head_hash = repeat('0', 64)",
        "UPDATE workspaces_auditchain SET name = 'other', head_seq = head_seq + 1",
        "DELETE FROM workspaces_auditchain",
        "TRUNCATE workspaces_auditchain",
    ],
)
def test_the_database_lets_a_head_only_move_on(db, statement):
    record()
    with (
        pytest.raises(IntegrityError, match="only moves on"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(statement)
    assert record().seq == 2


@pytest.mark.parametrize("change", ["save", "delete"])
def test_the_models_own_ways_are_refused_too(db, change):
    event = record()
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
        getattr(event, change)()


def test_a_number_is_given_once_per_chain(db):
    event = record()
    event.id += 1000
    with pytest.raises(IntegrityError, match="audit_seq_once_per_chain"), transaction.atomic():
        event.save(force_insert=True)


def test_a_chain_counts_from_one(db):
    with pytest.raises(IntegrityError, match="audit_seq_from_one"), transaction.atomic():
        AuditEvent.objects.create(id=1, chain="a", seq=0, at=NOON)

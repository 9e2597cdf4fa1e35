"""`audit_verify` finds whatever somebody with the database in hand did to the log, and names the row."""

import io
import re
import tracemalloc
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from django.core.management import CommandError, call_command
from django.core.management.base import OutputWrapper
from django.db import connection, transaction

from tests.environments import on_our_servers
from tests.factories import WorkspaceFactory
from tests.worlds import manage
from workspaces import audit, counters, progress
from workspaces.actors import Actor
from workspaces.audit import GENESIS
from workspaces.counters import Count
from workspaces.models import AuditChain, AuditEvent

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
OTHER_LAST_DIGIT = "left({0}, 63) || CASE right({0}, 1) WHEN '0' THEN '1' ELSE '0' END"

# Every column, changed as little as can be.
CHANGES = [
    ("id", "id + 1000"),
    ("chain", "overlay(chain placing 'x' from 1)"),
    ("chain", "left(chain, 35)"),
    ("seq", "seq + 100"),
    ("at", "at + interval '1 microsecond'"),
    ("at", "at + interval '1 day'"),
    ("at", "'infinity'"),
    ("data", "('{\"n\": ' || repeat('9', 5000) || '}')::jsonb"),
    ("data", "'{\"n\": 1e130000}'"),
    ("data", "(repeat('[', 3000) || repeat(']', 3000))::jsonb"),
    ("at", "'4000-01-01 BC'"),
    ("at", "(to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') || '+00 BC')::timestamptz"),
    ("at", "'-infinity'"),
    ("at", "'20000-01-01'"),
    ("type", "overlay(type placing 'I' from 1)"),
    ("type", "type || ' '"),
    ("subject", "'item:2'"),
    ("subject", "''"),
    ("actor", "'Worker'"),
    ("door", "'workes'"),
    ("data", "jsonb_set(data, '{n}', '8')"),
    ("data", "jsonb_set(data, '{n}', '7.0')"),
    ("data", "jsonb_set(data, '{n}', '\"7\"')"),
    ("data", "jsonb_set(data, '{word}', '\"yeS\"')"),
    ("data", "data - 'n'"),
    ("data", "data || '{\"more\": null}'"),
    ("data", "'null'"),
    ("data", "'[]'"),
    ("prev_hash", OTHER_LAST_DIGIT.format("prev_hash")),
    ("prev_hash", "upper(prev_hash) || ''"),
    ("hash", OTHER_LAST_DIGIT.format("hash")),
    ("hash", "''"),
]


def record(workspace=None, times: int = 1) -> None:
    """Events in transactions of their own."""
    for _ in range(times):
        with transaction.atomic():
            audit.record(
                "item.confirm",
                workspace=workspace,
                subject="item:1",
                actor=Actor.worker(),
                now=NOON,
                data={"n": 7, "word": "yes"},
            )


def tamper(statement: str, *values: str | int) -> None:
    """Do as somebody with the database in hand can: the triggers are asleep."""
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        try:
            cursor.execute(statement, values)
            assert cursor.rowcount > 0
        finally:
            cursor.execute("SET session_replication_role = origin")


def verify(*expected: str) -> str:
    """What the command says when it refuses; "" when it finds the log whole."""
    said = io.StringIO()
    with suppress(CommandError):
        call_command("audit_verify", expect=list(expected), stdout=io.StringIO(), stderr=said)
        return ""
    return said.getvalue() or "refused without a word"


def head_of(chain: str) -> str:
    """The head as an operator keeps it elsewhere."""
    head = AuditChain.objects.get(pk=chain)
    return f"{head.head_seq}:{head.head_hash}"


@pytest.fixture
def chain(transactional_db) -> str:
    """A workspace's chain of five, and a system chain of two beside it."""
    workspace = WorkspaceFactory()
    record(workspace, times=5)
    record(times=2)
    return str(workspace.pk)


def test_a_log_that_nobody_touched_is_whole(chain):
    assert verify() == ""


def test_an_empty_log_is_whole(transactional_db):
    assert verify() == ""


def test_every_column_is_among_the_changes():
    columns = {field.column for field in AuditEvent._meta.concrete_fields}
    assert {column for column, _ in CHANGES} == columns


@pytest.mark.parametrize(("column", "value"), CHANGES)
def test_a_changed_column_is_found_and_its_row_is_named(chain, column, value):
    change = f"UPDATE workspaces_auditevent SET {column} = {value}"  # noqa: S608 - from the table above
    tamper(f"{change} WHERE chain = %s AND seq = 3", chain)
    assert f"chain {chain}, row 3: " in verify()


def test_one_changed_row_is_one_break(chain):
    tamper("UPDATE workspaces_auditevent SET door = 'x' WHERE chain = %s AND seq = 3", chain)
    assert verify() == f"chain {chain}, row 3: was changed\n"


def test_a_row_that_was_changed_and_hashed_again_breaks_the_next(chain):
    row = AuditEvent.objects.get(chain=chain, seq=3)
    row.door = "admin"
    tamper(
        "UPDATE workspaces_auditevent SET door = 'admin', hash = %s WHERE id = %s",
        audit.event_hash(row),
        row.id,
    )
    assert verify() == f"chain {chain}, row 4: does not follow the row before\n"


def test_a_row_that_is_gone_is_named(chain):
    tamper("DELETE FROM workspaces_auditevent WHERE chain = %s AND seq = 3", chain)
    assert verify() == f"chain {chain}, row 3: is missing\n"


def test_the_first_row_gone_is_named(chain):
    tamper("DELETE FROM workspaces_auditevent WHERE chain = %s AND seq = 1", chain)
    assert verify() == f"chain {chain}, row 1: is missing\n"


def test_a_row_added_by_hand_is_found(chain):
    tamper(
        "INSERT INTO workspaces_auditevent SELECT id + 1000, chain, 6, at, type, subject, actor,"
        " door, data, hash, hash FROM workspaces_auditevent WHERE chain = %s AND seq = 5",
        chain,
    )
    assert f"chain {chain}, row 6: was changed" in verify()
    assert f"chain {chain}, row 5: is the head, but the rows end at 6" in verify()


def test_a_forged_row_beside_the_true_one_is_found(chain):
    """With its own right hash and the right one before: only its place is taken."""
    true = AuditEvent.objects.get(chain=chain, seq=3)
    forged = AuditEvent.objects.get(chain=chain, seq=3)
    forged.id, forged.type = -1, "item.approve"
    forged.hash = audit.event_hash(forged)
    table, name = "ALTER TABLE workspaces_auditevent", "audit_seq_once_per_chain"
    with connection.cursor() as cursor:
        cursor.execute(f"{table} DROP CONSTRAINT {name}")
        try:
            forged.save(force_insert=True)
            assert f"chain {chain}, row 3: stands there twice" in verify()
        finally:
            tamper("DELETE FROM workspaces_auditevent WHERE id = -1")
            cursor.execute(f"{table} ADD CONSTRAINT {name} UNIQUE (chain, seq)")
    assert AuditEvent.objects.get(chain=chain, seq=3).hash == true.hash


def test_two_rows_that_changed_places_are_both_named(chain):
    tamper(
        "UPDATE workspaces_auditevent SET seq = CASE seq WHEN 2 THEN 103 ELSE 102 END"
        " WHERE chain = %s AND seq IN (2, 3)",
        chain,
    )
    tamper("UPDATE workspaces_auditevent SET seq = seq - 100 WHERE seq > 100")
    assert f"chain {chain}, row 2: " in verify()
    assert f"chain {chain}, row 3: " in verify()


def test_a_tail_that_was_cut_off_is_found_by_the_head(chain):
    tamper("DELETE FROM workspaces_auditevent WHERE chain = %s AND seq > 3", chain)
    assert verify() == f"chain {chain}, row 5: is the head, but the rows end at 3\n"


def test_a_tail_cut_off_with_the_head_rewritten_is_found_only_by_a_head_kept_elsewhere(chain):
    kept = head_of(chain)
    tamper("DELETE FROM workspaces_auditevent WHERE chain = %s AND seq > 3", chain)
    tamper(
        "UPDATE workspaces_auditchain SET head_seq = 3, head_hash ="
        " (SELECT hash FROM workspaces_auditevent WHERE chain = name AND seq = 3) WHERE name = %s",
        chain,
    )
    assert verify() == ""
    assert verify(kept) == f"no chain holds {kept}: it was rewritten or cut short\n"


def test_a_chain_removed_with_all_its_rows_is_missed_where_its_workspace_stands(chain):
    kept = head_of(chain)
    tamper("DELETE FROM workspaces_auditevent WHERE chain = %s", chain)
    tamper("DELETE FROM workspaces_auditchain WHERE name = %s", chain)
    assert verify() == f"chain {chain}, row 1: is missing, and the head of its chain too\n"
    assert kept in verify(kept)


def test_a_whole_log_that_was_removed_is_missed(chain):
    counters.add("system", [Count("approvals_total")])
    for table in ("auditevent", "auditchain"):
        tamper(f"DELETE FROM workspaces_{table}")  # noqa: S608 - from the line above
    assert [line.split(",")[0] for line in verify().splitlines()] == [
        f"chain {chain}",
        "chain system",
    ]


def test_a_head_kept_elsewhere_is_still_found_when_the_chain_has_grown(chain):
    kept = [head_of(chain), head_of("system")]
    record(times=3)
    assert verify(*kept) == ""


NO_HEADS = [
    "",
    "5",
    "5:",
    ":",
    "-1:{0}",
    "five:{0}",
    "٥:{0}",
    "9" * 5000 + ":{0}",
    "a:b:5:{0}",
    "\udcff:5:{0}",
    "5:{0}\udcff",
    "5:" + "a" * 63,
]


@pytest.mark.parametrize("expected", NO_HEADS, ids=ascii)
def test_a_head_that_was_not_copied_whole_is_no_tampering(chain, expected):
    with pytest.raises(CommandError, match="That is no head"):
        call_command("audit_verify", expect=[expected.format("a" * 64)])


@pytest.mark.parametrize("expected", ["5:{0}", "0:{0}", "9" * 18 + ":{0}", "nobody:5:{0}"])
def test_a_head_that_nobody_has_is_said(chain, expected):
    assert "was rewritten or cut short" in verify(expected.format("a" * 64))


def test_a_chain_whose_head_is_gone_has_its_rows_named(chain):
    tamper("DELETE FROM workspaces_auditchain WHERE name = %s", chain)
    assert verify().splitlines() == [
        f"chain {chain}, row {seq}: belongs to no chain" for seq in range(1, 6)
    ]


@pytest.mark.parametrize("change", ["head_hash = repeat('0', 64)", "head_seq = 4"])
def test_a_head_that_was_changed_is_found(chain, change):
    tamper(f"UPDATE workspaces_auditchain SET {change} WHERE name = %s", chain)  # noqa: S608 - as above
    assert "is the head, but the rows end at 5" in verify()


def test_a_row_moved_to_another_chain_is_missed_there_and_found_here(chain):
    tamper("UPDATE workspaces_auditevent SET chain = 'system' WHERE chain = %s AND seq = 3", chain)
    assert f"chain {chain}, row 3: is missing" in verify()
    assert "chain system, row 3: was changed" in verify()


def test_the_process_exits_1_and_names_the_row(chain, tmp_path):
    tamper("UPDATE workspaces_auditevent SET door = 'x' WHERE chain = %s AND seq = 3", chain)
    done = manage("audit_verify", env=on_our_servers(tmp_path))
    assert done.returncode == 1
    assert f"chain {chain}, row 3: was changed" in done.stderr
    assert done.stderr.endswith("CommandError: The audit log is broken in 1 place(s).\n")


def test_the_process_exits_0_and_prints_the_heads_to_keep(chain, tmp_path):
    done = manage("audit_verify", "--expect", head_of(chain), env=on_our_servers(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")
    assert f"{chain}  head {head_of(chain)}\n" in done.stdout
    assert done.stdout.endswith("The audit log is whole.\n")


def test_it_says_which_chain_holds_the_head(chain, capsys):
    for kept in (head_of(chain), f"{chain}:{head_of(chain)}"):
        call_command("audit_verify", expect=[kept])
        assert f"{chain}  holds {kept}\n" in capsys.readouterr().out


def test_a_head_that_names_its_chain_is_looked_for_there_alone(chain):
    kept = f"system:{head_of(chain)}"
    assert verify(kept) == f"no chain holds {kept}: it was rewritten or cut short\n"


def test_progress_is_told_on_standard_error_where_it_is_asked_for(chain, tmp_path):
    done = manage("audit_verify", "--progress", env=on_our_servers(tmp_path))
    assert re.fullmatch(r"7 of 7 rows, 100 %, [\d,]+ rows/s\n", done.stderr)
    assert done.stdout.endswith("The audit log is whole.\n")


def test_a_terminal_sees_the_progress_in_one_line_that_is_written_over(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    screen, ticks = Terminal(), iter([0.0, 0.1, 1.0, 2.0])
    monkeypatch.setattr(progress, "monotonic", lambda: next(ticks))
    tell = progress.shown_on(OutputWrapper(screen), always=False)
    assert tell
    for read in (2000, 4000, 8000):
        tell(read, 8000)
    assert screen.getvalue() == (
        "\r4,000 of 8,000 rows, 50 %, 4,000 rows/s  \r8,000 of 8,000 rows, 100 %, 4,000 rows/s  \n"
    )


@pytest.mark.slow
def test_memory_does_not_grow_with_history(transactional_db):
    rows, last_hash = [], GENESIS
    for seq in range(1, 50_001):
        row = AuditEvent(
            id=seq,
            chain="system",
            seq=seq,
            at=NOON,
            type="item.confirm",
            subject=f"item:{seq}",
            actor="worker",
            door="worker",
            data={"n": seq},
            prev_hash=last_hash,
        )
        row.hash = last_hash = audit.event_hash(row)
        rows.append(row)
    AuditEvent.objects.bulk_create(rows, batch_size=5000)
    AuditChain.objects.create(name="system", head_seq=len(rows), head_hash=last_hash)
    del rows
    tracemalloc.start()
    try:
        assert verify() == ""
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 20_000_000

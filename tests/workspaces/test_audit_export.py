"""`audit_export`: a file that a stranger can check, whole or not there at all."""

import json
import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction

from tests.environments import on_our_servers
from tests.factories import WorkspaceFactory
from tests.workspaces.test_audit_verify import CHANGES, NOON, head_of, record, tamper
from tests.worlds import ROOT, manage
from workspaces import audit
from workspaces.actors import Actor
from workspaces.models import AuditChain, AuditEvent, Workspace

pytestmark = pytest.mark.django_db(transaction=True)
PAGE = ROOT / "docs" / "AUDIT-EXPORT.md"
TREE = {"é": [1, None, True], "b": {"z": "…", "a": '"\\\n\u2028'}, "a": "😀"}


@pytest.fixture
def team() -> Workspace:
    """A workspace with a chain of four, and a system chain of two beside it."""
    workspace = WorkspaceFactory(slug="cafe")
    record(workspace, times=3)
    with transaction.atomic():
        audit.record(
            "x", workspace=workspace, subject="s", actor=Actor.worker(), now=NOON, data=TREE
        )
    record(times=2)
    return workspace


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where to."""
    return tmp_path / "audit.jsonl"


def lines(file: Path) -> list[dict]:
    """What the file holds."""
    with file.open(encoding="utf-8") as written:
        return [json.loads(line) for line in written]


def a_stranger_says(file: Path) -> str:
    """What the program of the documentation says of the file, with nothing of ours at hand."""
    (program,) = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    done = subprocess.run(
        [sys.executable, "-I", "-c", program, str(file)],
        cwd=file.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode == 0) == (done.stderr == "")
    return done.stderr.strip()


# --- What is in it ------------------------------------------------------------------------------


def test_every_row_is_there_with_every_column_and_then_the_heads(team, file):
    call_command("audit_export", output=str(file))
    *rows, first, second = lines(file)
    assert [(row["chain"], row["seq"]) for row in rows] == sorted(
        AuditEvent.objects.values_list("chain", "seq")
    )
    columns = {field.column for field in AuditEvent._meta.concrete_fields}
    assert {frozenset(row) for row in rows} == {frozenset(columns)}
    kept = {head["chain"]: f"{head['head_seq']}:{head['head_hash']}" for head in (first, second)}
    assert kept == {name: head_of(name) for name in (str(team.pk), "system")}


def test_a_stranger_finds_the_file_whole(team, file):
    call_command("audit_export", output=str(file))
    assert a_stranger_says(file) == ""


@pytest.mark.parametrize(("column", "value"), [c for c in CHANGES if c[0] != "chain"])
def test_a_stranger_finds_a_column_that_was_changed_in_the_database(team, file, column, value):
    change = f"UPDATE workspaces_auditevent SET {column} = {value}"  # noqa: S608 - from the table
    tamper(f"{change} WHERE chain = %s AND seq = 3", str(team.pk))
    call_command("audit_export", output=str(file))
    assert a_stranger_says(file) != ""


@pytest.mark.parametrize("cut", [slice(1, None), slice(0, -3), slice(0, -1)])
def test_a_stranger_finds_a_line_that_is_missing_from_the_file(team, file, cut):
    call_command("audit_export", output=str(file))
    with file.open(encoding="utf-8") as whole:
        kept = list(whole)[cut]
    file.write_text("".join(kept), encoding="utf-8")
    assert a_stranger_says(file) != ""


SMUGGLED = {
    "a row that calls itself a head too": lambda row, head: [
        row,
        row[:-1] + ', "head_seq": 9, "head_hash": "x"}',
    ],
    "a second head": lambda row, head: [head, row],
    "a column twice": lambda row, head: [row.replace('"type"', '"type": "forged", "type"')],
    "a column more": lambda row, head: [row[:-1] + ', "note": "forged"}'],
    "a column of the data twice": lambda row, head: [row.replace('"n"', '"n": 8, "n"')],
}


@pytest.mark.parametrize("what", SMUGGLED)
def test_a_stranger_finds_what_was_smuggled_into_the_file(team, file, what):
    call_command("audit_export", output=str(file))
    before, row, *rest, end = file.read_text(encoding="utf-8").split("\n")
    forged = SMUGGLED[what](row, rest[-1])
    file.write_text("\n".join([before, *forged, *rest, end]), encoding="utf-8")
    assert a_stranger_says(file) != ""


def test_one_workspace_s_log_is_its_chain_and_its_head(team, file):
    call_command("audit_export", output=str(file), workspace="cafe")
    assert {line["chain"] for line in lines(file)} == {str(team.pk)}
    assert len(lines(file)) == 4 + 1
    assert a_stranger_says(file) == ""


def test_the_system_s_own_log_can_be_had_alone(team, file):
    call_command("audit_export", output=str(file), workspace="system")
    assert {line["chain"] for line in lines(file)} == {"system"}


def test_an_empty_log_is_an_empty_file(file):
    call_command("audit_export", output=str(file))
    assert file.read_text() == ""
    assert a_stranger_says(file) == ""


def test_the_process_writes_the_same_to_its_output_and_nothing_else(team, file, tmp_path):
    call_command("audit_export", output=str(file))
    done = manage("audit_export", env=on_our_servers(tmp_path, PYTHONIOENCODING="utf-8"))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == file.read_text(encoding="utf-8")


def test_progress_is_told_where_it_is_asked_for(team, file, tmp_path):
    words = ("audit_export", "--progress", "--output", str(file))
    done = manage(*words, env=on_our_servers(tmp_path))
    assert re.fullmatch(r"6 of 6 rows, 100 %, [\d,]+ rows/s\n", done.stderr)
    assert done.stdout == ""


def test_what_is_written_meanwhile_is_not_in_it(team, file):
    told = audit.export()
    first = next(told)
    assert first
    rest = list(told)
    assert len([line for line in [first, *rest] if '"head_hash"' in line]) == 2


# --- Whole or not there -------------------------------------------------------------------------


def left_behind(folder: Path) -> list[str]:
    """The files of the folder."""
    return sorted(path.name for path in folder.iterdir() if path.is_file())


def test_a_disk_that_is_full_is_one_sentence_and_leaves_the_old_file(team, file, tmp_path):
    file.write_text("the old one")
    record(team, times=40)

    def little_room() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (8000, 8000))

    done = subprocess.run(
        [sys.executable, "manage.py", "audit_export", "--output", str(file)],
        cwd=ROOT,
        env=on_our_servers(tmp_path, PYTHONDONTWRITEBYTECODE="1"),
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=little_room,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"CommandError: {file} could not be written: File too large.\n"
    assert file.read_text() == "the old one"
    assert left_behind(tmp_path) == [file.name]


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("nowhere/audit.jsonl", "could not be written: No such file or directory."),
        (".", "could not be written: it is no file."),
        ("/dev/null", "could not be written: it is no file."),
    ],
)
def test_a_path_that_cannot_be_written_is_one_sentence(team, tmp_path, path, sentence):
    done = manage("audit_export", "--output", str(tmp_path / path), env=on_our_servers(tmp_path))
    assert done.returncode == 1
    assert re.fullmatch(rf"CommandError: \S+ {re.escape(sentence)}\n", done.stderr)


def test_a_reader_that_goes_away_is_one_sentence(team, tmp_path):
    record(team, times=300)
    done = subprocess.run(
        ["sh", "-c", f"{sys.executable} manage.py audit_export | head -n 1"],
        cwd=ROOT,
        env=on_our_servers(tmp_path),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.count("\n") == 1
    assert done.stderr in (
        "",
        "CommandError: The standard output could not be written: Broken pipe.\n",
    )


def test_an_output_that_is_full_is_one_sentence(team, tmp_path):
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "manage.py", "audit_export"],
            cwd=ROOT,
            env=on_our_servers(tmp_path),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr == (
        "CommandError: The standard output could not be written: No space left on device.\n"
    )


def test_a_link_to_a_file_stays_a_link(team, file, tmp_path):
    link = tmp_path / "latest"
    link.symlink_to(file)
    call_command("audit_export", output=str(link))
    assert link.is_symlink()
    assert a_stranger_says(file) == ""


def test_a_workspace_that_nobody_knows_is_one_sentence(file):
    with pytest.raises(CommandError, match=r"There is no workspace bar\."):
        call_command("audit_export", output=str(file), workspace="bar")
    assert not file.exists()


# --- Much of it ---------------------------------------------------------------------------------


def peak_megabytes(file: Path, folder: Path, command: str) -> int:
    """The most memory that a process of the command had."""
    program = (
        "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True,"
        " stdout=subprocess.DEVNULL);"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024)"
    )
    words = [command, "--output", str(file)] if command == "audit_export" else [command]
    done = subprocess.run(
        [sys.executable, "-c", program, sys.executable, "manage.py", *words],
        cwd=ROOT,
        env=on_our_servers(folder),
        capture_output=True,
        text=True,
        check=True,
    )
    return int(done.stdout)


def lengthen(rows: int) -> None:
    """A system chain of so many rows, its hashes made up: only their number matters."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO workspaces_auditevent"
            " (id, chain, seq, at, type, subject, actor, door, data, prev_hash, hash)"
            " SELECT n, 'system', n, now(), 'item.confirm', 'item:' || n, 'worker', 'worker',"
            " jsonb_build_object('n', n), repeat('a', 64), repeat('b', 64)"
            " FROM generate_series((SELECT coalesce(max(seq), 0) + 1 FROM workspaces_auditevent), %s) n",
            [rows],
        )
    AuditChain.objects.get_or_create(name="system", defaults={"head_hash": "b" * 64})
    tamper("UPDATE workspaces_auditchain SET head_seq = %s", rows)


@pytest.mark.slow
def test_memory_does_not_grow_with_history(file, tmp_path):
    lengthen(4_000)
    little = peak_megabytes(file, tmp_path, "audit_export")
    lengthen(200_000)
    much = peak_megabytes(file, tmp_path, "audit_export")
    print(f"peak {little} MB for 4,000 rows, {much} MB for 200,000")
    assert much - little < 12
    with file.open() as written:
        assert sum(1 for _ in written) == 200_001

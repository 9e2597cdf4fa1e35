"""The demo as a person meets it: its refusals in one sentence, and the whole system, really run."""

import json
import os
import re
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from signal import SIGKILL, SIGTERM
from urllib.request import urlopen

import psutil
import pytest

from revfirst import demo_parts, embedded, processes
from revfirst.records import read_record
from revfirst.wait import wait_until

REPOSITORY = Path(__file__).resolve().parents[2]
KEPT = {"PATH", "HOME", "LANG", "REVFIRST_POSTGRES_BIN"}


def clean_environment(var_dir: Path, **more: str) -> dict[str, str]:
    """What a person's shell has: nothing of this test run's servers and settings."""
    kept = {name: value for name, value in os.environ.items() if name in KEPT}
    return {**kept, "REVFIRST_VAR_DIR": str(var_dir), "REVFIRST_ENV_FILE": "/nowhere", **more}


def demo(var_dir: Path, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run `manage.py demo` to its end."""
    return subprocess.run(
        [sys.executable, "manage.py", "demo", *words],
        cwd=REPOSITORY,
        env=clean_environment(var_dir, **more),
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


def is_one_sentence(told: subprocess.CompletedProcess[str]) -> bool:
    lines = told.stderr.strip().splitlines()
    return told.returncode != 0 and len(lines) == 1 and "Traceback" not in told.stderr


@contextmanager
def temporary_var() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="revfirst-demo-"))
    yield folder
    embedded.discard(folder)
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def var_dir() -> Iterator[Path]:
    """One checkout's data; every test that uses it leaves no demo behind."""
    with temporary_var() as folder:
        yield folder


# --- Refusals -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"X_API_BASE_URL": "https://api.x.com"}, "its own X simulator only"),
        ({"ENVIRONMENT": "staging"}, "ENVIRONMENT=development"),
    ],
)
def test_the_demo_refuses_to_meet_the_real_world(tmp_path, more, sentence):
    told = demo(tmp_path / "var", **more)
    assert is_one_sentence(told)
    assert sentence in told.stderr


def test_a_taken_port_that_was_asked_for_is_named(tmp_path):
    with socket.socket() as squatter:
        squatter.bind(("127.0.0.1", 0))
        squatter.listen()
        port = str(squatter.getsockname()[1])
        told = demo(tmp_path / "var", "--port", port)
    assert is_one_sentence(told)
    assert f"Port {port} is in use" in told.stderr


@pytest.mark.parametrize("port", ["none", "0", "65536", "-1"])
def test_a_port_that_is_none_is_named(tmp_path, port):
    told = demo(tmp_path / "var", f"--port={port}")
    assert is_one_sentence(told)
    assert f"{port} is no port" in told.stderr


def test_a_malformed_env_file_is_named(tmp_path):
    (tmp_path / "env").write_text("DEBUG=false\nthis is no setting\n")
    told = demo(tmp_path / "var", REVFIRST_ENV_FILE=str(tmp_path / "env"))
    assert is_one_sentence(told)
    assert "line 2" in told.stderr


def test_a_var_that_cannot_be_used_is_named(tmp_path):
    (tmp_path / "var").write_text("a file, not a folder")
    told = demo(tmp_path / "var")
    assert is_one_sentence(told)
    assert str(tmp_path / "var") in told.stderr


def test_an_unreachable_database_is_named(tmp_path):
    told = demo(
        tmp_path / "var", DATABASE_URL="postgres://who:cares@127.0.0.1:1/x", REDIS_URL="redis://"
    )
    assert is_one_sentence(told)
    assert "127.0.0.1:1 does not answer" in told.stderr


def test_every_part_talks_to_the_simulator_whatever_the_environment_said(tmp_path):
    said = {"X_TOKEN_URL": "https://api.x.com/2/oauth2/token", "X_WEB_BASE_URL": "https://x.com"}
    where = demo_parts.Addresses(web_port=8000, simulator_port=8001)
    env = demo_parts.environment(said, tmp_path, where, {"X_CLIENT_SECRET": "s"})
    x_urls = [env[name] for name in env if name.startswith("X_") and name.endswith("_URL")]
    assert len(x_urls) == 5
    assert all(url.startswith("http://127.0.0.1:8001") for url in x_urls)


# --- The whole system ---------------------------------------------------------------------------


class RunningDemo:
    """A demo in the background, known by its folder."""

    def __init__(self, var_dir: Path) -> None:
        self.var_dir = var_dir
        self.words = var_dir / "words.txt"
        with open(self.words, "wb") as words:
            self.process = subprocess.Popen(
                [sys.executable, "manage.py", "demo"],
                cwd=REPOSITORY,
                env=clean_environment(var_dir),
                stdout=words,
                stderr=subprocess.STDOUT,
            )

    def wait_ready(self) -> None:
        assert wait_until(self._is_over_or_ready, seconds=120), self.words.read_text()
        assert self.process.poll() is None, self.words.read_text()

    def _is_over_or_ready(self) -> bool:
        ready = "Ctrl-C stops everything" in self.words.read_text()
        return self.process.poll() is not None or ready

    @property
    def web(self) -> str:
        return embedded.read_state(self.var_dir)["web_base_url"]

    def family(self) -> list[psutil.Process]:
        """Supervisor, parts and everything they started."""
        main = psutil.Process(self.process.pid)
        return [main, *main.children(recursive=True)]

    def part(self, name: str) -> psutil.Process:
        record = "servers.json" if name in ("PostgreSQL", "Valkey") else "supervisor.json"
        return psutil.Process(read_record(self.var_dir / record)[name]["pid"])

    def answers(self, path: str) -> bool:
        return demo_parts.answers(self.web, path)

    def end(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(SIGTERM)
        return self.process.wait(timeout=60)


def wait_gone(family: list[psutil.Process], *, seconds: float) -> bool:
    def survivors() -> list[psutil.Process]:
        return [process for process in family if processes.identify(process.pid)]

    return wait_until(lambda: not survivors(), seconds=seconds)


@contextmanager
def a_demo(var_dir: Path) -> Iterator[RunningDemo]:
    found = RunningDemo(var_dir)
    try:
        found.wait_ready()
        yield found
    finally:
        found.end()


@pytest.fixture(scope="module")
def running() -> Iterator[RunningDemo]:
    """A demo that goes on through several tests, in a checkout of its own."""
    with temporary_var() as folder, a_demo(folder) as found:
        yield found


@pytest.mark.slow
def test_one_round_publishes_and_its_table_tells(var_dir):
    told = demo(var_dir, "--once")
    assert told.returncode == 0, told.stdout + told.stderr
    assert re.search(r"^#\d+ +published +\d+ +\d+ ", told.stdout, re.MULTILINE)


@pytest.mark.slow
def test_after_one_round_nothing_runs_and_no_address_is_left(var_dir):
    assert demo(var_dir, "--once").returncode == 0
    known = {**read_record(var_dir / "servers.json"), **read_record(var_dir / "supervisor.json")}
    pids = [entry["pid"] for entry in known.values() if isinstance(entry, dict)]
    assert len(pids) == 2
    assert not any(processes.identify(pid) for pid in pids)
    assert embedded.read_state(var_dir) == {}


@pytest.mark.slow
def test_the_banner_tells_address_and_login(running):
    words = running.words.read_text()
    password = json.loads((running.var_dir / "secrets.json").read_text())["DEMO_PASSWORD"]
    assert f"{running.web}/admin/" in words
    assert f"demo / {password}" in words


@pytest.mark.slow
def test_the_first_page_comes_within_three_seconds(running):
    with urlopen(f"{running.web}/admin/login/", timeout=3) as answer:  # noqa: S310 - our own
        assert answer.status == 200


@pytest.mark.slow
def test_a_second_demo_in_the_same_checkout_names_the_first(running):
    told = demo(running.var_dir)
    assert is_one_sentence(told)
    assert running.web in told.stderr


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="proportional memory is a figure of Linux")
def test_the_whole_system_idles_within_its_memory(running):
    used = sum(process.memory_full_info().pss for process in running.family())
    assert used <= 450_000_000


@pytest.mark.slow
def test_no_file_under_var_that_holds_a_secret_is_open_to_others(running):
    names = ("secrets.json", "servers.json", "embedded.json")
    modes = {stat.S_IMODE((running.var_dir / name).stat().st_mode) for name in names}
    assert modes == {0o600}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["web", "worker", "simulator", "Valkey", "PostgreSQL"])
def test_a_part_that_is_killed_comes_back(running, name):
    dead = running.part(name)
    dead.send_signal(SIGKILL)
    assert wait_until(lambda: _has_new_process(running, name, dead), seconds=20)
    assert wait_until(lambda: running.answers("/health/live"), seconds=20)


def _has_new_process(running: RunningDemo, name: str, dead: psutil.Process) -> bool:
    try:
        return running.part(name) != dead
    except (psutil.NoSuchProcess, KeyError):
        return False


@pytest.mark.slow
def test_sigterm_stops_all_of_it(var_dir):
    with a_demo(var_dir) as ended:
        family = ended.family()
        assert len(family) > 10
        assert ended.end() == 0
        assert wait_gone(family, seconds=1)


@pytest.mark.slow
def test_a_killed_demo_leaves_nothing_the_next_one_cannot_end(var_dir):
    with a_demo(var_dir) as killed:
        family = killed.family()
        killed.process.kill()
        killed.process.wait()
    told = demo(var_dir, "--once")
    assert told.returncode == 0, told.stdout + told.stderr
    assert wait_gone(family, seconds=1)

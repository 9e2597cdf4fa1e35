"""The demo as a person meets it: its refusals in one sentence, and the whole system, really run."""

import json
import re
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from signal import SIGKILL
from threading import Thread
from types import SimpleNamespace
from urllib.request import urlopen

import psutil
import pytest

from revfirst import demo_parts, embedded, processes
from revfirst.records import read_record
from revfirst.wait import wait_until
from tests.demos import (
    REPOSITORY,
    RunningDemo,
    a_demo,
    clean_environment,
    demo,
    temporary_var,
)


def is_one_sentence(told: subprocess.CompletedProcess[str]) -> bool:
    lines = told.stderr.strip().splitlines()
    return told.returncode != 0 and len(lines) == 1 and "Traceback" not in told.stderr


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
        tmp_path / "var",
        DATABASE_URL="postgres://who:cares@127.0.0.1:1/x",
        REDIS_URL="redis://127.0.0.1:1",
    )
    assert is_one_sentence(told)
    assert "127.0.0.1:1 does not answer" in told.stderr


def test_every_part_talks_to_the_simulator_whatever_the_environment_said(tmp_path):
    said = {"X_TOKEN_URL": "https://api.x.com/2/oauth2/token", "X_WEB_BASE_URL": "https://x.com"}
    env, where = environment_of_the_parts(tmp_path, said)
    x_urls = [env[name] for name in env if name.startswith("X_") and name.endswith("_URL")]
    assert len(x_urls) == 5
    assert all(url.startswith(where.simulator) for url in x_urls)


def environment_of_the_parts(tmp_path, said: dict[str, str]):
    """What the parts are told where a person's shell has said this, and where they listen."""
    web, simulator = processes.listen_on(0), processes.listen_on(0)
    assert web
    assert simulator
    held = demo_parts.Addresses(web, simulator)
    try:
        env = demo_parts.environment(said, tmp_path, held, {"X_CLIENT_SECRET": "s"})
        return env, SimpleNamespace(web=held.web, simulator=held.simulator)
    finally:
        held.close()


def test_what_a_shell_says_to_other_programs_is_not_handed_on(tmp_path):
    said = {"PGSERVICE": "elsewhere", "PGSSLMODE": "require", "GUNICORN_CMD_ARGS": "--bind :1"}
    env, _ = environment_of_the_parts(tmp_path, {**said, "LANG": "pt_BR.UTF-8"})
    assert said.keys().isdisjoint(env)
    assert env["LANG"] == "pt_BR.UTF-8"


def test_one_port_for_two_servers_is_refused_at_once(tmp_path, free_port):
    told = demo(tmp_path / "var", f"--port={free_port}", f"--sim-port={free_port}")
    assert is_one_sentence(told)
    assert f"Port {free_port} is in use: choose another one with --sim-port" in told.stderr


def test_a_port_of_a_demo_is_nobody_elses_from_the_first_moment():
    """Two demos that look for a port at once never share one."""
    held = processes.listen_on(0)
    assert held is not None
    with held:
        assert processes.listen_on(demo_parts.port_of(held)) is None
        assert not processes.is_free(demo_parts.port_of(held))


# --- The whole system ---------------------------------------------------------------------------


def wait_gone(family: list[psutil.Process], *, seconds: float) -> bool:
    def survivors() -> list[psutil.Process]:
        return [process for process in family if processes.identify(process.pid)]

    return wait_until(lambda: not survivors(), seconds=seconds)


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
def test_the_address_leads_to_the_login(running):
    with urlopen(f"{running.web}/admin/") as answer:  # noqa: S310 - our own
        assert (answer.status, answer.url) == (200, f"{running.web}/admin/login/?next=/admin/")


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


@pytest.mark.slow
@pytest.mark.parametrize("half", ["x_simulator/journal.jsonl", "data"])
def test_a_demo_that_lost_half_of_itself_says_what_to_do(half):
    with temporary_var() as folder:
        assert demo(folder, "--once").returncode == 0
        home = Path(read_record(folder / "servers.json")["home"])
        lost = home / "postgres" / "data" if half == "data" else folder / half
        lost.rename(folder / "lost")
        told = demo(folder, "--once")
        assert is_one_sentence(told)
        assert "no longer belong together: run 'make clean'" in told.stderr


@pytest.mark.parametrize(
    ("name", "note"),
    [
        ("demo.json", '{"web": "x", "simulator": 99999}'),
        ("supervisor.json", '{"worker": {}}'),
        ("supervisor.json", '{"worker": 1}'),
        ("supervisor.json", "[]"),
        ("servers.json", '{"home": "/nowhere"}'),
    ],
)
def test_a_note_of_another_shape_is_passed_over_or_named(name, note):
    with temporary_var() as folder:
        (folder / name).write_text(note)
        told = demo(folder, REVFIRST_POSTGRES_BIN="/nowhere")
    assert is_one_sentence(told)
    assert "PostgreSQL" in told.stderr if name == "demo.json" else "make clean" in told.stderr


def test_forgetting_works_with_damaged_notes_too(tmp_path):
    for name in ("servers.json", "supervisor.json", "demo.json"):
        (tmp_path / name).write_text("{")
    env = clean_environment(tmp_path)
    command = [sys.executable, "-m", "revfirst.demo", "--forget"]
    told = subprocess.run(command, cwd=REPOSITORY, env=env, capture_output=True, check=False)
    assert (told.returncode, told.stderr) == (0, b"")
    assert not (tmp_path / "servers.json").exists()


# --- A worker that is there and does nothing ----------------------------------------------------


@pytest.fixture
def worker(tmp_path, monkeypatch) -> Iterator[demo_parts.Worker]:
    """A process that would go on for ever, asked at once whether it is heard."""
    monkeypatch.setattr(demo_parts, "HEARD_AFTER", 0)
    monkeypatch.setattr(demo_parts, "ASK_EVERY", 0)
    command = [sys.executable, "-c", "import signal; signal.pause()"]
    made = demo_parts.Worker("worker", command, {}, tmp_path, tmp_path / "worker.log")
    yield made
    made.stop(lambda: True)


def test_a_worker_that_nobody_hears_is_not_alive_and_begins_anew(worker):
    worker.start()
    frozen = worker.identity
    worker.is_heard = lambda: False
    assert not worker.is_alive()
    worker.is_heard = lambda: True
    worker.start()
    assert worker.is_alive()
    assert not frozen.is_alive()


def test_a_young_worker_is_not_asked_yet(worker, monkeypatch):
    monkeypatch.setattr(demo_parts, "HEARD_AFTER", 60)
    worker.is_heard = lambda: False
    worker.start()
    assert worker.is_alive()


@pytest.mark.parametrize(
    ("body", "heard"),
    [
        ('{"checks": {"worker": {"ok": true}, "database": {"ok": true}}}', True),
        ('{"checks": {"worker": {"ok": false}, "database": {"ok": true}}}', False),
        ('{"checks": {"worker": {"ok": false}, "database": {"ok": false}}}', True),
        (
            '{"checks": {"worker": {"ok": false}, "database": {"ok": true}, "migrations": {"ok": false}}}',
            True,
        ),
        ("<h1>Server Error</h1>", True),
        ("[]", True),
    ],
)
def test_who_does_not_answer_blames_nobody(body, heard):
    listening = processes.listen_on(0)
    assert listening

    def answer() -> None:
        connection, _ = listening.accept()
        with connection:
            connection.recv(1000)
            connection.sendall(f"HTTP/1.1 503 Failing\r\n\r\n{body}".encode())

    with listening:
        Thread(target=answer, daemon=True).start()
        url = f"http://127.0.0.1:{demo_parts.port_of(listening)}"
        assert demo_parts.hears_worker(url) is heard
    assert demo_parts.hears_worker(url)

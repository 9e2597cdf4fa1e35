"""The servers that we start ourselves: closed to others, found again, recovered, ended."""

import json
import os
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from signal import SIGKILL

import psutil
import psycopg
import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from revfirst import embedded, processes, programs
from revfirst.embedded import ServerError, Servers
from revfirst.local_postgres import data_folder
from revfirst.processes import Account
from revfirst.wait import wait_until

REPOSITORY = Path(__file__).resolve().parents[2]
PLAIN = {name: os.environ[name] for name in ("PATH", "REVFIRST_POSTGRES_BIN") if name in os.environ}
as_root = pytest.mark.skipif(os.getuid() != 0, reason="only root starts servers as somebody else")


@contextmanager
def temporary_var(mode: int) -> Iterator[Path]:
    """A folder as var/ is; what servers keep elsewhere for it goes too."""
    folder = Path(tempfile.mkdtemp(prefix="revfirst-var-"))
    folder.chmod(mode)
    yield folder
    embedded.discard(folder)
    shutil.rmtree(folder)


@pytest.fixture
def var_dir() -> Iterator[Path]:
    with temporary_var(0o711) as folder:
        yield folder


@pytest.fixture(scope="module")
def used_var_dir() -> Iterator[Path]:
    """One that the tests of recovery share: each leaves a cluster that starts."""
    with temporary_var(0o711) as folder:
        yield folder


@pytest.fixture(scope="module")
def servers() -> Iterator[Servers]:
    with temporary_var(0o711) as folder, start(folder) as started:
        yield started


def start(var_dir: Path, *, durable: bool = False, env: Mapping[str, str] = PLAIN) -> Servers:
    return embedded.start(var_dir, durable=durable, env=env)


def ask(servers: Servers, query: str) -> object:
    with psycopg.connect(servers.database_url) as connection:
        row = connection.execute(query).fetchone()
    return row[0] if row else None


def processes_of(servers: Servers) -> list[psutil.Process]:
    return [psutil.Process(server.identity.pid) for server in servers.own if server.identity]


def folder_of(var_dir: Path) -> Path:
    home = json.loads((var_dir / embedded.RECORD_FILE).read_text())["home"]
    return Path(home) / "postgres"


# --- Closed to others ---------------------------------------------------------------------------


def test_postgres_answers_with_the_password(servers):
    assert ask(servers, "SELECT current_database()") == "revfirst"


def test_postgres_refuses_without_the_password(servers):
    password = servers.database_url.split("@")[0].rsplit(":", 1)[1]
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(servers.database_url.replace(password, "guess"))


def test_valkey_answers_with_the_password(servers):
    with redis.Redis.from_url(servers.redis_url) as client:
        assert client.ping()


def test_valkey_refuses_without_the_password(servers):
    with (
        redis.Redis(port=servers.own[0].port, retry=Retry(NoBackoff(), 0)) as client,
        pytest.raises(redis.AuthenticationError),
    ):
        client.ping()


def test_the_servers_listen_on_loopback_only(servers):
    listening = [
        connection.laddr.ip
        for process in processes_of(servers)
        for connection in process.net_connections("all")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert listening == ["127.0.0.1", "127.0.0.1"]


def test_no_password_stands_in_a_command_line(servers):
    password = servers.redis_url.split("@")[0].rsplit(":", 1)[1]
    assert password not in " ".join(" ".join(found.cmdline()) for found in processes_of(servers))


def test_no_password_stands_in_a_repr(servers):
    assert servers.redis_url.split("@")[0].rsplit(":", 1)[1] not in repr(servers)


@as_root
def test_roots_servers_run_as_somebody_else(servers):
    assert {process.uids().real for process in processes_of(servers)}.isdisjoint({0})


def test_the_data_folder_is_closed_to_others(used_var_dir):
    with start(used_var_dir):
        assert stat.S_IMODE(data_folder(folder_of(used_var_dir)).stat().st_mode) == 0o700


def test_upper_case_knows_more_than_ascii(servers):
    assert ask(servers, "SELECT upper('ação')") == "AÇÃO"


# --- Durability ---------------------------------------------------------------------------------


def test_tests_may_forget_in_a_crash(servers):
    assert ask(servers, "SHOW fsync") == "off"


def test_a_durable_server_forgets_nothing(var_dir):
    with start(var_dir, durable=True) as servers:
        assert {ask(servers, "SHOW fsync"), ask(servers, "SHOW synchronous_commit")} == {"on"}


# --- Found again --------------------------------------------------------------------------------


def test_the_environments_servers_are_used_as_they_are(tmp_path):
    env = {"DATABASE_URL": "postgres://elsewhere/db", "REDIS_URL": "redis://elsewhere"}
    servers = start(tmp_path / "var", env=env)
    assert (servers.database_url, servers.own) == ("postgres://elsewhere/db", [])
    assert not (tmp_path / "var").exists()


def test_a_second_start_finds_data_and_address_again_even_after_a_crash(used_var_dir):
    with start(used_var_dir, durable=True) as first:
        with psycopg.connect(first.database_url) as connection:
            connection.execute("DROP TABLE IF EXISTS kept")
            connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
        urls = (first.database_url, first.redis_url)
        first.own[1].stop_steps = [(SIGKILL, 5.0)]
    with start(used_var_dir) as second:
        assert (second.database_url, second.redis_url) == urls
        assert ask(second, "SELECT answer FROM kept") == 42


def test_a_taken_port_moves_the_server_to_another(used_var_dir):
    with start(used_var_dir) as first:
        port = first.own[1].port
    with socket.socket() as squatter:
        squatter.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # right after the server
        squatter.bind(("127.0.0.1", port))
        squatter.listen()
        with start(used_var_dir) as second:
            assert second.own[1].port != port
            assert ask(second, "SELECT 1") == 1


def test_a_second_run_beside_the_first_is_told_so(used_var_dir):
    with start(used_var_dir), pytest.raises(ServerError, match="in use by another run"):
        start(used_var_dir)


def test_a_dead_server_starts_again_at_the_same_address(used_var_dir):
    with start(used_var_dir) as servers:
        process = processes_of(servers)[1]
        process.send_signal(SIGKILL)
        assert wait_until(lambda: not servers.own[1].is_alive(), seconds=5)
        servers.restart(servers.own[1])
        assert ask(servers, "SELECT 1") == 1


# --- Recovered ----------------------------------------------------------------------------------

ORPHANING = """
import os, sys
from pathlib import Path
from revfirst import embedded, processes
if "deaf" in sys.argv:
    processes._die_with_parent = lambda last_signal: None
embedded.start(Path(sys.argv[1]), durable=False, env=os.environ)
os.kill(os.getpid(), 9)
"""


def orphan(var_dir: Path, *words: str) -> list[psutil.Process]:
    """The servers of a run that was killed."""
    command = [sys.executable, "-c", ORPHANING, str(var_dir), *words]
    subprocess.run(command, cwd=REPOSITORY, env=PLAIN, check=False)
    record = json.loads((var_dir / embedded.RECORD_FILE).read_text())
    pids = [record[name]["pid"] for name in ("PostgreSQL", "Valkey")]
    return [psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)]


@pytest.mark.skipif(sys.platform != "linux", reason="a promise of the Linux kernel")
def test_the_servers_of_a_killed_run_end_by_themselves(used_var_dir):
    left = orphan(used_var_dir)
    assert wait_until(lambda: not any(processes.identify(p.pid) for p in left), seconds=10)


def test_a_server_left_over_is_ended_and_its_data_goes_on(used_var_dir):
    left = orphan(used_var_dir, "deaf")
    assert len(left) == 2
    with start(used_var_dir) as servers:
        assert not any(processes.identify(process.pid) for process in left)
        assert ask(servers, "SELECT 1") == 1


def test_a_pid_file_that_names_somebody_else_is_no_obstacle(used_var_dir):
    with start(used_var_dir):
        data = data_folder(folder_of(used_var_dir))
        kept = (data / "postmaster.pid").read_text().splitlines()
    (data / "postmaster.pid").write_text("\n".join([str(os.getpid()), *kept[1:]]) + "\n")
    with start(used_var_dir) as servers:
        assert ask(servers, "SELECT 1") == 1


def test_a_half_made_cluster_is_made_again(var_dir):
    with start(var_dir):
        folder = folder_of(var_dir)
    data_folder(folder).rename(folder / "data.unfinished")
    with start(var_dir) as servers:
        assert ask(servers, "SELECT 1") == 1


def test_a_damaged_cluster_is_named_in_one_sentence(var_dir):
    with start(var_dir):
        data = data_folder(folder_of(var_dir))
    (data / "global" / "pg_control").write_bytes(b"")
    with pytest.raises(ServerError, match="PostgreSQL does not start") as caught:
        start(var_dir)
    assert str(data.parent) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("version", ["14", "banana"])
def test_data_of_another_version_is_named_in_one_sentence(var_dir, version):
    home = embedded._record(var_dir, Account.unprivileged())["home"]
    data = data_folder(Path(home) / "postgres")
    data.mkdir(parents=True)
    (data / "PG_VERSION").write_text(version)
    with pytest.raises(ServerError, match="make clean"):
        start(var_dir)


def test_a_damaged_record_is_named_in_one_sentence(var_dir):
    (var_dir / embedded.RECORD_FILE).write_text("{")
    with pytest.raises(ServerError, match="servers.json is damaged"):
        start(var_dir)
    (var_dir / embedded.RECORD_FILE).unlink()


def test_a_forced_folder_without_postgres_is_named(var_dir):
    with pytest.raises(ServerError, match="REVFIRST_POSTGRES_BIN names /nowhere"):
        start(var_dir, env={**PLAIN, "REVFIRST_POSTGRES_BIN": "/nowhere"})


@pytest.mark.skipif(os.getuid() == 0, reason="root may write everywhere")
def test_an_unwritable_folder_is_named_in_one_sentence(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(ServerError, match="Permission denied"):
        start(tmp_path / "var")


# --- Ended --------------------------------------------------------------------------------------


@pytest.mark.parametrize("durable", [True, False])
def test_stop_leaves_no_process(var_dir, durable):
    with start(var_dir, durable=durable) as servers:
        family = [
            member
            for process in processes_of(servers)
            for member in [process, *process.children(recursive=True)]
        ]
        assert len(family) > 2
    _, alive = psutil.wait_procs(family, timeout=5)
    assert alive == []


@pytest.mark.parametrize("mode", [0o711, 0o700])
def test_discard_removes_the_data_wherever_it_lies(mode):
    with temporary_var(mode) as var_dir:
        with start(var_dir) as servers:
            assert ask(servers, "SELECT 1") == 1
            folder = folder_of(var_dir)
        embedded.discard(var_dir)
        assert not folder.exists()


@as_root
@pytest.mark.parametrize(("days", "stays"), [(29, True), (31, False)])
def test_data_whose_checkout_is_gone_goes_when_nobody_used_it_for_a_month(tmp_path, days, stays):
    """Until then the checkout may have been moved, or lie on a disk that is not there today."""
    gone, new = tmp_path / "gone", tmp_path / "new"
    for folder in (gone, new):
        folder.mkdir()
    left = embedded._home_for_root(gone)
    gone.rmdir()
    used = time.time() - days * 24 * 3600
    os.utime(left / embedded.OWNER_FILE, (used, used))
    shutil.rmtree(embedded._home_for_root(new))
    assert left.exists() is stays
    shutil.rmtree(left, ignore_errors=True)


# --- Copies and moves ---------------------------------------------------------------------------


def remember(servers: Servers, word: str) -> None:
    """Write something that only this database knows."""
    with psycopg.connect(servers.database_url) as connection:
        connection.execute("CREATE TABLE told (word text)")
        connection.execute("INSERT INTO told VALUES (%s)", [word])


@pytest.mark.parametrize("mode", [0o711, 0o700])
def test_a_checkout_that_was_moved_takes_its_data_along(mode):
    with temporary_var(mode) as var_dir, temporary_var(mode) as place:
        with start(var_dir, durable=True) as servers:
            remember(servers, "before")
        moved = place / "moved"
        var_dir.rename(moved)
        try:
            with start(moved, durable=True) as servers:
                assert ask(servers, "SELECT word FROM told") == "before"
        finally:
            embedded.discard(moved)
            var_dir.mkdir(mode)


@pytest.mark.parametrize("mode", [0o711, 0o700])
def test_a_moved_checkout_can_be_cleaned_before_it_is_started_again(mode):
    with temporary_var(mode) as var_dir, temporary_var(mode) as place:
        with start(var_dir):
            folder = folder_of(var_dir)
        var_dir.rename(place / "moved")
        embedded.discard(place / "moved")
        assert not folder.exists()
        assert not (place / "moved" / "postgres").exists()
        var_dir.mkdir(mode)


@as_root
def test_a_copy_takes_nothing_over_while_the_original_is_out_of_sight(tmp_path):
    """Renamed for a while, or on a disk that is not there today."""
    with temporary_var(0o700) as var_dir, temporary_var(0o700) as place:
        with start(var_dir):
            home = folder_of(var_dir).parent
        shutil.copytree(var_dir, place / "copy", ignore=shutil.ignore_patterns("*.lock"))
        var_dir.rename(place / "hidden")
        with start(place / "copy"):
            assert folder_of(place / "copy").parent != home
        embedded.discard(place / "copy")
        (place / "hidden").rename(var_dir)
        assert (home / "postgres" / "data").exists()


@as_root
def test_a_home_in_the_temporary_folder_is_found_again(monkeypatch, tmp_path):
    """As on a system whose /var/lib cannot be written."""
    (tmp_path / "file").touch()
    monkeypatch.setattr(embedded, "ROOTS_FOLDER", tmp_path / "file" / "inside")
    with temporary_var(0o700) as var_dir:
        with start(var_dir):
            folder = folder_of(var_dir)
        with start(var_dir):
            assert folder_of(var_dir) == folder
        embedded.discard(var_dir)
        assert not folder.exists()


@pytest.mark.parametrize("mode", [0o711, 0o700])
def test_a_copy_of_a_checkout_leaves_the_original_alone(mode):
    with temporary_var(mode) as var_dir, temporary_var(mode) as place:
        copy = place / "copy"
        with start(var_dir) as servers:
            remember(servers, "original")
            shutil.copytree(var_dir, copy, ignore=shutil.ignore_patterns("postgres", "*.lock"))
            with start(copy) as others:
                assert others.database_url != servers.database_url
                assert ask(servers, "SELECT word FROM told") == "original"
            embedded.discard(copy)
            assert all(server.is_alive() for server in servers.own)
            assert ask(servers, "SELECT word FROM told") == "original"


def test_a_damaged_record_does_not_keep_the_data_from_being_discarded(var_dir):
    with start(var_dir):
        folder = folder_of(var_dir)
    (var_dir / embedded.RECORD_FILE).write_text('{"home": 3')
    embedded.discard(var_dir)
    assert not folder.exists()
    assert not (var_dir / embedded.RECORD_FILE).exists()


@pytest.mark.parametrize(
    "record",
    [
        {"home": "/x"},
        {"home": 3, "password": "p"},
        {"home": "/x", "password": "p", "Valkey": 3},
        {"home": "/x", "password": "p", "Valkey": {"port": "x"}},
        {"home": "/x", "password": "p", "PostgreSQL": {"pid": "1"}},
    ],
)
def test_a_record_of_another_shape_is_damaged(var_dir, record):
    (var_dir / embedded.RECORD_FILE).write_text(json.dumps(record))
    with pytest.raises(ServerError, match="is damaged: run 'make clean'"):
        start(var_dir)


# --- Programs in a private home -----------------------------------------------------------------


@as_root
def test_programs_in_a_private_home_are_copied_to_where_the_servers_user_reads(tmp_path, var_dir):
    home = tmp_path / "home"
    (home / "package").mkdir(parents=True)
    program = home / "package" / "server"
    program.write_text("#!/bin/sh\necho 1.2\n")
    program.chmod(0o700)
    home.chmod(0o700)
    account = Account.unprivileged()
    inside = Path("package", "server")
    place = programs._place([home / "package"], inside, home=var_dir, account=account)
    assert programs._version(place / inside, account) == (1, 2)


# --- What other processes read ------------------------------------------------------------------


def test_the_state_is_private(tmp_path):
    embedded.write_state(tmp_path, {"database_url": "postgres://secret"})
    assert stat.S_IMODE((tmp_path / "embedded.json").stat().st_mode) == 0o600


def test_the_state_comes_back_as_it_was_written(tmp_path):
    embedded.write_state(tmp_path, {"web_base_url": "http://127.0.0.1:8000"})
    assert embedded.read_state(tmp_path) == {"web_base_url": "http://127.0.0.1:8000"}


def test_no_state_is_an_empty_one(tmp_path):
    embedded.write_state(tmp_path, {})
    assert embedded.read_state(tmp_path) == {}


def test_a_damaged_state_says_so(tmp_path):
    (tmp_path / "embedded.json").write_text("[]")
    with pytest.raises(ValueError, match="damaged"):
        embedded.read_state(tmp_path)

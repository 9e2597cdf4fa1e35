"""PostgreSQL and Valkey for demo, tests and benchmarks: found or started, used, stopped.

    with embedded.start(var_dir, durable=True) as servers:
        servers.database_url, servers.redis_url

Where the environment names a server, that one is used. Otherwise the wheel's programs are started,
or the machine's own, on loopback and behind a generated password. What is needed to find them
again stands in `var/servers.json`: folder, password, ports and processes. A server left over from a
killed run is stopped before a new one starts.

Their data lies under var/. Root's servers run as an unprivileged user, to whom var/ is closed: theirs
lies in a folder of this checkout's own below /var/lib.
"""

import fcntl
import os
import secrets
import shutil
import stat
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from signal import SIGINT, SIGKILL, SIGQUIT, SIGTERM
from types import TracebackType
from typing import IO, Any, Self

from revfirst import local_postgres, processes, programs
from revfirst.local_postgres import LocalPostgres
from revfirst.local_server import LocalServer, PortTaken, ServerError
from revfirst.local_valkey import LocalValkey
from revfirst.processes import Account, Identity
from revfirst.records import damaged, read_record, write_record

__all__ = ["ServerError", "Servers", "discard", "read_state", "start", "write_state"]

ROOTS_FOLDER = Path("/var/lib/revfirst")
STATE_FILE, RECORD_FILE, LOCK_FILE = "embedded.json", "servers.json", "servers.lock"
OWNER_FILE = "belongs-to"
FORGOTTEN_AFTER = 30 * 24 * 3600  # seconds


# --- What other processes read ------------------------------------------------------------------


def read_state(var_dir: Path) -> dict[str, str]:
    """The addresses of what runs in this checkout; empty when nothing does.

    Keys: `database_url`, `redis_url`, `x_base_url`, `web_base_url`. Raises OSError, ValueError.
    """
    return {name: str(value) for name, value in read_record(var_dir / STATE_FILE).items()}


def write_state(var_dir: Path, state: Mapping[str, str]) -> None:
    """Publish the addresses; an empty state takes them back."""
    if state:
        write_record(var_dir / STATE_FILE, state)
    else:
        (var_dir / STATE_FILE).unlink(missing_ok=True)


# --- Starting and stopping ----------------------------------------------------------------------


@dataclass
class Servers:
    """The two addresses, and the servers behind them that are ours to stop."""

    database_url: str = field(repr=False)  # both hold a password
    redis_url: str = field(repr=False)
    own: list[LocalServer] = field(default_factory=list)  # in the order in which they are stopped
    _var_dir: Path | None = None
    _lock: IO[bytes] | None = None

    def restart(self, server: LocalServer) -> None:
        """Start a server that died once more, at the same address. Raises ServerError."""
        server.stop()
        server.start(server.port)
        self.remember()

    def remember(self) -> None:
        """Keep ports and processes for the next run to recognise."""
        if self._var_dir is None:
            return
        record = read_record(self._var_dir / RECORD_FILE)
        for server in self.own:
            identity = server.identity
            started = {"pid": identity.pid, "started": identity.started} if identity else {}
            record[server.name] = {"port": server.port, **started}
        write_record(self._var_dir / RECORD_FILE, record)

    def stop(self) -> None:
        """Stop what was started here, Valkey before PostgreSQL; safe to call twice."""
        while self.own:
            self.own[0].stop()
            self.own.pop(0)
        if self._lock:
            self._lock.close()
            self._lock = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


def start(var_dir: Path, *, durable: bool, env: Mapping[str, str] = os.environ) -> Servers:
    """Find or start both servers; `durable=False` is for tests that may lose data in a crash.

    Raises ServerError, whose text is one sentence for the person at the terminal.
    """
    servers = Servers(env.get("DATABASE_URL", "").strip(), env.get("REDIS_URL", "").strip())
    if servers.database_url and servers.redis_url:
        return servers
    try:
        var_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        servers._lock, servers._var_dir = _lock(var_dir), var_dir
        _start_missing(servers, var_dir, durable=durable, env=env)
    except OSError as error:
        servers.stop()
        raise ServerError(
            f"{error.filename or var_dir} cannot be used: {error.strerror}."
        ) from None
    except ValueError as error:  # a damaged record
        servers.stop()
        raise ServerError(f"{error}.") from None
    except BaseException:
        servers.stop()
        raise
    return servers


def discard(var_dir: Path) -> None:
    """Stop what a dead run left in `var_dir` and remove its servers' data. Raises ServerError."""
    with suppress(FileNotFoundError), _lock(var_dir):
        try:
            record = read_record(var_dir / RECORD_FILE)
        except ValueError:  # damaged, which is a reason to remove it
            record = {}
        for home in _homes_of(var_dir, record):
            _stop_leftovers(record if _names(record, home) else {}, home)
            for name in ("postgres", "valkey", "programs"):
                shutil.rmtree(home / name, ignore_errors=True)
            if home != var_dir.resolve():
                shutil.rmtree(home, ignore_errors=True)
        (var_dir / RECORD_FILE).unlink(missing_ok=True)


def _start_missing(
    servers: Servers, var_dir: Path, *, durable: bool, env: Mapping[str, str]
) -> None:
    account = Account.unprivileged()
    record = _record(var_dir, account)
    home = Path(record["home"])
    _stop_leftovers(record, home)
    about = {"account": account, "password": record["password"]}
    if not servers.database_url:
        folder = _server_folder(home / "postgres", account)
        found = _fitting_programs(env, home, folder, account)
        postgres = LocalPostgres(
            found, folder=folder, log=_fresh_log(var_dir, "postgres"), durable=durable, **about
        )
        _start(servers, postgres, record)
        servers.database_url = postgres.url
    if not servers.redis_url:
        program = programs.valkey_program(env, home=home, account=account)
        if program is None:
            raise ServerError(
                "No Valkey was found: run 'make demo', which installs one, install Valkey or Redis, "
                "or set REDIS_URL."
            )
        folder = _server_folder(home / "valkey", account)
        valkey = LocalValkey(program, folder=folder, log=_fresh_log(var_dir, "valkey"), **about)
        _start(servers, valkey, record)
        servers.redis_url = valkey.url


def _start(servers: Servers, server: LocalServer, record: Mapping[str, Any]) -> None:
    """Start on the port of the last run, or on another; ports are lost to races, so try again."""
    last = record.get(server.name, {}).get("port")
    for port in processes.ports(*([last] if last else [])):
        with suppress(PortTaken):
            server.start(port)
            servers.own.insert(0, server)
            servers.remember()
            return
    raise ServerError(f"{server.name} found no free port on {processes.LOOPBACK}.")


def _fitting_programs(
    env: Mapping[str, str], home: Path, folder: Path, account: Account | None
) -> programs.PostgresPrograms:
    """The best PostgreSQL here, or the best of the version that made the existing data."""
    made_by, seen = local_postgres.data_major(folder), []
    for found in programs.postgres_programs(env, home=home, account=account):
        if made_by in (None, found.major):
            return found
        seen.append(str(found.major))
    if seen:
        raise ServerError(
            f"{folder} holds data of PostgreSQL {made_by}, and this machine offers "
            f"{' and '.join(dict.fromkeys(seen))}: install PostgreSQL {made_by}, or begin anew with "
            "'make clean'."
        )
    if forced := env.get("REVFIRST_POSTGRES_BIN"):
        raise ServerError(
            f"REVFIRST_POSTGRES_BIN names {forced}, where no PostgreSQL "
            f"{programs.OLDEST_POSTGRES} or newer runs."
        )
    raise ServerError(
        "No PostgreSQL was found: run 'make demo', which installs one, install PostgreSQL "
        f"{programs.OLDEST_POSTGRES} or newer, or set DATABASE_URL."
    )


# --- Folders, records, leftovers ----------------------------------------------------------------


def _lock(var_dir: Path) -> IO[bytes]:
    """Hold the servers of `var_dir`; the kernel lets go when we die. Raises ServerError, OSError."""
    file = os.fdopen(os.open(var_dir / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o600), "r+b")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise ServerError(f"The servers of {var_dir} are in use by another run.") from None
    return file


def _record(var_dir: Path, account: Account | None) -> dict[str, Any]:
    """What is known of this checkout's servers; made at the first start.

    A checkout that was moved takes its data along; a copy of one has its own, and never touches
    the servers of the original. Raises ValueError when the note is damaged.
    """
    record = read_record(var_dir / RECORD_FILE)
    if record and not _is_whole(record):
        raise ValueError(damaged(var_dir / RECORD_FILE))
    if record and Path(record["home"]) in _homes_of(var_dir, record):
        home = Path(record["home"])
        if home != var_dir.resolve():
            _sign(home, var_dir)  # where it lies now, and that somebody used it
        return record
    reachable = account is None or account.can_enter(var_dir)
    home = var_dir.resolve() if reachable else _home_for_root(var_dir)
    # Data that lies there already knows the password that we know; nobody else's process is ours.
    password = record.get("password") or secrets.token_urlsafe(24)
    record = {"home": str(home), "password": password}
    write_record(var_dir / RECORD_FILE, record)
    return record


def _is_whole(record: Mapping[str, Any]) -> bool:
    servers = [record.get(name, {}) for name in (LocalPostgres.name, LocalValkey.name)]
    return (
        all(isinstance(record.get(name), str) and record[name] for name in ("home", "password"))
        and all(isinstance(server, dict) for server in servers)
        and all(isinstance(server.get("port", 1), int) for server in servers)
        and all(isinstance(server.get("pid", 0), int) for server in servers)
        and all(isinstance(server.get("started", ""), str) for server in servers)
    )


def _names(record: Mapping[str, Any], home: Path) -> bool:
    return _is_whole(record) and Path(record["home"]) == home


def _homes_of(var_dir: Path, record: Mapping[str, Any]) -> list[Path]:
    """Where the servers of this var/, and of no other, have their data.

    A folder elsewhere says whose it is: by path, and by the folder's own number, which a move keeps
    and a copy does not.
    """
    ours = var_dir.resolve()
    homes = [ours, *(home for home in _roots_homes() if _owner_of(home) == ours)]
    if _is_whole(record):
        named = Path(record["home"])
        if named not in homes and _number_in(named) == _number_of(var_dir):
            homes.append(named)
    return homes


def _sign(home: Path, var_dir: Path) -> None:
    """Note whose folder this is; the note's age tells when it was last used."""
    (home / OWNER_FILE).write_text(f"{var_dir.resolve()}\n{_number_of(var_dir)}\n")


def _number_of(var_dir: Path) -> str:
    found = var_dir.stat()
    return f"{found.st_dev}:{found.st_ino}"


def _number_in(home: Path) -> str:
    """The number of the var/ that the folder belongs to; empty where none is noted."""
    try:
        return (home / OWNER_FILE).read_text().splitlines()[1]
    except (OSError, IndexError):
        return ""


def _roots_homes() -> list[Path]:
    try:
        return [home for home in ROOTS_FOLDER.iterdir() if home.is_dir()]
    except OSError:
        return []


def _home_for_root(var_dir: Path) -> Path:
    """A new folder for this checkout's servers where an unprivileged user can read.

    Folders whose var/ was begun anew go: the password to their data went with it. So do those whose
    checkout is gone and which nobody used for a month; a checkout may also have been moved.
    """
    try:
        ROOTS_FOLDER.mkdir(mode=0o711, parents=True, exist_ok=True)
        ROOTS_FOLDER.chmod(0o711)
    except OSError:  # a read-only system: the temporary folder will do
        home = Path(tempfile.mkdtemp(prefix="revfirst-"))
    else:
        found = ROOTS_FOLDER.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != 0:
            raise ServerError(f"{ROOTS_FOLDER} does not belong to root.")
        for old in _roots_homes():
            if _owner_of(old) == var_dir.resolve() or _is_forgotten(old):
                _stop_leftovers({}, old)
                shutil.rmtree(old, ignore_errors=True)
        home = Path(tempfile.mkdtemp(dir=ROOTS_FOLDER))
    _sign(home, var_dir)
    home.chmod(0o711)  # programs inside are for the server's user to find, names not for listing
    return home


def _is_forgotten(home: Path) -> bool:
    try:
        unused = time.time() - (home / OWNER_FILE).stat().st_mtime
    except OSError:
        return False
    return unused > FORGOTTEN_AFTER and not _owner_of(home).exists()


def _owner_of(home: Path) -> Path:
    """The var/ that a folder of root's belongs to; one without a note is just being made."""
    try:
        return Path((home / OWNER_FILE).read_text().splitlines()[0])
    except (OSError, IndexError):
        return Path("/")


def _server_folder(folder: Path, account: Account | None) -> Path:
    """A server's own folder, closed to everybody but the user under whom it runs."""
    folder.mkdir(mode=0o700, exist_ok=True)
    if account:
        os.chown(folder, account.uid, account.gid)
    return folder


def _stop_leftovers(record: Mapping[str, Any], home: Path) -> None:
    """Stop the servers of a run that was killed. Raises ServerError when one does not go."""
    postgres = local_postgres.leftover(home / "postgres")
    if postgres and not processes.end(postgres, (SIGINT, 10), (SIGQUIT, 5), (SIGKILL, 5)):
        raise ServerError(f"A PostgreSQL of an earlier run (process {postgres.pid}) does not stop.")
    known = record.get(LocalValkey.name, {})
    valkey = Identity(known.get("pid", 0), known.get("started", ""))
    if known.get("pid") and not processes.end(valkey, (SIGTERM, 5), (SIGKILL, 5)):
        raise ServerError(f"A Valkey of an earlier run (process {valkey.pid}) does not stop.")


def _fresh_log(var_dir: Path, name: str) -> Path:
    """The server's log, with the one of the last run kept beside it."""
    log = var_dir / "log" / f"{name}.log"
    if log.exists():
        log.replace(log.with_suffix(".log.1"))
    return log

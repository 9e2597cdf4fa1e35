"""Our own PostgreSQL: initialised once, started on loopback with a password, stopped cleanly.

It needs no client programs and no library: readiness is read where `pg_ctl` reads it too, in the
last line of `postmaster.pid`.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from signal import SIGINT, SIGKILL, SIGQUIT

from revfirst import processes
from revfirst.local_server import LocalServer, ServerError
from revfirst.processes import LOOPBACK, Account, Identity
from revfirst.programs import PROGRAM_ENVIRONMENT, PostgresPrograms
from revfirst.wait import wait_out

ROLE = DATABASE = "revfirst"
FAST, IMMEDIATE = (SIGINT, 30.0), (SIGQUIT, 10.0)  # as pg_ctl -m names them
_SMALL = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",  # a socket file would be a door that asks no password
    "shared_buffers": "32MB",
    "max_connections": "100",
    "max_wal_size": "256MB",
    "max_wal_senders": "0",
    "max_logical_replication_workers": "0",
    "max_parallel_workers_per_gather": "0",
    "huge_pages": "off",
    "jit": "off",
    "timezone": "UTC",
    "log_checkpoints": "off",
}
_FORGETFUL = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


class LocalPostgres(LocalServer):
    """One PostgreSQL cluster with the database `revfirst` and its owner of the same name."""

    name = "PostgreSQL"

    def __init__(
        self,
        programs: PostgresPrograms,
        *,
        folder: Path,
        log: Path,
        account: Account | None,
        password: str,
        durable: bool,
    ) -> None:
        super().__init__(folder=folder, log=log, account=account, password=password)
        self.programs, self.durable = programs, durable
        self.stop_steps = (FAST, IMMEDIATE, (SIGKILL, 5)) if durable else (IMMEDIATE, (SIGKILL, 5))

    @property
    def url(self) -> str:
        return f"postgres://{ROLE}:{self.password}@{LOOPBACK}:{self.port}/{DATABASE}"

    @property
    def data(self) -> Path:
        return data_folder(self.folder)

    def start(self, port: int) -> None:
        if not self.data.exists():
            self._initialise()
        _forget_stale_pid_file(self.data)
        for patience in (0.2, 0.3, 0.5, 1, 2, 4):
            try:
                return super().start(port)
            except ServerError as error:
                if "shared memory block" not in str(error):
                    raise
                wait_out(patience)  # children of a killed server are still on their way out
        return super().start(port)

    def _command(self, port: int) -> list[str | Path]:
        settings = {**_SMALL, "port": str(port), **({} if self.durable else _FORGETFUL)}
        if self.programs.major >= 18:
            settings["io_method"] = "sync"  # no reader processes of its own: memory
        return [
            self.programs.folder / "postgres",
            "-D",
            self.data,
            *(part for name, value in settings.items() for part in ("-c", f"{name}={value}")),
        ]

    def _answers(self) -> bool:
        lines = _pid_file(self.data)
        ours = self._child is not None and lines[:1] == [str(self._child.pid)]
        return ours and len(lines) >= 8 and lines[7].strip() == "ready"

    def _initialise(self) -> None:
        """Make the cluster beside its place and move it there when complete: an interrupted one is
        simply made again."""
        unfinished = self.folder / "data.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        for locale in self._locales():
            with self._password_file() as password_file:
                made = self._run(
                    "initdb", "-D", unfinished, "-U", ROLE, "--auth=scram-sha-256",
                    f"--pwfile={password_file}", "--encoding=UTF8", "--no-instructions",
                    *locale, *([] if self.durable else ["--no-sync"]),
                )  # fmt: skip
            if "invalid locale name" not in made.stdout:
                break
        if made.returncode == 0:  # a lone backend, so that nobody can connect before we are done
            made = self._run(
                "postgres", "--single", "-D", unfinished, "-c", "fsync=off", "postgres",
                stdin=f"CREATE DATABASE {DATABASE}\n",
            )  # fmt: skip
        if made.returncode != 0:
            raise self._why_not(made.stdout)
        unfinished.rename(self.data)

    def _locales(self) -> list[list[str]]:
        """Upper and lower case must know more than ASCII; sort order needs no language."""
        if self.programs.major >= 17:
            return [["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]]
        return [["--locale=C.UTF-8"], ["--locale=C", "--lc-ctype=en_US.UTF-8"], ["--locale=C"]]

    def _run(
        self, program: str, *arguments: str | Path, stdin: str = ""
    ) -> subprocess.CompletedProcess[str]:
        command = [self.programs.folder / program, *arguments]
        try:
            return processes.run(
                command, env=PROGRAM_ENVIRONMENT, stdin=stdin, account=self.account
            )
        except OSError as error:
            raise ServerError(f"{self.name} cannot be set up in {self.folder}: {error}.") from None

    @contextmanager
    def _password_file(self) -> Iterator[Path]:
        """A file that only the server's account can read, gone again at the end."""
        handle, name = tempfile.mkstemp(dir=self.folder)
        try:
            with os.fdopen(handle, "w") as file:
                file.write(self.password)
                if self.account:
                    os.fchown(file.fileno(), self.account.uid, self.account.gid)
            yield Path(name)
        finally:
            Path(name).unlink(missing_ok=True)

    def _why_not(self, words: str) -> ServerError:
        if "No space left on device" in words:
            return ServerError(f"PostgreSQL finds no space left for {self.folder}.")
        return super()._why_not(_gist(words))


def data_folder(folder: Path) -> Path:
    """Where the cluster lies inside the server's folder."""
    return folder / "data"


def data_major(folder: Path) -> int | None:
    """The major version that made the cluster; None when there is no cluster.

    Raises ServerError when something lies there that is no cluster.
    """
    data = data_folder(folder)
    if not data.exists():
        return None
    try:
        return int((data / "PG_VERSION").read_text())
    except (OSError, ValueError):
        raise ServerError(
            f"{data} is not a complete PostgreSQL data folder: if its data can be lost, begin anew with "
            "'make clean'."
        ) from None


def leftover(folder: Path) -> Identity | None:
    """The server that still runs on this cluster, started by whomever."""
    pid = (_pid_file(data_folder(folder)) or [""])[0].strip()
    if not pid.isdecimal() or str(data_folder(folder)) not in processes.command_line(int(pid)):
        return None
    return processes.identify(int(pid))


def _forget_stale_pid_file(data: Path) -> None:
    """Remove a killed server's `postmaster.pid` when its number now belongs to somebody else.

    PostgreSQL copes by itself unless that somebody runs under the same user, as in a container
    whose numbers begin again.
    """
    first = (_pid_file(data) or [""])[0].strip()
    if first.isdecimal() and str(data) not in processes.command_line(int(first)):
        (data / "postmaster.pid").unlink(missing_ok=True)


def _pid_file(data: Path) -> list[str]:
    try:
        return (data / "postmaster.pid").read_text(errors="replace").splitlines()
    except OSError:
        return []


def _gist(words: str) -> str:
    """The lines that say what is wrong, or all of them."""
    grave = [
        line.split(f"{level}:", 1)[1].strip()
        for line in words.splitlines()
        for level in ("PANIC", "FATAL", "error")
        if f"{level}:" in line
    ]
    in_use = [line for line in words.splitlines() if "address already in use" in line.lower()]
    return "\n".join(in_use or grave[:1]) or words

"""python -m revfirst.demo: the whole system on this machine, with a local X, until Ctrl-C.

`manage.py demo` checks the settings and becomes this module, which imports no Django: it stays
resident as supervisor of web, worker, simulator, Valkey and PostgreSQL. A second run finds its data,
ports and password again under var/. With `--once` one reply goes all the way, then everything stops.
"""

import argparse
import fcntl
import os
import secrets
import shutil
import socket
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic
from typing import NoReturn

from revfirst import demo_parts, embedded, generated, processes
from revfirst.demo_parts import Addresses, ServerPart, port_of
from revfirst.embedded import ServerError, Servers
from revfirst.local_postgres import LocalPostgres
from revfirst.records import read_record, write_record
from revfirst.supervisor import (
    GaveUp,
    Interruptions,
    Supervisor,
    complain,
    end_leftovers,
    last_words,
    rotate,
    say,
)

BASE_DIR = Path(__file__).resolve().parent.parent
WEB_PORT, SIMULATOR_PORT = 8000, 8001
IDENTITY = "revfirst-demo"  # a note in each half's data: the same word, or they are strangers
INTERRUPTED = 130  # as shells say it


class Refused(Exception):
    """The demo does not start; the text is one sentence that says why."""


class Interrupted(Exception):
    """Somebody asked for the end before the beginning was over."""


def main(arguments: Sequence[str]) -> int:
    """Run the demo; the exit code."""
    options = _options(arguments)
    var_dir = Path(os.environ.get("REVFIRST_VAR_DIR") or BASE_DIR / "var").resolve()
    try:
        _check_environment(os.environ)
        var_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _alone(var_dir):
            if options.forget:
                return _forget(var_dir)
            return Demo(var_dir, options).run()
    except (Refused, ServerError, GaveUp, ValueError) as error:
        complain(str(error))
    except OSError as error:
        complain(f"{error.filename or var_dir} cannot be used: {error.strerror or error}.")
    return 1


class Demo:
    """One run, from the first process to the last."""

    def __init__(self, var_dir: Path, options: argparse.Namespace) -> None:
        self.var_dir, self.options = var_dir, options
        self.interruptions = Interruptions()
        self.supervisor = Supervisor(
            interruptions=self.interruptions,
            record=var_dir / "supervisor.json",
            say=say,
            stop_order=demo_parts.STOP_ORDER,
        )
        self.servers: Servers | None = None
        self.addresses: Addresses | None = None

    def run(self) -> int:
        """Start everything, stay or do one round, stop everything; the exit code."""
        self.interruptions.listen()
        begun = monotonic()
        try:
            env = self._start()
            if self.options.once:
                return self._command("demo_once", env, shown=True)
            self._show_banner(env, seconds=monotonic() - begun)
            self.supervisor.watch(until=lambda: False)
        except Interrupted:
            return INTERRUPTED if self.options.once else 0
        finally:
            self._stop()
        return 0

    # --- Starting -------------------------------------------------------------------------------

    def _start(self) -> dict[str, str]:
        """Start the parts, those that can wait for each other side by side; the environment they
        share."""
        self._clear_up()
        where = self.addresses = self._addresses()
        known = generated.load_or_create(self.var_dir)
        simulator_env = demo_parts.environment(os.environ, self.var_dir, where, known)
        simulator = demo_parts.simulator(self.var_dir, simulator_env, where)
        self.supervisor.start(simulator)
        with self._progress("Starting PostgreSQL and Valkey"):
            self.servers = self._start_servers()
        with self._progress("Starting the X simulator"):
            self.supervisor.wait_ready(
                simulator, lambda: demo_parts.answers(where.simulator, "/control"), seconds=30
            )
        self._check_halves(self.servers)
        env = demo_parts.with_servers(simulator_env, self.servers)
        embedded.write_state(self.var_dir, where.as_state(self.servers))
        web = demo_parts.web(self.var_dir, env, where)
        self.supervisor.start(web)
        with self._progress("Preparing the database"):
            self._run("demo_prepare", env)
        self.supervisor.start(demo_parts.worker(self.var_dir, env, where))
        with self._progress("Starting web and worker"):
            self.supervisor.wait_ready(
                web, lambda: demo_parts.answers(where.web, "/health/live"), seconds=60
            )
        if not self.options.once:  # which loads it itself
            with self._progress("Loading the sample data"):
                self._run("demo_data", env)
        return env

    def _clear_up(self) -> None:
        """End what a killed run left, and forget the metrics of processes that are gone."""
        if ended := end_leftovers(self.supervisor.record):
            say(f"Ended what an earlier run left behind: {', '.join(ended)}.")
        folder = demo_parts.simulator_folder(self.var_dir)
        if not (folder / "journal.jsonl").exists():
            (folder / IDENTITY).unlink(missing_ok=True)
        metrics = demo_parts.metrics_folder(self.var_dir)
        shutil.rmtree(metrics, ignore_errors=True)
        metrics.mkdir(parents=True)

    def _check_halves(self, servers: Servers) -> None:
        """Database and local X tell of one past: with half of it gone the numbers never agree again."""
        databases = [server for server in servers.own if isinstance(server, LocalPostgres)]
        if not databases:
            return  # somebody else's, which the demo looks at before it does anything there
        notes = [databases[0].data / IDENTITY, demo_parts.simulator_folder(self.var_dir) / IDENTITY]
        known = [note.read_text() if note.exists() else "" for note in notes]
        if known[0] != known[1]:
            raise Refused(
                "The demo's database and its local X no longer belong together: "
                "run 'make clean', which begins anew, then try again."
            )
        if not known[0]:
            identity = secrets.token_hex(16)
            for note in notes:
                note.write_text(identity)

    def _addresses(self) -> Addresses:
        """Ports as asked, else as last time, else from the usual ones upwards."""
        record, options = self.var_dir / "demo.json", self.options
        last = read_record(record)
        wishes = [*_last_port(last, "web"), *range(WEB_PORT, WEB_PORT + 100, 2)]
        web = _port("--port", options.port, [port for port in wishes if port != options.sim_port])
        wishes = [*_last_port(last, "simulator"), *range(SIMULATOR_PORT, SIMULATOR_PORT + 100, 2)]
        simulator = _port("--sim-port", options.sim_port, wishes)
        ports = {"web": port_of(web), "simulator": port_of(simulator)}
        write_record(record, ports)
        return Addresses(web_socket=web, simulator_socket=simulator)

    def _start_servers(self) -> Servers:
        servers = embedded.start(self.var_dir, durable=True)
        for server in servers.own:
            self.supervisor.adopt(ServerPart(servers, server))
        return servers

    @contextmanager
    def _progress(self, what: str) -> Iterator[None]:
        """Say what is going on and how long it took; leave when somebody asked for the end."""
        begun = monotonic()
        with suppress(OSError):
            print(f"{what} …", end=" ", flush=True)
        try:
            yield
        except BaseException:
            say("")
            raise
        if self.interruptions.asked():
            say("")
            raise Interrupted
        say(f"{monotonic() - begun:.1f} s")

    # --- Management commands --------------------------------------------------------------------

    def _run(self, command: str, env: Mapping[str, str]) -> None:
        """Run a management command that must succeed. Raises GaveUp with its own last words."""
        if self._command(command, env) != 0 and not self.interruptions.asked():
            raise GaveUp(f"{command} failed: {last_words(self._log(command))}")

    def _command(self, command: str, env: Mapping[str, str], *, shown: bool = False) -> int:
        """Run a management command to its end while the parts are watched; its exit code."""
        child = demo_parts.command(self.var_dir, env, command, shown=shown)
        rotate(child.log)
        child.start()
        try:
            self.supervisor.watch(until=lambda: not child.is_alive())
            code = child.exit_code()
        finally:
            child.stop(self.interruptions.hurried)
        return INTERRUPTED if code is None else code

    def _log(self, command: str) -> Path:
        return demo_parts.log(self.var_dir, command)

    # --- Showing and stopping -------------------------------------------------------------------

    def _show_banner(self, env: Mapping[str, str], *, seconds: float) -> None:
        bold, plain = ("\033[1m", "\033[0m") if _is_colourful() else ("", "")
        password = generated.load_or_create(self.var_dir)["DEMO_PASSWORD"]
        say(
            f"\n{bold}RevFirst is running{plain} (ready in {seconds:.1f} s).\n\n"
            f"  Admin      {bold}{env['APP_PUBLIC_BASE_URL']}/admin/{plain}\n"
            f"  Login      demo / {password}\n"
            f"  Local X    {bold}{env['X_API_BASE_URL']}/{plain}\n"
            f"  Logs       {self.var_dir / 'log'}\n\n"
            "Ctrl-C stops everything.\n"
        )

    def _stop(self) -> None:
        """Stop every part and take the addresses back: nobody may trust who gets the ports next."""
        if self.interruptions.asked():
            say("\nStopping …")
        self.supervisor.stop()
        if self.servers:
            self.servers.stop()
        if self.addresses:
            self.addresses.close()
        embedded.write_state(self.var_dir, {})


# --- Helpers ------------------------------------------------------------------------------------


def _check_environment(env: Mapping[str, str]) -> None:
    if env.get("ENVIRONMENT", "").strip() not in ("", "development"):
        raise Refused("The demo runs only with ENVIRONMENT=development.")
    if env.get("X_API_BASE_URL", "").strip():
        raise Refused("The demo talks to its own X simulator only: unset X_API_BASE_URL first.")


@contextmanager
def _alone(var_dir: Path) -> Iterator[None]:
    """Hold this checkout's demo; the kernel lets go when we die."""
    with open(var_dir / "demo.lock", "ab") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            address = embedded.read_state(var_dir).get("web_base_url")
            where = f", at {address}" if address else ""
            raise Refused(f"A demo runs in this checkout already{where}.") from None
        yield


def _forget(var_dir: Path) -> int:
    """End what a killed run left and remove the servers' data, wherever it lies; damaged notes too."""
    with suppress(ValueError):
        end_leftovers(var_dir / "supervisor.json")
    embedded.discard(var_dir)
    return 0


def _last_port(record: Mapping[str, object], name: str) -> list[int]:
    """The port of the last run, if there was one and its note is whole."""
    port = record.get(name)
    return [port] if isinstance(port, int) and 0 < port < 65536 else []


def _port(option: str, asked: int | None, wishes: Sequence[int]) -> socket.socket:
    """A listening socket on the port that was asked for, or on the first that can be had."""
    for port in [asked] if asked else [*wishes, 0]:
        try:
            if held := processes.listen_on(port):
                return held
        except PermissionError:
            if asked:
                raise Refused(f"Port {port} is not yours to use: choose one above 1023.") from None
    raise Refused(f"Port {asked} is in use: choose another one with {option}.")


def _is_colourful() -> bool:
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """One sentence in place of argparse's usage block."""
        complain(f"{message[:1].upper()}{message[1:]}.")
        sys.exit(2)


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = _Parser(prog="manage.py demo", description="Run the whole system with a local X.")
    parser.add_argument("--once", action="store_true", help="do one round, print it, stop")
    parser.add_argument("--port", type=_port_number, help=f"of the web process ({WEB_PORT})")
    parser.add_argument("--sim-port", type=_port_number, help=f"of the local X ({SIMULATOR_PORT})")
    parser.add_argument("--forget", action="store_true", help="remove the servers and their data")
    return parser.parse_args(arguments)


def _port_number(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 0 < int(text) < 65536):
        raise argparse.ArgumentTypeError(f"{text} is no port")
    return int(text)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

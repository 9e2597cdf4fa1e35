"""What the demo consists of: the commands, their environment, their order at the end."""

import json
import socket
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from math import inf
from pathlib import Path
from time import monotonic

from revfirst.embedded import ServerError, Servers
from revfirst.local_server import LocalServer
from revfirst.processes import LOOPBACK, Identity
from revfirst.supervisor import Child, GaveUp

BASE_DIR = Path(__file__).resolve().parent.parent
STOP_ORDER = ("web", "worker", "simulator", "Valkey", "PostgreSQL")
_NOT_OURS = ("PG", "GUNICORN_")
_SIGNS_OF_LIFE = ("worker", "scheduler")
HEARD_AFTER, ASK_EVERY = 200.0, 15.0  # seconds: a heartbeat is stale after three minutes
WORKER_PATIENCE = 20.0  # seconds for the task in hand; the rows survive a worker that is cut off


@dataclass(frozen=True)
class Addresses:
    """Where web and simulator listen: sockets that stay ours, whatever becomes of those two."""

    web_socket: socket.socket
    simulator_socket: socket.socket

    @property
    def web(self) -> str:
        return f"http://{LOOPBACK}:{port_of(self.web_socket)}"

    @property
    def simulator(self) -> str:
        return f"http://{LOOPBACK}:{port_of(self.simulator_socket)}"

    def close(self) -> None:
        """Give both ports back."""
        self.web_socket.close()
        self.simulator_socket.close()

    def as_state(self, servers: Servers) -> dict[str, str]:
        """What other commands in this checkout need to know."""
        return {
            "database_url": servers.database_url,
            "redis_url": servers.redis_url,
            "x_base_url": self.simulator,
            "web_base_url": self.web,
        }


def port_of(listening: socket.socket) -> int:
    return int(listening.getsockname()[1])


# --- Environment --------------------------------------------------------------------------------


_BUSY_HOUR = {"MAX_REPLIES_PER_HOUR": "60", "MAX_REPLIES_PER_DAY": "300"}
"""Whoever tries it approves more within an hour than a brand would."""


def environment(
    base: Mapping[str, str], var_dir: Path, where: Addresses, secrets: Mapping[str, str]
) -> dict[str, str]:
    """The environment of every part but for the servers' addresses: X is always the simulator.

    What the person's shell says to other programs (libpq's variables, gunicorn's) stays outside.
    """
    return {
        **_BUSY_HOUR,
        **{name: value for name, value in base.items() if not name.startswith(_NOT_OURS)},
        "DJANGO_SETTINGS_MODULE": "revfirst.settings",
        "ENVIRONMENT": "development",
        "PYTHONUNBUFFERED": "1",
        "REVFIRST_VAR_DIR": str(var_dir),
        "PROMETHEUS_MULTIPROC_DIR": str(metrics_folder(var_dir)),
        "APP_PUBLIC_BASE_URL": where.web,
        "WEB_BIND": f"fd://{where.web_socket.fileno()}",
        "WEB_CONCURRENCY": "1",
        "METRICS_ENABLED": "true",
        "X_API_BASE_URL": where.simulator,
        "X_WEB_BASE_URL": where.simulator,
        "X_AUTHORIZE_URL": f"{where.simulator}/i/oauth2/authorize",
        "X_TOKEN_URL": f"{where.simulator}/2/oauth2/token",
        "X_REVOKE_URL": f"{where.simulator}/2/oauth2/revoke",
        "X_REDIRECT_URI": f"{where.web}/integrations/x/oauth/callback",
        "X_CLIENT_ID": "revfirst-demo",
        "X_CLIENT_SECRET": secrets["X_CLIENT_SECRET"],
    }


def with_servers(env: Mapping[str, str], servers: Servers) -> dict[str, str]:
    return {**env, "DATABASE_URL": servers.database_url, "REDIS_URL": servers.redis_url}


def metrics_folder(var_dir: Path) -> Path:
    return var_dir / "prometheus"


def simulator_folder(var_dir: Path) -> Path:
    return var_dir / "x_simulator"


def log(var_dir: Path, name: str) -> Path:
    return var_dir / "log" / f"{name}.log"


# --- The worker ---------------------------------------------------------------------------------


@dataclass
class Worker(Child):
    """The worker lives while its main process does and somebody hears of it.

    A helper that was killed can freeze the whole cluster (docs/adr/0003): every process stands there,
    and nothing is done any more. Only its silence tells, so it is ended without a word and begun anew.
    """

    is_heard: Callable[[], bool] = field(default=lambda: True)
    _ask_at: float = field(default=inf, repr=False)
    _silent: bool = field(default=False, repr=False)

    def start(self) -> None:
        super().start()
        self._silent, self._ask_at = False, monotonic() + HEARD_AFTER

    def is_alive(self) -> bool:
        if monotonic() >= self._ask_at:
            self._ask_at, self._silent = monotonic() + ASK_EVERY, not self.is_heard()
        return super().is_alive() and not self._silent


def hears_worker(base_url: str) -> bool:
    """Whether /health has heard of the worker lately; who does not answer blames nobody."""
    try:
        checks = json.loads(_get(base_url, "/health").partition(b"\r\n\r\n")[2])["checks"]
        others = (check["ok"] for name, check in checks.items() if name not in _SIGNS_OF_LIFE)
        return bool(checks["worker"]["ok"] or not all(others))
    except (OSError, ValueError, KeyError, TypeError):
        return True


# --- Parts --------------------------------------------------------------------------------------


def web(var_dir: Path, env: Mapping[str, str], where: Addresses) -> Child:
    command = ["-m", "gunicorn", "-c", "deploy/gunicorn.conf.py", "revfirst.wsgi:application"]
    return _child("web", command, var_dir, env, listens=where.web_socket)


def worker(var_dir: Path, env: Mapping[str, str], where: Addresses) -> Worker:
    return Worker(
        name="worker",
        command=[sys.executable, "manage.py", "qcluster"],
        env=env,
        cwd=BASE_DIR,
        log=log(var_dir, "worker"),
        patience=WORKER_PATIENCE,
        is_heard=partial(hears_worker, where.web),
    )


def simulator(var_dir: Path, env: Mapping[str, str], where: Addresses) -> Child:
    command = ["-m", "x_integration.simulator", "--state", str(simulator_folder(var_dir))]
    command += ["--fd", str(where.simulator_socket.fileno())]
    return _child("simulator", command, var_dir, env, listens=where.simulator_socket)


def command(var_dir: Path, env: Mapping[str, str], name: str, *, shown: bool) -> Child:
    """A management command that comes to an end by itself."""
    return _child(name, ["manage.py", name], var_dir, env, shown=shown)


def _child(
    name: str,
    arguments: list[str],
    var_dir: Path,
    env: Mapping[str, str],
    *,
    shown: bool = False,
    listens: socket.socket | None = None,
) -> Child:
    return Child(
        name=name,
        command=[sys.executable, *arguments],
        env=env,
        cwd=BASE_DIR,
        log=log(var_dir, name),
        shown=shown,
        listens=listens,
    )


class ServerPart:
    """One of our own servers, as the supervisor sees it. It keeps its own records."""

    identity: Identity | None = None

    def __init__(self, servers: Servers, server: LocalServer) -> None:
        self.servers, self.server = servers, server
        self.name, self.log = server.name, server.log

    def start(self) -> None:
        try:
            self.servers.restart(self.server)
        except ServerError as error:
            raise GaveUp(str(error)) from None

    def is_alive(self) -> bool:
        return self.server.is_alive()

    def stop(self, hurried: Callable[[], bool]) -> None:
        self.server.stop()


def answers(base_url: str, path: str) -> bool:
    """Whether a GET is answered with 200."""
    try:
        return b" 200 " in _get(base_url, path).partition(b"\r\n")[0]
    except OSError:
        return False


def _get(base_url: str, path: str) -> bytes:
    """Head and body of the answer. By hand: an HTTP library would stay in memory. Raises OSError."""
    port = int(base_url.rsplit(":", 1)[1])
    with socket.create_connection((LOOPBACK, port), timeout=5) as connection:
        request = f"GET {path} HTTP/1.0\r\nHost: {LOOPBACK}:{port}\r\n\r\n"
        connection.sendall(request.encode())
        return connection.makefile("rb").read()

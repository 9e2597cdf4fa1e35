"""Where a benchmark plays: servers that lose nothing, a local X, workers; all its own, all real.

PostgreSQL is the durable one (`synchronous_commit` and `fsync` on), empty and migrated; settings are
the defaults, whatever the shell says. Everything ends with the benchmark; a kill -9 leaves the local X
running, and a folder that the next run, of a benchmark or of the tests, removes.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import IO

import psutil

from revfirst import embedded, processes
from tests.demos import REPOSITORY, clean_environment
from tests.servers import prepare
from x_integration.simulator.process import SimulatorProcess


@dataclass
class Stage:
    """What runs, and the environment that a process needs to take part."""

    var_dir: Path
    env: dict[str, str] = field(repr=False)  # holds passwords
    simulator: SimulatorProcess
    pids: dict[str, int]

    @property
    def database_log(self) -> Path:
        """What PostgreSQL says."""
        return self.var_dir / "log" / "postgres.log"

    @property
    def log(self) -> Path:
        """What the worker says."""
        return self.var_dir / "worker.log"

    @contextmanager
    def worker(self, **environment: str) -> Iterator[None]:
        """A worker host (`manage.py qcluster`); settings are the defaults but for `environment`."""
        with open(self.log, "ab") as log, _running({**self.env, **environment}, log) as child:
            self.pids["worker"] = child.pid
            yield
            if child.poll() is not None:
                raise RuntimeError(f"The worker died: {self.log.read_text()[-2000:]}")
        del self.pids["worker"]

    def effort(self) -> "Effort":
        """What every part has cost so far."""
        seconds = {name: _cpu_seconds(pid) for name, pid in self.pids.items()}
        seconds["benchmark"] = sum(psutil.Process().cpu_times()[:2])
        return Effort(monotonic(), seconds, _busy_seconds())


@dataclass(frozen=True)
class Effort:
    """CPU seconds by part, and of the whole machine, at an instant of `time.monotonic()`."""

    at: float
    seconds: dict[str, float]
    machine: float

    def shares_since(self, before: "Effort") -> dict[str, float]:
        """Per cent of all cores since `before`: by part, and of strangers on this machine."""
        cores = (self.at - before.at) * (psutil.cpu_count() or 1) / 100
        spent = {name: self.seconds[name] - before.seconds.get(name, 0.0) for name in self.seconds}
        strangers = max(0.0, self.machine - before.machine - sum(spent.values()))
        return {
            name: seconds / cores for name, seconds in {**spent, "strangers": strangers}.items()
        }


@contextmanager
def a_stage(*, settings: str = "revfirst.settings") -> Iterator[Stage]:
    """Everything but the worker. Django is set up in this process too, for rows to make and read."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with ExitStack() as stack:
        stack.callback(prepare(start_servers=False))  # a folder of our own; theirs would forget
        var_dir = Path(os.environ["REVFIRST_VAR_DIR"])
        servers = stack.enter_context(
            embedded.start(var_dir, durable=True, env=clean_environment(var_dir))
        )
        simulator = stack.enter_context(SimulatorProcess(var_dir / "x"))
        env = {
            **_environment(var_dir, servers, simulator),
            "DJANGO_SETTINGS_MODULE": settings,
        }
        os.environ.clear()
        os.environ.update(env)
        import django

        django.setup()
        from django.core.management import call_command

        call_command("migrate", verbosity=0)
        pids = {server.name: server.identity.pid for server in servers.own if server.identity}
        if simulator.process:
            pids["simulator"] = simulator.process.pid
        yield Stage(var_dir, env, simulator, pids)


def _environment(
    var_dir: Path, servers: embedded.Servers, simulator: SimulatorProcess
) -> dict[str, str]:
    metrics = var_dir / "prometheus"
    metrics.mkdir()
    return clean_environment(
        var_dir,
        ENVIRONMENT="development",
        DATABASE_URL=servers.database_url,
        REDIS_URL=servers.redis_url,
        X_API_BASE_URL=simulator.base_url,
        X_CLIENT_ID=simulator.client_id,
        X_CLIENT_SECRET=simulator.client_secret,
        X_REDIRECT_URI=simulator.redirect_uri,
        PROMETHEUS_MULTIPROC_DIR=str(metrics),  # as web processes of a site have it
        PYTHONPATH=str(REPOSITORY),
    )


@contextmanager
def _running(env: dict[str, str], log: IO[bytes]) -> Iterator["subprocess.Popen[bytes]"]:
    child = processes.spawn(
        [sys.executable, "manage.py", "qcluster"], env=env, log=log, cwd=REPOSITORY
    )
    try:
        yield child
    finally:
        child.terminate()  # the main process only: a group TERM hangs the engine
        try:
            child.wait(timeout=30)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait(timeout=5)


def _cpu_seconds(pid: int) -> float:
    """Of a process, what it started, and those of them that have ended."""
    total = 0.0
    main = psutil.Process(pid)
    for process in [main, *main.children(recursive=True)]:
        try:
            total += sum(process.cpu_times()[:4])  # own and ended children's, user and system
        except psutil.NoSuchProcess:
            continue
    return total


def _busy_seconds() -> float:
    """Of the whole machine, with what its host took away (steal)."""
    times = psutil.cpu_times()
    return float(sum(times[:8]) - times.idle - getattr(times, "iowait", 0.0))

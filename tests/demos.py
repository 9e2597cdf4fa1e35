"""The demo as a process of its own, for tests and benchmarks. Needs no Django."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from signal import SIGTERM

import psutil

from revfirst import demo_parts, embedded
from revfirst.records import read_record
from revfirst.wait import wait_until

REPOSITORY = Path(__file__).resolve().parent.parent
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


@contextmanager
def temporary_var() -> Iterator[Path]:
    """A checkout's var/ of one's own, gone at the end with the servers' data."""
    folder = Path(tempfile.mkdtemp(prefix="revfirst-demo-"))
    yield folder
    embedded.discard(folder)
    shutil.rmtree(folder)


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


@contextmanager
def a_demo(var_dir: Path) -> Iterator[RunningDemo]:
    """A demo that is ready, and is stopped at the end."""
    found = RunningDemo(var_dir)
    try:
        found.wait_ready()
        yield found
    finally:
        found.end()

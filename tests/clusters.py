"""Real workers and web processes for tests, each in a process of its own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from types import TracebackType
from typing import Self
from urllib.request import urlopen

from revfirst.wait import wait_until
from tests.worlds import ROOT


class Cluster:
    """A worker host. `dies_at` names a function at whose start the whole cluster is killed."""

    def __init__(self, env: dict[str, str], *, dies_at: str = "") -> None:
        self.env = {**env, "TEST_DIES_AT": dies_at}
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.mortal_cluster"],
            cwd=ROOT,
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """SIGTERM to the main process only (a group TERM hangs the engine), then the rest."""
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(timeout=5)

    def kill(self) -> None:
        """End the whole cluster at once."""
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)

    def died(self, *, seconds: float = 20) -> bool:
        """Wait for the cluster's sudden end."""
        process = self.process
        assert process is not None
        return wait_until(lambda: process.poll() is not None, seconds=seconds)


class Web:
    """gunicorn in a process of its own."""

    def __init__(self, env: dict[str, str], port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.env = {**env, "WEB_BIND": f"127.0.0.1:{port}", "WEB_CONCURRENCY": "1"}

    def __enter__(self) -> Self:
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "gunicorn", "-c", "deploy/gunicorn.conf.py"),
                "revfirst.wsgi:application",
            ],
            cwd=ROOT,
            env=self.env,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        assert wait_until(self._answers, seconds=20, every=0.1)
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait(timeout=15)

    def _answers(self) -> bool:
        try:
            return bool(self._read("/health/live"))
        except OSError:
            return False

    def _read(self, path: str) -> str:
        with urlopen(self.url + path, timeout=10) as answer:  # noqa: S310 - our own, on loopback
            return str(answer.read().decode())

    def replies_published(self) -> dict[str, float]:
        """By workspace, as Prometheus reads it."""
        text = self._read("/metrics")
        found = re.findall(
            r'^revfirst_replies_published_total{workspace="([^"]+)"} (\S+)$', text, re.MULTILINE
        )
        return {slug: float(value) for slug, value in found}


def eventually(condition: Callable[[], bool], *, seconds: float = 20) -> bool:
    """Whether `condition` comes true in time."""
    return wait_until(condition, seconds=seconds)

"""Real workers for tests: `manage.py qcluster` in processes of their own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from types import TracebackType
from typing import Self

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

    def died(self, *, seconds: float = 20) -> bool:
        """Wait for the cluster's sudden end."""
        process = self.process
        assert process is not None
        return wait_until(lambda: process.poll() is not None, seconds=seconds)


def eventually(condition: Callable[[], bool], *, seconds: float = 20) -> bool:
    """Whether `condition` comes true in time."""
    return wait_until(condition, seconds=seconds)

"""Workers that die where a test says: forked from a process that has Django ready, killed for real.

A whole Django process takes more than a second to start. `Mortals` starts one, which opens no
database connection; each worker is a fork of it, does one piece of work (`works.py`), and may be
killed or held up at a place (`places.py`) or be wrong on purpose (`mutants.py`).
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from types import TracebackType

KILLED = -signal.SIGKILL
_START_SECONDS = 30


@dataclass
class Worker:
    """One forked worker, and what is known of it."""

    mortals: Mortals
    number: int
    told: dict[str, Any] = field(default_factory=dict)

    @property
    def died_at(self) -> str:
        """The place at which it was killed; blank for none."""
        return str(self.told.get("died_at", ""))

    @property
    def was_killed(self) -> bool:
        """Whether SIGKILL ended it."""
        return self.told.get("status") == KILLED

    @property
    def raised(self) -> str:
        """What ended its work early: the error's class and text."""
        return str(self.told.get("raised", ""))

    @property
    def returned(self) -> Any:
        """What its work returned."""
        return self.told.get("returned")

    def wait(self, *, seconds: float = 60) -> Self:
        """Wait for its end. Raises TimeoutError."""
        if not self.mortals.hear(lambda: "status" in self.told, seconds=seconds):
            raise TimeoutError(f"A worker is still at work after {seconds} s: {self.told}")
        return self

    def is_held(self, *, seconds: float) -> bool:
        """Whether it came to the place where it is held up, within `seconds`."""
        return self.mortals.hear(lambda: "held_at" in self.told, seconds=seconds)

    def let_go(self) -> None:
        """Let it go on; one that is not held yet will not be."""
        self.mortals.hear(lambda: "pid" in self.told, seconds=10)
        os.kill(self.told["pid"], signal.SIGUSR1)


class Mortals:
    """The process that forks workers; `env` is what they live in."""

    def __init__(self, env: Mapping[str, str], *, folder: Path) -> None:
        self._env, self._folder = dict(env), folder
        self._workers: list[Worker] = []
        self._heard = b""
        self.is_ready = False

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.mortals"],
            cwd=self._folder,
            env=self._env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        self._listen(_START_SECONDS)
        if not self.is_ready:
            self._end()
            raise RuntimeError("The workers' parent process is not ready.")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End it and every worker that is left: they share its process group."""
        self._end()

    def _end(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.communicate()

    def start(
        self, work: str, *args: Any, dies_at: str = "", held_at: str = "", mutant: str = ""
    ) -> Worker:
        """Begin a piece of work in a worker of its own."""
        worker = Worker(self, len(self._workers))
        self._workers.append(worker)
        order = {"number": worker.number, "work": work, "args": args}
        order |= {"dies_at": dies_at, "held_at": held_at, "mutant": mutant}
        pipe = self._process.stdin
        assert pipe is not None
        pipe.write(json.dumps(order).encode() + b"\n")
        pipe.flush()
        return worker

    def run(self, work: str, *args: Any, dies_at: str = "", mutant: str = "") -> Worker:
        """Begin a piece of work and wait for its end."""
        return self.start(work, *args, dies_at=dies_at, mutant=mutant).wait()

    def hear(self, enough: Any, *, seconds: float) -> bool:
        """Listen to the workers until `enough()` or for `seconds`; whether it was enough."""
        until = monotonic() + seconds
        while not enough():
            left = until - monotonic()
            if left <= 0 or not self._listen(left):
                return False
        return True

    def _listen(self, seconds: float) -> bool:
        pipe = self._process.stdout
        assert pipe is not None
        if not select.select([pipe], [], [], seconds)[0]:
            return False
        heard = os.read(pipe.fileno(), 65_536)
        if not heard:
            raise RuntimeError("The workers' parent process ended: it says why on standard error.")
        *lines, self._heard = (self._heard + heard).split(b"\n")
        for line in lines:
            told = json.loads(line)
            if told.pop("ready", False):
                self.is_ready = True
                continue
            self._workers[told.pop("number")].told.update(told)
        return True

"""What the two local servers have in common: one process, one loopback port, one log."""

import os
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from signal import Signals

from revfirst import processes
from revfirst.processes import Account, Identity
from revfirst.programs import PROGRAM_ENVIRONMENT
from revfirst.wait import wait_until


class ServerError(Exception):
    """A server cannot be had; the text is one sentence for the person at the terminal."""


class PortTaken(ServerError):
    """Somebody took the port between our look and our listening."""


class LocalServer(ABC):
    """A server process that we start, recognise and end."""

    name: str
    stop_steps: Sequence[tuple[Signals, float]]
    ready_within = 60.0

    def __init__(self, *, folder: Path, log: Path, account: Account | None, password: str) -> None:
        self.folder, self.log, self.account, self.password = folder, log, account, password
        self.port = 0
        self._child: subprocess.Popen[bytes] | None = None
        self._identity: Identity | None = None

    @property
    @abstractmethod
    def url(self) -> str:
        """Where clients connect, password included."""

    @abstractmethod
    def _command(self, port: int) -> list[str | Path]: ...

    @abstractmethod
    def _answers(self) -> bool:
        """Whether the started process serves requests by now."""

    def _configuration(self, port: int) -> bytes:
        """What the process reads from its standard input: no secret belongs into arguments."""
        return b""

    @property
    def identity(self) -> Identity | None:
        """The process that runs, for the next run to recognise."""
        return self._identity

    def is_alive(self) -> bool:
        return self._child is not None and self._child.poll() is None

    def start(self, port: int) -> None:
        """Start and wait until it serves. Raises PortTaken, or ServerError with its last words."""
        self.port = port
        self.log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with open(self.log, "ab", opener=_private) as log:
            begin = log.tell()
            self._child = processes.spawn(
                self._command(port),
                env=PROGRAM_ENVIRONMENT,
                log=log,
                stdin=subprocess.PIPE,
                account=self.account,
                last_signal=self.stop_steps[0][0],
            )
        self._identity = processes.identify(self._child.pid)
        self._tell_configuration(self._configuration(port))
        wait_until(
            lambda: not self.is_alive() or self._answers(), seconds=self.ready_within, every=0.01
        )
        if not (self.is_alive() and self._answers()):
            self.stop()
            raise self._why_not(self.log.read_bytes()[begin:].decode(errors="replace"))

    def stop(self) -> None:
        """End what `start` started; nothing when it is over already."""
        if self._child is None:
            return
        if self._child.poll() is None and self._identity:
            processes.end(self._identity, *self.stop_steps)
        self._child.wait()
        processes.kill_group(self._child.pid)
        self._child = None

    def _tell_configuration(self, text: bytes) -> None:
        if self._child is None or self._child.stdin is None:
            return
        try:
            with self._child.stdin as stdin:
                stdin.write(text)
        except BrokenPipeError:
            return  # it ended already; its log says why

    def _why_not(self, words: str) -> ServerError:
        if "address already in use" in words.lower():
            return PortTaken(f"Port {self.port} is in use.")
        last = next((line for line in reversed(words.splitlines()) if line.strip()), "no words")
        return ServerError(
            f"{self.name} does not start in {self.folder} ({last.strip()}); its log is {self.log}."
        )


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)

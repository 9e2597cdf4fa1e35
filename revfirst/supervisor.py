"""A small supervisor: start parts, start again what dies, stop all of it in a given order.

Plain Python, so that it stays small beside what it watches. Nothing it started outlives it: a stop
ends each part's whole session, the kernel tells the parts when we are killed (Linux), and the next
run ends what is left, recognised by pid and start time.

No signal handler raises: it only counts, and every wait here looks at the count.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from types import FrameType
from typing import IO, Protocol

from revfirst import processes
from revfirst.processes import Identity
from revfirst.records import damaged, read_record, write_record
from revfirst.wait import wait_until

LOG_LIMIT = 10_000_000  # bytes; what is older goes to a second file, then away
QUICK_DEATH = 10.0  # seconds: an end so soon after the start counts as one that never worked
QUICK_DEATHS = 5
LONGEST_BACK_OFF = 30.0
TICK = 0.2


class GaveUp(Exception):
    """A part does not stay up, or never came up; the text is one sentence with its last words."""


class Interruptions:
    """How often somebody asked us to stop: the first asks, the second hurries."""

    def __init__(self) -> None:
        self.count = 0

    def listen(self) -> None:
        """Count Ctrl-C, SIGTERM and a closed terminal from now on."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._note)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.count += 1

    def asked(self) -> bool:
        return self.count > 0

    def hurried(self) -> bool:
        return self.count > 1


class Part(Protocol):
    """What a supervisor keeps alive."""

    name: str
    log: Path

    @property
    def identity(self) -> Identity | None:
        """The process to end should we be killed; None when the part keeps its own records."""

    def start(self) -> None:
        """Raises GaveUp when it cannot even begin."""

    def is_alive(self) -> bool: ...

    def stop(self, hurried: Callable[[], bool]) -> None: ...


@dataclass
class Child:
    """One command in a session of its own, its words in a log.

    A stop sends SIGTERM to the main process alone, since some clusters hang when their helpers are
    told too, waits `patience` seconds, and then kills what is left of the session.
    """

    name: str
    command: Sequence[str]
    env: Mapping[str, str]
    cwd: Path
    log: Path
    patience: float = 10.0
    shown: bool = False  # its words go where ours go
    listens: socket.socket | None = None  # held by us, so that nobody takes the port meanwhile
    identity: Identity | None = None
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def start(self) -> None:
        self.stop(lambda: True)  # whatever an earlier start left in its session
        with _opened(self.log) as log:
            self._process = processes.spawn(
                self.command,
                env=self.env,
                log=None if self.shown else log,
                cwd=self.cwd,
                handed=[self.listens.fileno()] if self.listens else [],
            )
        self.identity = processes.identify(self._process.pid)

    def is_alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def exit_code(self) -> int | None:
        return self._process.poll() if self._process else None

    def stop(self, hurried: Callable[[], bool]) -> None:
        if self._process is None:
            return
        if self.is_alive():
            with suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGTERM)
            wait_until(lambda: hurried() or not self.is_alive(), seconds=self.patience)
        processes.kill_group(self._process.pid)
        self._process.wait()
        self._process = self.identity = None


@dataclass
class _Health:
    """How a part has fared, and when it may start again."""

    started: float = 0.0
    quick_deaths: int = 0
    restart_at: float | None = None


class Supervisor:
    """Keeps parts alive until somebody asks for the end."""

    def __init__(
        self,
        *,
        interruptions: Interruptions,
        record: Path,
        say: Callable[[str], None],
        stop_order: Sequence[str],
    ) -> None:
        self.interruptions, self.record, self.say = interruptions, record, say
        self.stop_order = list(stop_order)
        self._parts: list[Part] = []
        self._health: dict[str, _Health] = {}

    def adopt(self, part: Part) -> None:
        """Watch a part that runs already."""
        self._parts.append(part)
        self._health[part.name] = _Health(started=monotonic())

    def start(self, part: Part) -> None:
        """Start a part on a fresh log and watch it from now on."""
        rotate(part.log)
        part.start()
        self.adopt(part)
        self._remember()

    def wait_ready(self, part: Part, ready: Callable[[], bool], *, seconds: float) -> None:
        """Wait until `ready()`; raises GaveUp when the part ends first or takes longer."""

        def settled() -> bool:
            return self.interruptions.asked() or not part.is_alive() or ready()

        if not wait_until(settled, seconds=seconds):
            raise GaveUp(f"{part.name} was not ready after {seconds:.0f} s; its log is {part.log}.")
        if not part.is_alive() and not self.interruptions.asked():
            raise GaveUp(f"{part.name} ended right after its start: {last_words(part.log)}")

    def watch(self, *, until: Callable[[], bool]) -> None:
        """Start again what dies, until `until()` or until asked to stop. Raises GaveUp."""

        def tick() -> bool:
            for part in self._parts:
                self._look_after(part)
            return self.interruptions.asked() or until()

        while not wait_until(tick, seconds=60, every=TICK):
            for part in self._parts:
                trim(part.log)

    def stop(self) -> None:
        """Stop every part, in order; parts without a place in it go first. A second call hurries
        nothing and finds nothing to do."""
        ranks = {name: rank for rank, name in enumerate(self.stop_order)}
        for part in sorted(self._parts, key=lambda part: ranks.get(part.name, -1)):
            part.stop(self.interruptions.hurried)
        self._parts.clear()
        self.record.unlink(missing_ok=True)

    def _look_after(self, part: Part) -> None:
        health, now = self._health[part.name], monotonic()
        if part.is_alive():
            return
        if health.restart_at is None:
            pause = self._pause_after_death(part, health, now)
            health.restart_at = now + pause
            self.say(f"{part.name} ended; starting it again in {pause:g} s ({part.log})")
        elif now >= health.restart_at:
            health.restart_at, health.started = None, now
            self._start_again(part)

    def _pause_after_death(self, part: Part, health: _Health, now: float) -> float:
        """Seconds to wait before the next start: twice as long after every quick death."""
        quick = now - health.started < QUICK_DEATH
        health.quick_deaths = health.quick_deaths + 1 if quick else 1
        if health.quick_deaths >= QUICK_DEATHS:
            raise GaveUp(
                f"{part.name} ended {QUICK_DEATHS} times right after its start: "
                f"{last_words(part.log)}"
            )
        return min(0.5 * 2.0 ** (health.quick_deaths - 1), LONGEST_BACK_OFF)

    def _start_again(self, part: Part) -> None:
        try:
            part.start()
        except GaveUp as error:
            self.say(str(error))  # one quick death more; the next look counts it
        self._remember()

    def _remember(self) -> None:
        """Write down what the next run must end should we be killed."""
        known = {
            part.name: {
                "pid": part.identity.pid,
                "started": part.identity.started,
                "command": processes.command_line(part.identity.pid),
            }
            for part in self._parts
            if part.identity
        }
        write_record(self.record, known)


def end_leftovers(record: Path, *, patience: float = 5.0) -> list[str]:
    """End what a killed supervisor left running; the names of what was found.

    Raises OSError, or ValueError when the note is damaged.
    """
    ended = []
    found = read_record(record)
    if not all(map(_is_whole, found.values())):
        raise ValueError(damaged(record))
    for name, known in found.items():
        main = Identity(known["pid"], known["started"])
        helpers = [] if processes.identify(main.pid) else _same_command(main.pid, known["command"])
        if main.is_alive() or helpers:
            ended.append(name)
            processes.end(main, (signal.SIGTERM, patience))
            processes.kill_group(main.pid)
    record.unlink(missing_ok=True)
    return ended


def _is_whole(known: object) -> bool:
    return (
        isinstance(known, dict)
        and isinstance(known.get("pid"), int)
        and isinstance(known.get("started"), str)
        and isinstance(known.get("command"), str)
    )


def _same_command(group: int, command: str) -> list[int]:
    """Members of the group that were forked off `command`: a number alone may be anybody's."""
    return [pid for pid in processes.members(group) if processes.command_line(pid) == command]


# --- Logs ---------------------------------------------------------------------------------------


def _opened(log: Path) -> IO[bytes]:
    log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return open(log, "ab", opener=lambda path, flags: os.open(path, flags, 0o600))


def rotate(log: Path) -> None:
    """Begin a new log and keep the last one beside it."""
    if log.exists():
        log.replace(log.with_suffix(".log.1"))


def trim(log: Path) -> None:
    """Keep a log that is being written within bounds; its writers append, so they just go on."""
    with suppress(OSError):
        if log.stat().st_size > LOG_LIMIT:
            shutil.copyfile(log, log.with_suffix(".log.1"))
            os.truncate(log, 0)


def last_words(log: Path, *, lines: int = 3) -> str:
    """The end of a log for a sentence: its last lines, or where to look when it is a traceback."""
    try:
        words = [
            line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()
        ]
    except OSError:
        words = []
    if not words:
        return f"it said nothing ({log})"
    told = words[-1:] if any(line.startswith("Traceback ") for line in words) else words[-lines:]
    return f"{' / '.join(told)} ({log})"


def say(sentence: str) -> None:
    """Print a line at once; a terminal that is gone is no reason to stop stopping."""
    with suppress(OSError, ValueError):
        print(sentence, flush=True)


def complain(sentence: str) -> None:
    """Print a line where errors go."""
    with suppress(OSError, ValueError):
        print(sentence, file=sys.stderr, flush=True)

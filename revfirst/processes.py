"""Processes and ports: start, recognise again, end. Plain Python, so that supervisors stay small.

A pid alone names nobody for long, since numbers are used again. An `Identity` adds the start time,
and everything that ends a process compares both first.
"""

import ctypes
import os
import pwd
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from revfirst.wait import wait_until

LOOPBACK = "127.0.0.1"
_PROC = Path("/proc")
_HAS_PROC = (_PROC / "self" / "stat").exists()
_PR_SET_PDEATHSIG = 1  # linux/prctl.h


@dataclass(frozen=True)
class Account:
    """A user of this machine under whom a server runs when we are root."""

    uid: int
    gid: int

    @classmethod
    def unprivileged(cls) -> "Account | None":
        """None for an ordinary user, who needs no other; for root the first of postgres, nobody."""
        if os.getuid() != 0:
            return None
        for name in ("postgres", "nobody"):
            try:
                entry = pwd.getpwnam(name)
            except KeyError:
                continue
            return cls(entry.pw_uid, entry.pw_gid)
        return cls(65534, 65534)

    def can_enter(self, folder: Path) -> bool:
        """Whether this user gets to `folder`; asked of the kernel, which knows ACLs too."""
        return run(["test", "-x", folder], env={"PATH": os.defpath}, account=self).returncode == 0


@dataclass(frozen=True)
class Identity:
    """One process and no later one with the same number."""

    pid: int
    started: str

    def is_alive(self) -> bool:
        return identify(self.pid) == self


# --- Starting -----------------------------------------------------------------------------------


def spawn(
    command: Sequence[str | Path],
    *,
    env: Mapping[str, str],
    log: IO[bytes] | None,
    stdin: IO[bytes] | int = subprocess.DEVNULL,
    account: Account | None = None,
    cwd: str | Path = "/",
    last_signal: signal.Signals = signal.SIGTERM,
    handed: Sequence[int] = (),
) -> subprocess.Popen[bytes]:
    """Start `command` in a session of its own, deaf to our terminal's Ctrl-C.

    Both its streams go to `log`, or where ours go when there is none; it keeps the file descriptors
    `handed`, under the same numbers.
    Where the kernel can (Linux), it sends `last_signal` when we die without a goodbye.
    """
    return subprocess.Popen(
        [str(part) for part in command],
        env=dict(env),
        stdin=stdin,
        stdout=log,
        stderr=log and subprocess.STDOUT,
        cwd=cwd,
        start_new_session=True,
        pass_fds=tuple(handed),
        preexec_fn=_die_with_parent(last_signal),  # noqa: PLW1509 - we start before any thread
        user=account.uid if account else None,
        group=account.gid if account else None,
        extra_groups=[] if account else None,
    )


def run(
    command: Sequence[str | Path],
    *,
    env: Mapping[str, str],
    stdin: str = "",
    account: Account | None = None,
    timeout: float = 120,
) -> subprocess.CompletedProcess[str]:
    """Run `command` to its end; its words of both streams are in `stdout`. Raises OSError."""
    try:
        return subprocess.run(
            [str(part) for part in command],
            env=dict(env),
            input=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            cwd="/",
            start_new_session=True,  # Ctrl-C is ours to act on
            timeout=timeout,
            check=False,
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
        )
    except subprocess.TimeoutExpired:
        raise OSError(f"{command[0]} took longer than {timeout:.0f} s") from None


def _die_with_parent(last_signal: signal.Signals) -> Callable[[], None] | None:
    """What a child does before it becomes its program; after the change of user, which resets it."""
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    parent = os.getpid()

    def ask() -> None:
        prctl(_PR_SET_PDEATHSIG, int(last_signal), 0, 0, 0)
        if os.getppid() != parent:  # died between fork and prctl
            os._exit(1)

    return ask


# --- Recognising --------------------------------------------------------------------------------


def identify(pid: int) -> Identity | None:
    """The process that has this number now; None for nobody and for one that merely awaits reaping."""
    if _HAS_PROC:
        found = _proc_stat(pid)
        return None if found is None or found.state in "ZX" else Identity(pid, found.started)
    state, _, started = _ps(pid, "state=,lstart=").partition(" ")
    return None if not state or state.startswith("Z") else Identity(pid, started.strip())


def command_line(pid: int) -> str:
    """What the process was started with, words joined by blanks; empty when it is gone."""
    if not _HAS_PROC:
        return _ps(pid, "args=")
    try:
        words = (_PROC / str(pid) / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return ""
    return b" ".join(words).decode(errors="replace").strip()


def members(group: int) -> list[int]:
    """The pids of a process group, those that await reaping left out."""
    if not _HAS_PROC:
        rows = [row.split() for row in _ps(None, "pid=,pgid=,state=").splitlines()]
        return [int(pid) for pid, of, state in rows if int(of) == group and state[0] != "Z"]
    pids = [int(entry.name) for entry in _PROC.iterdir() if entry.name.isdecimal()]
    found = [(pid, _proc_stat(pid)) for pid in pids]
    return [pid for pid, stat in found if stat and stat.group == group and stat.state not in "ZX"]


@dataclass(frozen=True)
class _Stat:
    state: str
    group: int
    started: str


def _proc_stat(pid: int) -> _Stat | None:
    """Fields of proc(5); the command in parentheses may hold anything, so we count from its end."""
    try:
        fields = (_PROC / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return _Stat(state=fields[0], group=int(fields[2]), started=fields[19])


def _ps(pid: int | None, columns: str) -> str:
    which = ["-A"] if pid is None else ["-p", str(pid)]
    environment = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}
    return run(["ps", "-ww", *which, "-o", columns], env=environment).stdout.strip()


# --- Ending -------------------------------------------------------------------------------------


def end(process: Identity, *steps: tuple[signal.Signals, float]) -> bool:
    """Send each step's signal and wait its seconds, until the process is gone. Says whether it is."""
    for step, seconds in steps:
        if not process.is_alive():
            return True
        _signal(os.kill, process.pid, step)
        if wait_until(lambda: not process.is_alive(), seconds=seconds, every=0.02):
            return True
    return not process.is_alive()


def kill_group(group: int, *, seconds: float = 5) -> bool:
    """SIGKILL what is left of a process group. Says whether nothing is left."""
    if members(group):
        _signal(os.killpg, group, signal.SIGKILL)
    return wait_until(lambda: not members(group), seconds=seconds, every=0.02)


def _signal(send: Callable[[int, int], None], number: int, which: signal.Signals) -> None:
    try:
        send(number, which)
    except ProcessLookupError:
        return


# --- Ports --------------------------------------------------------------------------------------


def listen_on(port: int) -> socket.socket | None:
    """A socket that listens on this loopback port from now on; None when the port is taken.

    Raises PermissionError for a port that is not ours to use.
    """
    server = socket.socket()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        server.bind((LOOPBACK, port))
        server.listen(512)
    except PermissionError:
        server.close()
        raise
    except OSError:  # whoever binds at the same moment is found out by one of the two calls
        server.close()
        return None
    return server


def is_free(port: int) -> bool:
    """Whether a server could listen on this loopback port now."""
    try:
        held = listen_on(port)
    except PermissionError:
        return False
    if held:
        held.close()
    return held is not None


def free_port(*preferred: int) -> int:
    """The first preferred port that is free, or any other; whoever takes it may still lose a race."""
    for port in preferred:
        if is_free(port):
            return port
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def ports(*preferred: int, tries: int = 5) -> Iterator[int]:
    """Ports to try one after the other when the first was taken under our hands."""
    yield free_port(*preferred)
    for _ in range(tries - 1):
        yield free_port()

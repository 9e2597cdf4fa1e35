"""The process that forks the workers: orders come on standard input, what becomes of them goes out.

Both are JSON, a line each. A line is one write, and shorter than what a pipe keeps in one piece.
"""

import json
import os
import select
import signal
from typing import Any, NoReturn

import django

_EVERY = 0.005  # seconds between two looks for the dead, while somebody is alive


def main() -> None:
    """Get Django ready, leave nothing open, and fork a worker for each order."""
    out = os.dup(1)
    os.dup2(2, 1)  # what a worker prints is no line of ours
    django.setup()
    from tests.mortals.birth import live
    from tests.mortals.works import warm_up

    warm_up()
    os.write(out, b'{"ready": true}\n')
    if not os.environ.get("MORTALS_ARE_LOUD"):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    alive: dict[int, int] = {}
    heard = b""
    while True:
        if select.select([0], [], [], _EVERY if alive else None)[0]:
            read = os.read(0, 65_536)
            if not read:
                return
            *lines, heard = (heard + read).split(b"\n")
            for line in lines:
                _fork(json.loads(line), live, alive, out)
        _bury(alive, out)


def _fork(order: dict[str, Any], live: Any, alive: dict[int, int], out: int) -> None:
    pid = os.fork()
    if pid:
        alive[pid] = order["number"]
        return
    _live(order, live, out)


def _live(order: dict[str, Any], live: Any, out: int) -> NoReturn:
    """A worker's whole life; it never returns to its parent's loop."""
    signal.pthread_sigmask(
        signal.SIG_BLOCK, {signal.SIGUSR1}
    )  # "go on" waits until it is asked for
    os.close(0)

    def tell(**told: Any) -> None:
        os.write(out, json.dumps({"number": order["number"], **told}).encode() + b"\n")

    status = 1
    try:
        tell(pid=os.getpid())
        tell(returned=live(order, tell))
        status = 0
    except BaseException as error:  # noqa: BLE001 - the test asks what it was
        tell(raised=f"{type(error).__name__}: {error}"[:1500])
    finally:
        os._exit(status)


def _bury(alive: dict[int, int], out: int) -> None:
    """Tell of each worker that has ended, and by what."""
    while alive:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if not pid:
            return
        told = {"number": alive.pop(pid), "status": os.waitstatus_to_exitcode(status)}
        os.write(out, json.dumps(told).encode() + b"\n")


if __name__ == "__main__":
    main()

"""python -m tests.x_integration.stampede WORKSPACE PROCESSES: all of them ask for the token at once.

Real processes, forked after the set-up so that they start together. Each prints the SHA-256 of the
token that it got, or `none`. The environment may say `STAMPEDE_DIES_AT` (`module:Class.name`: the
process that calls it is killed, as by kill -9), `STAMPEDE_LATER` (seconds that have passed) and
`STAMPEDE_WAITS` (seconds that the second comers wait).
"""

import hashlib
import os
import signal
import sys
from datetime import timedelta
from functools import reduce
from importlib import import_module
from typing import Any

import django


def _die(*args: Any, **kwargs: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _plant() -> None:
    if place := os.environ.get("STAMPEDE_DIES_AT"):
        module, _, path = place.partition(":")
        *owners, name = path.split(".")
        setattr(reduce(getattr, owners, import_module(module)), name, _die)
    if waits := os.environ.get("STAMPEDE_WAITS"):
        import_module("x_integration.services.tokens").WAIT_SECONDS = float(waits)  # type: ignore[attr-defined]


def _ask(workspace_id: str, start: int) -> str:
    from django.utils import timezone

    from workspaces.models import Workspace
    from x_integration.services import get_workspace_x_access_token

    workspace = Workspace.objects.get(pk=workspace_id)
    os.read(start, 1)  # the pipe closes: go
    later = timedelta(seconds=float(os.environ.get("STAMPEDE_LATER", "0")))
    token = get_workspace_x_access_token(workspace, now=timezone.now() + later)
    return hashlib.sha256(token.encode()).hexdigest() if token else "none"


def main() -> None:
    """Fork, let go, wait."""
    workspace_id, processes = sys.argv[1], int(sys.argv[2])
    django.setup()
    _plant()
    start, go = os.pipe()
    children = []
    for _ in range(processes):
        child = os.fork()
        if child == 0:
            os.close(go)
            os.write(1, (_ask(workspace_id, start) + "\n").encode())
            os._exit(0)
        children.append(child)
    os.close(start)
    os.close(go)
    for child in children:
        os.waitpid(child, 0)


if __name__ == "__main__":
    main()

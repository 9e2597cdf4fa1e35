"""`manage.py qcluster`, with a place where it is killed: the crash is real, the place is chosen.

`TEST_DIES_AT` names a function, `module:name` or `module:Class.name`; the whole process group is killed when it is called.
"""

import os
import signal
from functools import reduce
from importlib import import_module
from typing import Any

import django


def _die(*args: Any, **kwargs: Any) -> None:
    os.killpg(os.getpgid(0), signal.SIGKILL)


def main() -> None:
    """Plant the place, then be an ordinary worker."""
    django.setup()
    if place := os.environ.get("TEST_DIES_AT"):
        module, _, path = place.partition(":")
        *owners, name = path.split(".")
        setattr(reduce(getattr, owners, import_module(module)), name, _die)
    from django.core.management import call_command

    call_command("qcluster")


if __name__ == "__main__":
    main()

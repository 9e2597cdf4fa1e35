"""Secrets that nobody should have to invent for a first look: made once, kept under var/.

Plain Python: settings and the demo's supervisor both read it.
"""

import fcntl
import os
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from revfirst.records import damaged, read_record, write_record


def load_or_create(var_dir: Path) -> dict[str, str]:
    """The generated secrets of this checkout, by setting name; file mode 0600.

    Two processes may start at once: the second waits, and reads what the first has written. Raises
    OSError when `var_dir` cannot be written, ValueError when the file is damaged.
    """
    path = var_dir / "secrets.json"
    known = _read(path)
    if known.keys() >= _new().keys():
        return known
    var_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _alone(var_dir):
        complete = {**_new(), **_read(path)}
        write_record(path, complete)
    return complete


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep other processes out; the kernel lets go when we die."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _read(path: Path) -> dict[str, str]:
    found = read_record(path)
    if not all(isinstance(value, str) and value for value in found.values()):
        raise ValueError(damaged(path))
    return found


def _new() -> dict[str, str]:
    return {
        "SECRET_KEY": secrets.token_urlsafe(50),
        "TOKEN_ENCRYPTION_KEY": urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        "X_CLIENT_SECRET": secrets.token_urlsafe(32),
        "DEMO_PASSWORD": secrets.token_urlsafe(9),
    }

"""Secrets that nobody should have to invent for a first look: made once, kept under var/.

Plain Python: settings and the demo's supervisor both read it.
"""

import json
import os
import secrets
import tempfile
from base64 import urlsafe_b64encode
from pathlib import Path


def load_or_create(var_dir: Path) -> dict[str, str]:
    """The generated secrets of this checkout, by setting name; file mode 0600.

    Two processes may start at once: the file is completed under another name and linked into
    place, so that one of them wins and both read the same secrets. Raises OSError when `var_dir`
    cannot be written, ValueError when the file is damaged.
    """
    path = var_dir / "secrets.json"
    known = _read(path)
    if known.keys() >= _new().keys():
        return known
    var_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    complete = {**_new(), **known}
    handle, name = tempfile.mkstemp(dir=var_dir)  # mode 0600 from the start
    with os.fdopen(handle, "w") as file:
        json.dump(complete, file, indent=1)
    try:
        if known:
            os.replace(name, path)
        else:
            os.link(name, path)
    except FileExistsError:
        return _read(path)
    finally:
        Path(name).unlink(missing_ok=True)
    return complete


def _read(path: Path) -> dict[str, str]:
    try:
        found = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    if not isinstance(found, dict):
        raise ValueError(f"{path} is damaged")  # noqa: TRY004 - the file's fault, not a caller's
    return found


def _new() -> dict[str, str]:
    return {
        "SECRET_KEY": secrets.token_urlsafe(50),
        "TOKEN_ENCRYPTION_KEY": urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        "X_CLIENT_SECRET": secrets.token_urlsafe(32),
        "DEMO_PASSWORD": secrets.token_urlsafe(9),
    }

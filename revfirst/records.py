"""Small private JSON files under var/: complete or absent, never half written, mode 0600."""

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def read_record(path: Path) -> dict[str, Any]:
    """The file's object; empty when there is no file. Raises OSError, ValueError when damaged."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise ValueError(damaged(path))  # noqa: TRY004 - the file's
    return found


def damaged(path: Path) -> str:
    """What to do about a file that cannot be read: notes belong together, one alone helps nobody."""
    return f"{path} is damaged: run 'make clean', which begins anew, then try again"


def write_record(path: Path, record: Mapping[str, Any]) -> None:
    """Replace the file in one step, so that a reader sees the old record or the new one."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # 0600 from the start
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(record, file, indent=1)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise

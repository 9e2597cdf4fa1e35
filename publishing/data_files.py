"""Files of YAML that operators keep: read anew when they change, and never half."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

_MOST_BYTES = 100_000


class BadFile(ValueError):
    """The file cannot be used; the text says why, in a sentence that names it."""


def stamp(path: Path) -> tuple[int, int]:
    """What changes whenever the file does: its time (ns) and size (bytes). Raises BadFile."""
    try:
        seen = path.stat()
    except OSError as error:
        raise BadFile(f"{path} cannot be read: {error.strerror}.") from None
    return seen.st_mtime_ns, seen.st_size


def load(path: Path) -> Any:
    """What the file says, as plain values. Raises BadFile."""
    if stamp(path)[1] > _MOST_BYTES:
        raise BadFile(f"{path} cannot be used: it is larger than {_MOST_BYTES:,} bytes.")
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise BadFile(f"{path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise BadFile(f"{path} cannot be used: it is not UTF-8 text.") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" line {mark.line + 1}:" if mark else ""
        raise BadFile(f"{path} cannot be used:{where} it is not YAML.") from None


def mapping(found: Any, what: str, names: set[str], problems: list[str]) -> dict[str, Any]:
    """The values of the names that are known; a sentence is added for whatever is wrong."""
    if found is None:
        return {}
    if not isinstance(found, dict):
        problems.append(f"{what} must hold names and values.")
        return {}
    problems += [f'{what} has "{name}", which is not known.' for name in found if name not in names]
    return {name: value for name, value in found.items() if name in names}

"""Files that operators keep: small YAML, which counts as it stands now."""

from collections.abc import Callable
from functools import lru_cache, wraps
from pathlib import Path
from typing import Any, TypeVar

import yaml

_MOST_BYTES = 100_000
Read = TypeVar("Read")


class Unusable(Exception):
    """The file cannot be used; the text is a sentence that names it and says why."""


class Unreadable(Unusable):
    """It cannot be opened: that may end without a change of the file."""


class _Why(str):
    """What an Unusable said, kept without its traceback."""


def read_once(read: Callable[[Path, int, int], Read]) -> Callable[[Path, int, int], Read]:
    """`read` is asked once for what `seen` tells: a file that cannot be used is not parsed again, either."""

    @lru_cache(maxsize=4)
    def outcome(path: Path, changed: int, size: int) -> Read | _Why:
        try:
            return read(path, changed, size)
        except Unreadable:
            raise
        except Unusable as error:
            return _Why(str(error))

    @wraps(read)
    def known(path: Path, changed: int, size: int) -> Read:
        found = outcome(path, changed, size)
        if isinstance(found, _Why):
            raise Unusable(str(found))
        return found

    return known


def seen(path: Path) -> tuple[int, int]:
    """When it changed last, in nanoseconds, and its size: as long as both stay, so does the content.

    Raises Unusable.
    """
    try:
        found = path.stat()
    except OSError as error:
        raise Unusable(f"{path} cannot be read: {error.strerror}.") from None
    return found.st_mtime_ns, found.st_size


def content_of(path: Path, *, size: int) -> Any:
    """What the YAML means. Raises Unusable."""
    if size > _MOST_BYTES:
        raise Unusable(f"{path} cannot be used: it is larger than {_MOST_BYTES:,} bytes.")
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise Unreadable(f"{path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise Unusable(f"{path} cannot be used: it is not UTF-8 text.") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" line {mark.line + 1}:" if mark else ""
        raise Unusable(f"{path} cannot be used:{where} it is not YAML.") from None


def mapping(found: Any, what: str, names: set[str], problems: list[str]) -> dict[str, Any]:
    """The values of the names that are known; a sentence is added for whatever is wrong."""
    if found is None:
        return {}
    if not isinstance(found, dict):
        problems.append(f"{what} must hold names and values.")
        return {}
    problems += [f'{what} has "{name}", which is not known.' for name in found if name not in names]
    return {name: value for name, value in found.items() if name in names}

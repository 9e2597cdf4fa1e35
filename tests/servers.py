"""pytest plugin: real PostgreSQL and Valkey for the whole run, before Django reads its settings.

`TEST_DATABASE_URL` and `TEST_REDIS_URL` take their place when set. The servers live in a temporary
folder and forget on a crash; a killed run's are stopped by the kernel where it can, and whatever it
left behind is removed by the next run.
"""

import atexit
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import suppress
from pathlib import Path

import pytest

from revfirst import embedded, processes
from revfirst.embedded import ServerError, Servers
from revfirst.processes import Identity
from revfirst.records import read_record, write_record

PREFIX = "revfirst-tests-"
OWNER_FILE = "owner.json"


@pytest.hookimpl(wrapper=True)  # around pytest-django's own, which reads the settings
def pytest_load_initial_conftests(early_config: pytest.Config) -> Generator[None]:
    """Start the servers and put their addresses into the environment."""
    if "PYTEST_XDIST_WORKER" not in os.environ:  # a worker inherits the controller's environment
        options = early_config.known_args_namespace
        runs_tests = not (options.help or options.version or options.collectonly)
        early_config.add_cleanup(prepare(start_servers=runs_tests))
    return (yield)


def prepare(*, start_servers: bool) -> Callable[[], None]:
    """Point the environment at a temporary var/ and, when tests will run, at started servers.

    Returns what ends it all, safe to call twice; the interpreter's exit calls it too.
    """
    remove_leftovers()
    var_dir = Path(tempfile.mkdtemp(prefix=PREFIX)).resolve()
    var_dir.chmod(0o711)  # root's servers run as another user, who has to get to their data
    _sign(var_dir)
    servers: list[Servers] = []

    def end() -> None:
        while servers:
            servers.pop().stop()
        _remove(var_dir)

    atexit.register(end)
    os.environ.update(
        ENVIRONMENT="development",
        REVFIRST_VAR_DIR=str(var_dir),
        REVFIRST_ENV_FILE=str(var_dir / "no.env"),  # a developer's own .env is no test's business
    )
    if start_servers:
        try:
            servers.append(embedded.start(var_dir, durable=False, env=_test_environment()))
        except ServerError as error:
            raise pytest.UsageError(str(error)) from None
        os.environ.update(
            DATABASE_URL=servers[0].database_url,
            REDIS_URL=servers[0].redis_url,
        )
    return end


def remove_leftovers() -> None:
    """End and remove what killed runs of this user left in the temporary folder."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with suppress(FileNotFoundError):  # its owner may be removing it now
            if _is_ours(folder.lstat()) and _is_abandoned(folder):
                _remove(folder.resolve())


def _test_environment() -> dict[str, str]:
    """Our environment, with the servers that tests may use in place of those that a site uses."""
    rest = {name: value for name, value in os.environ.items() if not name.endswith("_URL")}
    return {
        **rest,
        "DATABASE_URL": os.environ.get("TEST_DATABASE_URL", ""),
        "REDIS_URL": os.environ.get("TEST_REDIS_URL", ""),
    }


def _is_ours(found: os.stat_result) -> bool:
    """The temporary folder is everybody's: somebody else's folder, or a link, is not touched."""
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid()


def _is_abandoned(var_dir: Path) -> bool:
    """Whether its owner is dead; one that has not signed yet gets a minute to do so."""
    owner = _owner(var_dir)
    return not owner.is_alive() if owner else time.time() - var_dir.stat().st_mtime > 60


def _sign(var_dir: Path) -> None:
    if ourselves := processes.identify(os.getpid()):
        write_record(var_dir / OWNER_FILE, {"pid": ourselves.pid, "started": ourselves.started})


def _owner(var_dir: Path) -> Identity | None:
    try:
        record = read_record(var_dir / OWNER_FILE)
    except ValueError:
        record = {}
    return Identity(record["pid"], record["started"]) if record else None


def _remove(var_dir: Path) -> None:
    try:
        embedded.discard(var_dir)
    except (ServerError, OSError, ValueError) as error:
        print(f"{var_dir} stays: {error}")
    else:
        shutil.rmtree(var_dir, ignore_errors=True)

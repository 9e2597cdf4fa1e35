"""`/health` asks every check that an app registered in `AppConfig.ready`."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import Event, Lock, Thread

from django.conf import settings
from django.core.cache import cache
from django.db import connection, connections
from django.db.migrations.executor import MigrationExecutor


@dataclass(frozen=True)
class Check:
    """What one check found; `detail` is fit for strangers: it names no host and no secret."""

    ok: bool
    detail: str = "ok"


ANSWER_SECONDS = 8.0  # whoever asks gives up after ten
NO_ANSWER = Check(False, "no answer")
_checks: dict[str, Callable[[], Check]] = {}


def register(name: str, check: Callable[[], Check]) -> None:
    """Add `check` to `/health` under `name`; the last one to register a name wins."""
    _checks[name] = check


def run_checks() -> dict[str, Check]:
    """Every check's finding by name, within `ANSWER_SECONDS`.

    A check that raises has failed, and so has one that has not answered by then. Whoever asks while
    others are asking shares their findings.
    """
    global _round
    with _round_lock:
        if _round is None or _round.over.is_set():
            _round = _Round(_checks)
        asked = _round
    return asked.findings()


class _Round:
    """One run of all checks, on a thread of its own.

    A server that is frozen, not down, holds whoever asks it for as long as it likes: the thread waits
    for it, no second one is started, and the answer goes out in time.
    """

    def __init__(self, checks: Mapping[str, Callable[[], Check]]) -> None:
        self.over = Event()
        self._checks = dict(sorted(checks.items()))
        self._found: dict[str, Check] = {}
        self._deadline = time.monotonic() + ANSWER_SECONDS
        Thread(target=self._run, name="health", daemon=True).start()

    def findings(self) -> dict[str, Check]:
        left = self._deadline - time.monotonic()
        if not self.over.wait(max(left, 0)) and left < 0:  # what it found by now is old
            return dict.fromkeys(self._checks, NO_ANSWER)
        return {name: self._found.get(name, NO_ANSWER) for name in self._checks}

    def _run(self) -> None:
        try:
            for name, check in self._checks.items():
                self._found[name] = _finding(check)
        finally:
            connections.close_all()
            self.over.set()


_round: _Round | None = None
_round_lock = Lock()


def _finding(check: Callable[[], Check]) -> Check:
    try:
        return check()
    except Exception as error:  # noqa: BLE001 - a check that cannot run is a check that failed
        return Check(False, type(error).__name__)


def check_database() -> Check:
    """Whether the database answers."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return Check(True)


def check_cache() -> Check:
    """Whether Redis keeps what it is given (reads that fail open would hide that it is down)."""
    probe = str(time.monotonic_ns())
    cache.set("health", probe, timeout=10)
    return Check(True) if cache.get("health") is not None else NO_ANSWER


def check_migrations() -> Check:
    """Whether the database has every migration of this code."""
    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    return Check(False, f"{len(plan)} not applied") if plan else Check(True)


def register_own() -> None:
    """The checks that belong to no app."""
    register("database", check_database)
    register("cache", check_cache)
    register("migrations", check_migrations)


def version() -> dict[str, str]:
    """What `/version` answers."""
    return {
        "name": "revfirst",
        "version": settings.VERSION,
        "commit": settings.COMMIT or "unknown",
        "environment": settings.ENVIRONMENT,
    }

"""`/health` asks every check that an app registered in `AppConfig.ready`."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from django.conf import settings
from django.core.cache import cache
from django.db import connection
from django.db.migrations.executor import MigrationExecutor


@dataclass(frozen=True)
class Check:
    """What one check found; `detail` is fit for strangers: it names no host and no secret."""

    ok: bool
    detail: str = "ok"


_checks: dict[str, Callable[[], Check]] = {}


def register(name: str, check: Callable[[], Check]) -> None:
    """Add `check` to `/health` under `name`; the last one to register a name wins."""
    _checks[name] = check


def run_checks() -> dict[str, Check]:
    """Every check's finding by name; a check that raises has failed."""
    return {name: _run(check) for name, check in sorted(_checks.items())}


def _run(check: Callable[[], Check]) -> Check:
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
    return Check(True) if cache.get("health") is not None else Check(False, "no answer")


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

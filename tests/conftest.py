"""What every test may ask for: a clean database, a simulator of X, a connected workspace."""

import functools
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.cache import cache
from django.db import connection
from django.test import TransactionTestCase

from tests.mortals import Mortals
from tests.worlds import ROOT, World, environment
from x_integration.simulator.process import SimulatorProcess

_KEPT = {"django_migrations", "django_content_type", "auth_permission"}


def pytest_addoption(parser: pytest.Parser) -> None:
    """What `make chaos` may be asked for."""
    group = parser.getgroup("chaos", "random runs of publishing (tests/publishing/test_chaos.py)")
    group.addoption("--chaos-runs", type=int, default=100, help="how many")
    group.addoption("--chaos-seed", default="20261125", help="of the draws; `random` for another")
    group.addoption("--chaos-run", type=int, help="this one alone")


def _empty_tables(_: object) -> None:
    """Empty what a test with real commits left, without the audit's triggers; keep the fixtures.

    The stock flush would make all permissions again after each test, and TRUNCATE pays for every
    table, filled or not: twenty times what deleting a few rows costs.
    """
    tables = _tables()
    filled = " UNION ALL ".join(
        f"SELECT '{table}' WHERE EXISTS (SELECT FROM {table})"  # noqa: S608 - our own names
        for table in tables
    )
    with connection.cursor() as cursor:
        cursor.execute(filled)
        deletes = [f"DELETE FROM {table}" for (table,) in cursor.fetchall()]  # noqa: S608 - as above
        sleeping = "SET session_replication_role = replica"
        awake = "SET session_replication_role = origin"
        cursor.execute("; ".join([sleeping, *deletes, awake]))


@functools.cache
def _tables() -> list[str]:
    names = set(connection.introspection.table_names()) - _KEPT
    return [connection.ops.quote_name(name) for name in sorted(names)]


@pytest.fixture(autouse=True, scope="session")
def _fast_flush() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransactionTestCase, "_fixture_teardown", _empty_tables)
        yield


@pytest.fixture(scope="session")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatorProcess]:
    """The local X as a real process; one for the whole run."""
    with SimulatorProcess(tmp_path_factory.mktemp("x") / "state") as process:
        yield process


@pytest.fixture
def x(simulator: SimulatorProcess, settings, transactional_db) -> World:
    """An empty X that the settings point to; the test's world."""
    simulator.reset()
    simulator.control("DELETE", "/faults")
    cache.clear()
    settings.X_API_BASE_URL = simulator.base_url
    settings.X_AUTHORIZE_URL = f"{simulator.base_url}/i/oauth2/authorize"
    settings.X_TOKEN_URL = f"{simulator.base_url}/2/oauth2/token"
    settings.X_REVOKE_URL = f"{simulator.base_url}/2/oauth2/revoke"
    settings.X_CLIENT_ID = simulator.client_id
    settings.X_CLIENT_SECRET = simulator.client_secret
    settings.X_REDIRECT_URI = simulator.redirect_uri
    return World(simulator)


@pytest.fixture(scope="session")
def mortals(simulator: SimulatorProcess, django_db_setup: None) -> Iterator[Mortals]:
    """Workers of their own on the test's database and X, that can be killed; limits leave them be."""
    plenty = {"MAX_REPLIES_PER_HOUR": "100000", "MAX_REPLIES_PER_DAY": "100000"}
    with Mortals(environment(simulator) | plenty, folder=ROOT) as process:
        yield process


@pytest.fixture
def free_port() -> int:
    """A port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def repository() -> Path:
    """The checkout."""
    return Path(__file__).resolve().parent.parent

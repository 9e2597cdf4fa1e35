"""What every test may ask for: a clean database, a simulator of X, a connected workspace."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.cache import cache
from django.test import TransactionTestCase

from tests.mortals import Mortals
from tests.tables import empty_tables
from tests.worlds import ROOT, World, environment
from x_integration.simulator.process import SimulatorProcess


def pytest_addoption(parser: pytest.Parser) -> None:
    """What `make chaos`, `make ingest-runs` and `make month` may be asked for."""
    group = parser.getgroup("chaos", "random runs of publishing (tests/publishing/test_chaos.py)")
    group.addoption("--chaos-runs", type=int, default=70, help="how many")
    group.addoption("--chaos-seed", default="20261125", help="of the draws; `random` for another")
    group.addoption("--chaos-run", type=int, help="this one alone")
    group = parser.getgroup(
        "ingest", "random runs of reading (tests/x_integration/test_ingest_runs.py)"
    )
    group.addoption("--ingest-runs", type=int, default=50, help="how many")
    group.addoption("--ingest-seed", default="20261128", help="of the draws; `random` for another")
    group.addoption("--ingest-run", type=int, help="this one alone")
    group = parser.getgroup("month", "a month within its budget (tests/publishing/test_month.py)")
    group.addoption("--whole-month", action="store_true", help="10,000 mentions of 30 days")


@pytest.fixture(autouse=True, scope="session")
def _fast_flush() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransactionTestCase, "_fixture_teardown", empty_tables)
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
    """Workers of their own on the test's database and X, that can be killed.

    Limits leave them be, but for the cooldowns; what they commit is kept, as in production.
    """
    limits = ("PER_HOUR", "PER_DAY")
    env = environment(simulator) | {f"MAX_REPLIES_{limit}": "100000" for limit in limits}
    env["MAX_CONSECUTIVE_PUBLISH_FAILURES"] = "1000"
    env["PGOPTIONS"] = "-c synchronous_commit=on"
    with Mortals(env, folder=ROOT) as process:
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

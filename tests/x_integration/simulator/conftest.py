"""A real simulator process for all tests here, emptied before each of them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.x_integration.simulator.caller import Caller
from x_integration.simulator.process import SimulatorProcess


@pytest.fixture(scope="session")
def running_simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatorProcess]:
    with SimulatorProcess(tmp_path_factory.mktemp("x")) as simulator:
        yield simulator


@pytest.fixture
def simulator(running_simulator: SimulatorProcess) -> SimulatorProcess:
    """An empty X with default settings."""
    running_simulator.reset()
    return running_simulator


@pytest.fixture
def own_simulator(tmp_path: Path) -> Iterator[SimulatorProcess]:
    """A process that a test may kill; not started yet."""
    simulator = SimulatorProcess(tmp_path / "state")
    yield simulator
    simulator.kill()


@pytest.fixture
def brand(simulator: SimulatorProcess) -> Caller:
    """The connected account."""
    return Caller(simulator, simulator.connect("brand"))


@pytest.fixture
def fan(simulator: SimulatorProcess) -> Caller:
    """Somebody else, connected too."""
    return Caller(simulator, simulator.connect("fan"))

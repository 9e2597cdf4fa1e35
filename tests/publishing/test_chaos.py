"""Random runs (`make chaos`): none doubled, none lost, no difference."""

import random

import pytest

from tests import chaos
from tests.books import check_books
from workspaces.models import Workspace


@pytest.fixture
def draws(pytestconfig):
    """The runs that were asked for: `--chaos-runs` of `--chaos-seed`, or its `--chaos-run` alone."""
    seed = pytestconfig.getoption("chaos_seed")
    if seed == "random":
        seed = random.SystemRandom().randrange(10**6)
    alone = pytestconfig.getoption("chaos_run")
    count = pytestconfig.getoption("chaos_runs")
    numbers = range(count) if alone is None else [alone]
    return [chaos.Draw.make(int(seed), number) for number in numbers]


def test_random_runs_leave_none_doubled_none_lost_and_no_difference(x, mortals, draws):
    x.simulator.settings(rate_limits={"*": 1_000_000})
    for draw in draws:
        chaos.run(x, mortals, draw)
        if draw.number % 50 == 49:
            print(f"seed {draw.seed}: {draw.number + 1} runs")
    check_books(x, Workspace.objects.all())

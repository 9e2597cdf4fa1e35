"""Random runs (`make chaos`): none doubled, none lost, no difference."""

import gc
import random
from time import monotonic

import pytest
from django.db import connection

from tests import chaos
from tests.chaos_draws import OF_POSTING, OF_READING, OF_RENEWING, Draw
from x_integration.simulator.faults import KINDS


@pytest.fixture
def draws(pytestconfig):
    """The runs that were asked for: `--chaos-runs` of `--chaos-seed`, or its `--chaos-run` alone."""
    seed = pytestconfig.getoption("chaos_seed")
    if seed == "random":
        seed = random.SystemRandom().randrange(10**6)
    alone = pytestconfig.getoption("chaos_run")
    count = pytestconfig.getoption("chaos_runs")
    numbers = range(count) if alone is None else [alone]
    return [Draw.make(int(seed), number) for number in numbers]


@pytest.fixture
def loose(settings):
    """This process goes on where workers died: by the same limits, one thing at a time."""
    settings.MAX_CONSECUTIVE_PUBLISH_FAILURES = 1000
    settings.PUBLISH_CONCURRENCY = 1
    gc.freeze()  # thousands of statements make much garbage, and none of what is there by now
    with connection.cursor() as cursor:
        cursor.execute("SET synchronous_commit = on")


@pytest.mark.slow
def test_random_runs_leave_none_doubled_none_lost_and_no_difference(x, mortals, draws, loose):
    tally, begun = chaos.Tally(), monotonic()
    for draw in draws:
        chaos.run(x, mortals, draw, tally)
        if draw.number % 50 == 49:
            print(f"seed {draw.seed}: {draw.number + 1} runs, {monotonic() - begun:.0f} s")
    print(f"seed {draws[0].seed}: doubled 0, lost 0, differences 0; {monotonic() - begun:.0f} s")
    print(tally)


@pytest.mark.slow
@pytest.mark.parametrize("mutant", ["settle_before_call", "approval_not_used_up"])
def test_random_runs_notice_a_wrong_worker(x, mortals, loose, mutant):
    with pytest.raises(AssertionError, match="again: make chaos"):
        _run_some(x, mortals, mutant)


def _run_some(x, mortals, mutant):
    for number in range(30):
        chaos.run(x, mortals, Draw.make(1, number), chaos.Tally(), mutant=mutant)


def test_every_kind_of_fault_that_there_is_may_be_drawn():
    drawn = [*OF_POSTING.values(), *OF_READING.values(), *OF_RENEWING.values()]
    assert {fault["kind"] for fault in drawn} == set(KINDS)


def test_a_seed_and_a_number_draw_the_same_again():
    assert Draw.make(7, 12) == Draw.make(7, 12) != Draw.make(7, 13)

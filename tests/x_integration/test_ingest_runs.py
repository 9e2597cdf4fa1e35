"""Random runs of reading (`make ingest-runs`): every mention is stored once, and none is missed."""

import gc
import random
from datetime import timedelta
from time import monotonic

import pytest

from tests import ingest_runs
from tests.ingest_draws import Draw
from tests.ingest_runs import Tally
from workspaces import counters
from x_integration.services import ingest


@pytest.fixture
def draws(pytestconfig):
    """The runs that were asked for: `--ingest-runs` of `--ingest-seed`, or its `--ingest-run` alone."""
    seed = pytestconfig.getoption("ingest_seed")
    if seed == "random":
        seed = random.SystemRandom().randrange(10**6)
    alone = pytestconfig.getoption("ingest_run")
    numbers = range(pytestconfig.getoption("ingest_runs")) if alone is None else [alone]
    return [Draw.make(int(seed), number) for number in numbers]


def test_random_runs_store_every_mention_once_and_miss_none(x, draws):
    tally, begun = Tally(), monotonic()
    gc.freeze()  # thousands of statements make much garbage, and none of what is there by now
    for draw in draws:
        ingest_runs.run(x, draw, tally)
    assert counters.compare() == []
    print(f"seed {draws[0].seed}: missed 0, doubled 0; {monotonic() - begun:.0f} s\n{tally}")


def _no_overlap(patch):
    patch.setattr(ingest, "OVERLAP", timedelta(0))


def _mark_moves_on_a_run_that_broke_off(patch):
    left = ingest._Run.left_behind

    def moved(run):
        columns = left(run)
        newest = max(run._newest, int(columns["seen_until"] or 0))
        return columns | {"seen_until": str(newest or "")}

    patch.setattr(ingest._Run, "left_behind", moved)


def _gap_is_resumed_a_page_too_low(patch):
    every = ingest._Run._pages

    def too_low(run, x, token):
        pages = every(run, x, token)
        if run._fills_a_gap:
            next(pages, None)
        return pages

    patch.setattr(ingest._Run, "_pages", too_low)


def _never_looks_back(patch):
    patch.setattr(ingest._Run, "_looks_back", lambda run: False)


MUTANTS = [
    _no_overlap,
    _mark_moves_on_a_run_that_broke_off,
    _gap_is_resumed_a_page_too_low,
    _never_looks_back,
]


@pytest.mark.parametrize("mutant", MUTANTS)
def test_random_runs_notice_a_wrong_reader(x, draws, monkeypatch, mutant):
    mutant(monkeypatch)
    with pytest.raises(AssertionError, match="again: make ingest-runs"):
        _run_all(x, draws)


def _run_all(x, draws):
    for draw in draws:
        ingest_runs.run(x, draw, Tally())


def test_a_seed_and_a_number_draw_the_same_again():
    assert Draw.make(7, 12) == Draw.make(7, 12) != Draw.make(7, 13)

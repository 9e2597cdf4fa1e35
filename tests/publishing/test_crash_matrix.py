"""A worker killed anywhere leaves one post or one flagged item, and books that agree."""

import pytest

from tests import acts, decisions
from tests.crashes import CRASHES, crash
from tests.mortals.places import PLACES

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("case", CRASHES, ids=str)
def test_a_killed_worker_leaves_one_post_or_one_flagged_item(x, mortals, case):
    crash(x, mortals, case)


@pytest.mark.parametrize("place", decisions.PLACES)
@pytest.mark.parametrize("move", acts.MOVES)
def test_a_decision_that_is_cut_off_is_made_or_nothing_of_it_is(x, mortals, move, place):
    decisions.crash(x, mortals, move, place)


def test_somebody_dies_at_every_place_that_there_is():
    assert {case.place for case in CRASHES} | set(decisions.PLACES) == set(PLACES)


def test_what_a_worker_commits_is_kept(mortals):
    assert mortals.run("durability").returned == "on"

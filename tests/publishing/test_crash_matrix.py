"""A worker killed anywhere leaves one post or one flagged item, and books that agree."""

import pytest

from tests.crashes import CRASHES, crash
from tests.mortals.places import PLACES


@pytest.mark.parametrize("case", CRASHES, ids=str)
def test_a_killed_worker_leaves_one_post_or_one_flagged_item(x, mortals, case):
    crash(x, mortals, case)


def test_a_worker_dies_at_every_place_that_there_is():
    assert {case.place for case in CRASHES} == set(PLACES)

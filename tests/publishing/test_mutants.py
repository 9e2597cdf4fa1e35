"""Wrong workers turn the crash matrix and the races red: the checks see what they are there for."""

from dataclasses import replace

import pytest
from django.db import connection

from publishing.models import PublishAttempt
from publishing.states import State
from tests import races
from tests.crashes import CRASHES, crash

CASES = {str(case): case for case in CRASHES}
BACKSTOPS = {"attempt_one_open_per_item", "attempt_number_once"}


@pytest.fixture
def without_backstops(x):
    """The database no longer says by itself that an item has one open attempt."""
    backstops = [each for each in PublishAttempt._meta.constraints if each.name in BACKSTOPS]
    with connection.schema_editor() as editor:
        for constraint in backstops:
            editor.remove_constraint(PublishAttempt, constraint)
    yield
    PublishAttempt.objects.all().delete()
    with connection.schema_editor() as editor:
        for constraint in backstops:
            editor.add_constraint(PublishAttempt, constraint)


def test_an_unguarded_claim_sends_an_item_twice(x, mortals, without_backstops):
    with pytest.raises(AssertionError, match="sent twice"):
        races.two_on_one_item(x, mortals, mutant="claim_unguarded")


def test_an_unguarded_claim_is_noticed_where_the_database_prevents_the_second_call(x, mortals):
    with pytest.raises(AssertionError, match="broke on the other's work"):
        races.two_on_one_item(x, mortals, mutant="claim_unguarded")


def test_a_settle_before_the_call_says_published_of_what_x_never_saw(x, mortals):
    case = replace(CASES["call: begun"], then=State.PUBLISHED)
    with pytest.raises(AssertionError, match="X and the item differ"):
        crash(x, mortals, case, mutant="settle_before_call")


def test_a_settle_before_the_call_is_noticed_where_the_worker_died(x, mortals):
    with pytest.raises(AssertionError):
        crash(x, mortals, CASES["call: begun"], mutant="settle_before_call")


def test_gates_asked_outside_the_claim_let_an_item_pass_a_pause(x, mortals):
    with pytest.raises(AssertionError, match="claimed after the pause"):
        races.a_pause_before_the_claim(x, mortals, mutant="gates_outside")


def test_gates_asked_outside_the_claim_send_two_replies_to_one_thread(x, mortals):
    with pytest.raises(AssertionError, match="both went"):
        races.two_replies_to_one_thread(x, mortals, mutant="gates_outside")


def test_a_look_that_is_skipped_leaves_a_post_that_nobody_owns(x, mortals):
    with pytest.raises(AssertionError, match="X and the item differ"):
        crash(x, mortals, CASES["call: sent, no answer yet"], mutant="look_skipped")

"""Wrong workers turn the crash matrix and the races red: the checks see what they are there for."""

from dataclasses import replace
from pathlib import Path

import pytest
from django.db import connection

from publishing.models import PublishAttempt
from publishing.states import State
from tests import races
from tests.crashes import CRASHES, crash
from tests.mortals.mutants import MUTANTS

pytestmark = pytest.mark.slow

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


def test_an_approval_of_anything_lets_out_what_nobody_approved(x, mortals):
    with pytest.raises(AssertionError, match="nobody approved this"):
        races.a_text_changed_after_the_yes(x, mortals, mutant="approval_of_anything")


def test_an_approval_that_is_not_used_up_is_left_over(x, mortals):
    with pytest.raises(AssertionError, match="an approval is left over"):
        crash(x, mortals, CASES["settle: after COMMIT"], mutant="approval_not_used_up")


def test_a_reservation_that_is_kept_holds_its_own_item_back_for_ever(x, mortals):
    with pytest.raises(AssertionError, match="nobody cares for it"):
        crash(x, mortals, CASES["settle: after COMMIT (429)"], mutant="reservation_kept")


def test_a_counter_outside_the_transaction_is_lost_with_its_worker(x, mortals):
    with pytest.raises(AssertionError, match="replies_published_total"):
        crash(x, mortals, CASES["settle: after COMMIT"], mutant="counter_outside")


def test_a_doubt_that_the_machine_sends_again_is_noticed(x, mortals):
    with pytest.raises(AssertionError, match="it was sent again"):
        races.a_doubt_meets_the_sweep(x, mortals, mutant="doubt_sent_again")


@pytest.mark.parametrize("stop", ["kill_switch", "pause"])
@pytest.mark.parametrize("mutant", ["no_send_window", "stop_without_waiting"])
def test_a_stop_means_nothing_where_a_claim_is_good_for_ever_or_nobody_waits(
    x, mortals, stop, mutant
):
    with pytest.raises(AssertionError, match="it began after the answer"):
        races.a_stop_while_a_claim_waits(x, mortals, stop, mutant=mutant)


def test_every_mutant_turns_something_red():
    told = Path(__file__).read_text()
    assert [name for name in MUTANTS if f'"{name}"' not in told] == []

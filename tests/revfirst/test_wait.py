"""The one place that waits: not shorter than it says, and not much longer."""

from time import monotonic

from revfirst.wait import wait_out, wait_until


def test_what_is_true_already_is_not_waited_for():
    begun = monotonic()
    assert wait_until(lambda: True, seconds=5)
    assert monotonic() - begun < 0.5


def test_it_waits_until_the_condition_comes_true():
    answers = iter([False, False, True])
    assert wait_until(lambda: next(answers), seconds=5, every=0.01)
    assert list(answers) == []


def test_it_gives_up_after_the_time_and_says_so():
    begun = monotonic()
    assert not wait_until(lambda: False, seconds=0.2, every=0.01)
    assert 0.2 <= monotonic() - begun < 1


def test_the_condition_is_asked_even_without_time():
    assert wait_until(lambda: True, seconds=0)


def test_waiting_out_lets_all_of_the_time_pass():
    begun = monotonic()
    wait_out(0.1)
    assert 0.1 <= monotonic() - begun < 1

"""The lock in Redis: one at a time, let go by its owner only, and no hindrance when Redis is gone."""

import pytest
from django.core.cache import cache

from revfirst.wait import wait_out
from tests.x_integration.renewals import TOKEN, account_of, renew
from x_integration.locks import alone


@pytest.fixture(autouse=True)
def _no_locks():
    cache.clear()


def test_the_second_is_told_that_somebody_else_is_at_it():
    with alone("work", seconds=5) as first, alone("work", seconds=5) as second:
        assert (first, second) == (True, False)


def test_other_work_is_other_work():
    with alone("work", seconds=5) as first, alone("other work", seconds=5) as second:
        assert (first, second) == (True, True)


def test_afterwards_the_next_one_may():
    for _ in range(2):
        with alone("work", seconds=5) as nobody_else:
            assert nobody_else


def test_a_lock_ends_by_itself_when_its_holder_does_not_come_back():
    with alone("work", seconds=0.1):
        wait_out(0.2)
        with alone("work", seconds=5) as next_one:
            assert next_one


def test_who_was_too_slow_does_not_end_the_lock_of_the_next_one():
    with alone("work", seconds=5) as outer:
        assert outer
        cache.clear()
        holder = alone("work", seconds=5)
        holder.__enter__()  # the next one, while the slow one still works
    with alone("work", seconds=5) as third:
        assert not third
    holder.__exit__(None, None, None)


def test_what_fails_inside_lets_go_and_is_told():
    with pytest.raises(KeyError), alone("work", seconds=5):
        raise KeyError
    with alone("work", seconds=5) as nobody_else:
        assert nobody_else


def test_without_redis_nobody_is_kept_away(settings, free_port):
    location = f"redis://127.0.0.1:{free_port}/0"
    settings.CACHES = {"default": {**settings.CACHES["default"], "LOCATION": location}}
    with alone("work", seconds=5) as first, alone("work", seconds=5) as second:
        assert (first, second) == (True, True)


def test_without_a_cache_that_knows_locks_nobody_is_kept_away(settings):
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
    with alone("work", seconds=5) as first, alone("work", seconds=5) as second:
        assert (first, second) == (True, True)


def test_a_renewal_takes_the_accounts_lock_before_the_lease(x, expired):
    with alone(f"x-refresh:{account_of(expired).pk}", seconds=5):
        assert renew(expired) == "skipped_locked"
    assert account_of(expired).refresh_leased_until is None
    assert x.calls("POST", TOKEN) == []

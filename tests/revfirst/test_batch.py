"""Bounded threads, bounded time; one failure stops only its own thing."""

import logging
from threading import Barrier, Lock
from time import monotonic

import pytest
from django.db import connection

from revfirst.batch import Patience, run_batch
from revfirst.errors import Conflict
from revfirst.wait import wait_out, wait_until
from tests.factories import WorkspaceFactory
from workspaces.models import Workspace


def nothing() -> None:
    """A tool for work that needs none."""


def sessions() -> set[int]:
    """The sessions on the test's database, ours included."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pid FROM pg_stat_activity WHERE datname = current_database()")
        return {pid for (pid,) in cursor.fetchall()}


def nothing_more_than(before: set[int]) -> bool:
    """Whether every session that was opened since ends; the server takes a moment."""
    return wait_until(lambda: sessions() <= before, seconds=5)


def test_everything_is_done_and_nothing_is_left():
    done: list[int] = []
    left = run_batch(range(100), lambda n, _: done.append(n), tool=nothing, concurrency=4)
    assert (left, sorted(done)) == (0, list(range(100)))


def test_an_empty_batch_starts_nothing():
    def tool() -> None:
        raise AssertionError("No thread was needed.")

    assert run_batch([], lambda *_: None, tool=tool, concurrency=4) == 0


def test_it_works_side_by_side():
    together = Barrier(4, timeout=5)
    done: list[int] = []

    def work(n: int, _: None) -> None:
        together.wait()  # breaks unless four threads are here at once
        done.append(n)

    run_batch(range(4), work, tool=nothing, concurrency=4)
    assert len(done) == 4


def test_no_more_work_at_once_than_the_concurrency():
    lock, now, most = Lock(), 0, 0

    def work(n: int, _: None) -> None:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        wait_out(0.02)
        with lock:
            now -= 1

    run_batch(range(12), work, tool=nothing, concurrency=3)
    assert 1 < most <= 3


def test_each_thread_makes_one_tool():
    made: list[object] = []
    used: set[int] = set()

    def tool() -> object:
        made.append(object())
        return made[-1]

    run_batch(range(30), lambda n, own: used.add(id(own)), tool=tool, concurrency=3)
    assert len(made) == 3
    assert used <= {id(one) for one in made}


def test_nothing_is_begun_after_the_time_and_the_rest_is_counted():
    begun, done = monotonic(), []

    def work(n: int, _: None) -> None:
        wait_out(0.1)
        done.append(n)

    left = run_batch(range(100), work, tool=nothing, concurrency=2, seconds=0.25)
    assert monotonic() - begun < 3  # all of it would take five
    assert 2 <= len(done) <= 6
    assert left == 100 - len(done)


def test_without_time_nothing_is_begun():
    done: list[int] = []
    assert (
        run_batch([1, 2], lambda n, _: done.append(n), tool=nothing, concurrency=2, seconds=0) == 2
    )
    assert done == []


@pytest.mark.parametrize(
    ("whole", "part", "left"), [(60, 60, True), (60, 0, False), (0, 60, False)]
)
def test_a_part_of_ones_patience_ends_with_the_whole(whole, part, left):
    assert Patience(whole).at_most(part).left() == left


@pytest.mark.parametrize("error", [Conflict("not now", code="busy"), RuntimeError("boom")])
def test_one_failure_does_not_stop_the_others(error):
    done: list[int] = []

    def work(n: int, _: None) -> None:
        if n % 2:
            raise error
        done.append(n)

    assert run_batch(range(10), work, tool=nothing, concurrency=2) == 0
    assert sorted(done) == [0, 2, 4, 6, 8]


@pytest.mark.parametrize(
    ("error", "event", "level"),
    [
        (Conflict("not now", code="busy"), "batch_item_refused", logging.WARNING),
        (RuntimeError("boom"), "batch_item_failed", logging.ERROR),
    ],
)
def test_a_failure_is_logged_with_the_thing_that_it_befell(caplog, error, event, level):
    def work(thing: str, _: None) -> None:
        raise error

    run_batch(["item 7"], work, tool=nothing, concurrency=1)
    (record,) = caplog.records
    assert (record.message, record.levelno, record.thing) == (event, level, "item 7")


def test_the_threads_connections_to_the_database_are_closed(transactional_db):
    WorkspaceFactory()
    before = sessions()
    seen: list[int] = []

    def work(n: int, _: None) -> None:
        seen.append(Workspace.objects.count())

    run_batch(range(16), work, tool=nothing, concurrency=8)
    assert seen == [1] * 16
    assert nothing_more_than(before)


def test_the_connection_is_closed_after_a_failure_too(transactional_db):
    before = sessions()

    def work(n: int, _: None) -> None:
        Workspace.objects.get()

    run_batch(range(4), work, tool=nothing, concurrency=2)
    assert nothing_more_than(before)

"""Settling beside somebody else: once, in order, and never lost because a row was held for a while."""

from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.utils import timezone

from publishing.models import CircuitBreaker, PublishAttempt, QueueItem
from publishing.services import (
    breaker,
    claim,
    claim_item,
    compare_counters,
    containment,
    publish,
    publish_item,
    settle_attempt,
)
from publishing.states import State
from revfirst.wait import wait_until
from tests.locks import held, is_locked, wait_for_waiting
from tests.worlds import WORKER, attempts, problem
from workspaces.models import AuditEvent, Counter, Workspace
from x_integration.client import XClient
from x_integration.models import Spend

SAID = "Something that nobody has seen before."


@pytest.fixture
def item(x):
    """An approved reply."""
    return x.approved(x.connected())


@pytest.fixture
def pool():
    """Threads whose connections end with them."""

    def work(act, *given, **more):
        with closing(connection):
            return act(*given, **more)

    class Pool(ThreadPoolExecutor):
        def run(self, act, *given, **more):
            return self.submit(work, act, *given, **more)

    with Pool(4) as threads:
        yield threads


@pytest.fixture
def patient(monkeypatch):
    """Whoever holds a workspace's row waits for the next one as long as the test looks on."""
    for module in (claim, containment):
        monkeypatch.setattr(module, "LOCK_SECONDS_WITH_A_WORKSPACE", 10)


def counter(name: str) -> Decimal:
    """A counter's value over all labels."""
    return sum(Counter.objects.filter(name=name).values_list("value", flat=True), Decimal(0))


def settle(attempt: PublishAttempt, move: str, **told: Any) -> PublishAttempt:
    """As whoever comes to settle it."""
    return settle_attempt(attempt.pk, move, actor=WORKER, now=timezone.now(), **told)


def claimed(item: QueueItem) -> PublishAttempt:
    """The try that a worker has begun."""
    attempt = claim_item(item.pk, actor=WORKER, now=timezone.now())
    assert attempt is not None
    return attempt


def outcome(future: Future[Any]) -> str:
    """`ok`, or the name of what was raised."""
    error = future.exception(timeout=20)
    return type(error).__name__ if error else "ok"


@pytest.mark.parametrize(
    ("moves", "outcomes"),
    [
        (["doubt", "confirm"], ["ok", "ok"]),
        (["confirm", "doubt"], ["ok", "WrongState"]),
        (["confirm", "confirm"], ["ok", "WrongState"]),
    ],
)
def test_two_who_settle_at_once_charge_and_count_once(x, item, pool, patient, moves, outcomes):
    """Both come while the item is held, so neither has written anything when the other reads."""
    attempt = claimed(item)
    post = x.simulator.say("cafe", item.text, in_reply_to=attempt.target, source="api")["id"]
    with held(item):
        coming = []
        for number, move in enumerate(moves, start=1):
            told = {"x_post_id": post} if move == "confirm" else {"code": "never_settled"}
            coming.append(pool.run(settle, attempt, move, **told))
            wait_for_waiting(number)
    assert [outcome(each) for each in coming] == outcomes
    item.refresh_from_db()
    assert (item.state, attempts(item)) == (State.PUBLISHED, ["succeeded"])
    spent = Spend.objects.filter(kind=attempt.priced_as)
    assert list(spent.values_list("calls", "usd")) == [(1, Decimal("0.01"))]
    assert counter("replies_published_total") == 1
    assert compare_counters() == []


def test_the_item_is_locked_before_the_attempt(item, pool):
    """As everywhere: two who lock them in two orders would wait for each other."""
    attempt = claimed(item)
    with held(attempt):
        settling = pool.run(settle, attempt, "confirm", x_post_id="7")
        wait_for_waiting(1)
        assert is_locked(item)
    assert outcome(settling) == "ok"


def test_a_claim_locks_workspace_and_account_before_the_item(item, pool, patient):
    """So claims of one workspace follow one another, and a pause comes before or after all of one."""
    with held(item):
        claiming = pool.run(claim_item, item.pk, actor=WORKER, now=timezone.now())
        wait_for_waiting(1)
        assert is_locked(item.workspace)
        assert is_locked(item.workspace.x_account)
    assert outcome(claiming) == "ok"


def test_a_failure_locks_the_workspace_before_the_item(item, pool, patient):
    attempt = claimed(item)
    with held(item):
        settling = pool.run(settle, attempt, "fail", code="forbidden")
        wait_for_waiting(1)
        assert is_locked(item.workspace)
    assert outcome(settling) == "ok"


def slowly_refused(x, item: QueueItem, pool):
    """X takes its time to refuse; the claim is committed when this returns."""
    x.simulator.settings(latency_ms=800)
    x.fault(**problem(403, SAID))
    going = pool.run(publish_item, item.pk, x=XClient(), actor=WORKER, clock=timezone.now)
    begun = PublishAttempt.objects.filter(item=item)
    assert wait_until(begun.exists, seconds=10, every=0.02)
    return going


def test_a_workspace_that_somebody_holds_for_long_costs_none_of_xs_words(x, item, pool):
    going = slowly_refused(x, item, pool)
    with held(item.workspace, seconds=5):
        assert outcome(going) == "ok"
    item.refresh_from_db()
    assert (item.state, item.last_error) == (State.FAILED, "forbidden")
    assert SAID in item.last_words
    assert counter("publish_errors_total") == 1
    assert compare_counters() == []


def test_waiting_for_a_workspace_ends_and_then_the_sweep_makes_a_doubt(x, item, pool, monkeypatch):
    monkeypatch.setattr(publish, "SETTLE_SECONDS", 0.1)
    going = slowly_refused(x, item, pool)
    with held(item.workspace):
        assert outcome(going) == "OperationalError"
    item.refresh_from_db()
    assert item.state == State.PUBLISHING
    x.sweep(after=timedelta(seconds=130))
    item.refresh_from_db()
    assert (item.state, item.last_error) == (State.UNCONFIRMED, "never_settled")


def test_a_call_that_took_long_leaves_less_time_to_settle(x, item, monkeypatch):
    """The task's time-out must not cut it: from the claim on it is so many seconds in all."""
    waited = []

    def note(act, *, seconds, every):
        waited.append(seconds)
        return act()

    monkeypatch.setattr(publish, "SETTLED_BY_SECONDS", 0.0)
    monkeypatch.setattr(publish, "wait_until", note)
    assert x.publish(item).state == State.PUBLISHED
    assert waited[0] <= 0


# --- The circuit breaker cannot undo what was settled ---------------------------------------------


def test_a_breaker_that_somebody_holds_leaves_the_publication_published(x, item, pool):
    """The one try, whose end waits for the breaker's row, and waits in vain."""
    opened = timezone.now() - timedelta(minutes=10)
    row = CircuitBreaker.objects.create(opened_at=opened, shut_until=opened)
    x.simulator.settings(latency_ms=800)
    going = pool.run(publish_item, item.pk, x=XClient(), actor=WORKER, clock=timezone.now)
    assert wait_until(PublishAttempt.objects.exists, seconds=10, every=0.02)
    with held(row):
        assert outcome(going) == "ok"
    item.refresh_from_db()
    assert item.state == State.PUBLISHED
    row.refresh_from_db()
    assert row.opened_at == opened  # the next one tries


def test_a_database_that_goes_away_after_the_settle_leaves_the_publication_published(
    x, item, monkeypatch, caplog
):
    """The server ends our connection while the breaker is asked; whoever called goes on."""

    def cut(*given, **more):
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")

    monkeypatch.setattr(breaker, "note_outcome", cut)
    assert x.publish(item).state == State.PUBLISHED
    assert "breaker_not_told" in caplog.text
    assert AuditEvent.objects.filter(type="item.confirm").count() == 1


def test_a_database_that_is_away_for_a_moment_costs_no_outcome(x, item, monkeypatch):
    """The first settle loses its connection; the second one writes down what X said."""
    left = [True]

    def cut_once(*given, **more):
        if left and left.pop():
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")
        return settle_attempt(*given, **more)

    monkeypatch.setattr(publish, "settle_attempt", cut_once)
    assert x.publish(item).state == State.PUBLISHED
    assert len(x.machine_posts()) == counter("replies_published_total") == 1


def test_a_commit_whose_answer_is_lost_is_no_failure(x, item, monkeypatch):
    """The settle was committed, and nobody was told: the second one finds it settled."""
    left = [True]

    def deaf_once(*given, **more):
        settled = settle_attempt(*given, **more)
        if left and left.pop():
            raise OperationalError("server closed the connection unexpectedly")
        return settled

    monkeypatch.setattr(publish, "settle_attempt", deaf_once)
    assert x.publish(item).state == State.PUBLISHED
    assert len(x.machine_posts()) == counter("replies_published_total") == 1


def test_what_is_no_trouble_of_the_database_is_not_hidden(x, item, monkeypatch):
    monkeypatch.setattr(breaker, "note_outcome", lambda *a, **k: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        x.publish(item)


def test_a_lock_that_never_comes_is_an_operational_error(item, monkeypatch):
    """What the settle tries again after: shown against the real lock of another connection."""
    attempt = claimed(item)
    with held(Workspace.objects.get()), pytest.raises(OperationalError):
        settle(attempt, "fail", code="forbidden")

"""Reading and publishing at once never cost more than the budget: what is read for is kept from whoever publishes."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal
from functools import partial
from threading import Event

import pytest
from django.db import connection, transaction
from django.utils import timezone

from control.services import run_cycle
from control.tasks import cycle
from publishing.errors import ReadElsewhere
from publishing.models import PublishAttempt, QueueItem, ReadingReservation
from publishing.services import claim_item, purses_of, reserved_for_reading, settle_attempt
from publishing.states import State
from revfirst.wait import wait_until
from tests.concurrency import run_together
from tests.worlds import WORKER, approved_post
from workspaces.errors import Busy
from workspaces.models import Workspace
from x_integration.client import XClient
from x_integration.models import Feed, Spend
from x_integration.services import mentions_feed

WITH_A_LINK = "Look: https://cafe.example"  # costs 20 cents


@pytest.fixture
def cafe(x):
    """A connected workspace that may spend 50 cents a day, 45 of them on reading."""
    workspace = x.connected()
    Workspace.objects.update(daily_budget_usd=Decimal("0.50"))
    return workspace


def spent() -> Decimal:
    return sum(Spend.objects.values_list("usd", flat=True), Decimal(0))


def read(workspace: Workspace) -> None:
    try:
        run_cycle(workspace, x=XClient(), actor=WORKER, now=timezone.now())
    finally:
        connection.close()


@pytest.mark.parametrize(("said", "usd"), [(10, "0.25"), (120, "0.45")])
def test_what_is_published_while_x_shows_a_page_waits_for_what_it_costs(x, cafe, said, usd):
    """Ten mentions leave enough for it; ninety, which is all that may be read, do not."""
    item = approved_post(cafe, WITH_A_LINK)
    for _ in range(said):
        x.mention(cafe)
    path = f"/2/users/{cafe.x_account.x_user_id}/mentions"
    x.fault("slow_answer", method="GET", path=path, ms=3000)
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(read, cafe)
        assert wait_until(lambda: x.calls("GET", path), seconds=10)
        item = x.publish(item)
        assert (item.state, item.blocked_reason) == (State.APPROVED, "budget")
        assert item.not_before < timezone.now() + timedelta(seconds=61)
        reading.result()
    QueueItem.objects.update(not_before=None)
    item = x.publish(item)
    assert (item.state == State.PUBLISHED, spent()) == (said == 10, Decimal(usd))
    assert not ReadingReservation.objects.exists()


def test_whoever_claims_and_whoever_reads_see_each_other(x, cafe):
    """Of 3 cents 2.7 are for reading, and a post costs 1.5."""
    Workspace.objects.update(daily_budget_usd=Decimal("0.03"))
    items = [approved_post(cafe, f"Number {n}") for n in range(12)]
    given: list[Decimal] = []

    def reads(until: Event) -> None:
        with reserved_for_reading(cafe, now=timezone.now()) as usd:
            given.append(usd or Decimal(0))
            assert until.wait(timeout=10)

    def claims(item: QueueItem, done: Event) -> None:
        try:
            claim_item(item.pk, actor=WORKER, now=timezone.now())
        finally:
            done.set()

    for item in items:
        claimed = Event()
        assert run_together(partial(reads, claimed), partial(claims, item, claimed)) == ["ok", "ok"]
        attempt = PublishAttempt.objects.filter(item=item).first()
        assert given[-1] + (attempt.usd if attempt else 0) <= Decimal("0.03")
        PublishAttempt.objects.all().delete()


@pytest.mark.parametrize("limited", [True, False])
def test_two_turns_at_once_do_not_read_for_the_same_money(x, cafe, limited):
    """The second leaves it to the next turn, and does not say that the budget is used up."""
    Workspace.objects.update(daily_budget_usd=Decimal(1) if limited else None)
    mentions_feed(cafe, now=timezone.now())
    with reserved_for_reading(cafe, now=timezone.now()):
        cycle()
    feed = Feed.objects.get()
    assert (feed.last_read_at is None, feed.last_error) == (limited, "")
    cycle()
    assert Feed.objects.get().last_read_at is not None


def test_a_reading_that_died_keeps_its_money_for_a_minute_and_no_longer(x, cafe):
    item, now = approved_post(cafe, WITH_A_LINK), timezone.now()
    died = {"usd": Decimal("0.45"), "until": now + timedelta(seconds=60)}
    ReadingReservation.objects.create(workspace=cafe, **died)
    with pytest.raises(ReadElsewhere), reserved_for_reading(cafe, now=now):
        raise AssertionError("Nobody may read for this money now.")
    assert x.publish(item).blocked_reason == "budget"
    later = now + timedelta(seconds=61)
    with reserved_for_reading(cafe, now=later) as usd:
        assert usd == Decimal("0.45")
    assert claim_item(item.pk, actor=WORKER, now=later) is not None


def test_whoever_reads_longer_than_thought_takes_nothing_from_the_next(cafe):
    now = timezone.now()
    with reserved_for_reading(cafe, now=now):
        later = now + timedelta(seconds=61)
        with reserved_for_reading(cafe, now=later):
            pass
        with reserved_for_reading(cafe, now=later + timedelta(seconds=1)):
            assert ReadingReservation.objects.get().until > later
    assert not ReadingReservation.objects.exists()


def test_what_is_in_flight_is_not_read_for(x, cafe):
    item = approved_post(cafe, WITH_A_LINK)
    claim_item(item.pk, actor=WORKER, now=timezone.now())
    with reserved_for_reading(cafe, now=timezone.now()) as usd:
        assert usd == Decimal("0.25")


def test_what_is_confirmed_in_that_moment_is_not_read_for_either(cafe, monkeypatch):
    """Who confirms does not lock the workspace, and comes between what is spent and what is in flight."""
    item = approved_post(cafe, WITH_A_LINK)
    claim_item(item.pk, actor=WORKER, now=timezone.now())

    def confirm() -> None:
        attempt, now = PublishAttempt.objects.get(), timezone.now()
        settle_attempt(attempt.pk, "confirm", actor=WORKER, now=now, x_post_id="1")
        connection.close()

    def read_and_confirm(*args, **kwargs):
        purses = list(purses_of(*args, **kwargs))
        if connection.in_atomic_block:
            with ThreadPoolExecutor(1) as pool:
                pool.submit(confirm).result()
        return purses

    monkeypatch.setattr("publishing.services.budget.purses_of", read_and_confirm)
    with reserved_for_reading(cafe, now=timezone.now()) as usd:
        assert (usd, spent()) == (Decimal("0.25"), Decimal("0.20"))


def test_where_the_workspace_is_locked_for_long_nothing_is_reserved(cafe):
    locked, tried = Event(), Event()

    def lock() -> None:
        with transaction.atomic():
            Workspace.objects.select_for_update(no_key=True).get(pk=cafe.pk)
            locked.set()
            assert tried.wait(timeout=10)

    def reserve() -> None:
        assert locked.wait(timeout=10)
        try:
            with pytest.raises(Busy), reserved_for_reading(cafe, now=timezone.now()):
                raise AssertionError("This was not reserved.")
        finally:
            tried.set()

    assert run_together(lock, reserve) == ["ok", "ok"]
    assert not ReadingReservation.objects.exists()

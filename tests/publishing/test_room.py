"""Room that somebody makes: what a limit held back until later is asked again before that."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from publishing.models import PublishAttempt, QueueItem
from publishing.services import claim_item, give_up_item, settle_attempt
from publishing.states import State
from tests.locks import held
from tests.publishing.test_doubts import decide, seen_in_vain
from tests.worlds import WORKER, operator
from workspaces.models import Counter, Workspace
from workspaces.services import change_policy


@pytest.fixture
def cafe(x):
    """A connected workspace."""
    return x.connected()


def policy(cafe, **changes):
    change_policy(cafe, changes=changes, actor=operator(cafe), now=timezone.now())


def blocked(x, item: QueueItem, reason: str) -> QueueItem:
    """After a try that a limit stopped for a good while."""
    item = x.publish(item)
    assert item.blocked_reason == reason
    assert item.not_before
    assert item.not_before > timezone.now() + timedelta(minutes=1)
    return item


def is_due(item: QueueItem) -> bool:
    """Whether the worker would try it now."""
    return QueueItem.objects.due(timezone.now()).filter(pk=item.pk).exists()


def goes(x, item: QueueItem) -> bool:
    """Whether the next sweep finds it due, and the worker then sends it."""
    x.sweep()
    return is_due(item) and bool(x.publish(item).state == State.PUBLISHED)


@pytest.mark.parametrize("name", ["daily_budget_usd", "monthly_budget_usd"])
def test_a_budget_that_is_raised_lets_go_at_once(x, cafe, name):
    policy(cafe, **{name: Decimal(0)})
    item = blocked(x, x.approved(cafe), "budget")
    assert not goes(x, item)
    policy(cafe, **{name: Decimal(1)})
    assert goes(x, item)


def test_a_cooldown_that_is_loosened_lets_go_at_once(x, cafe):
    policy(cafe, author_cooldown_minutes=600)
    x.publish(x.approved(cafe))
    PublishAttempt.objects.update(started_at=timezone.now() - timedelta(hours=1))
    item = blocked(x, x.approved(cafe), "author_cooldown")
    policy(cafe, author_cooldown_minutes=None)
    assert goes(x, item)


def test_what_a_refused_try_had_reserved_lets_go_of_who_waited_for_it(x, cafe):
    first, second = x.approved(cafe), x.approved(cafe)
    attempt = claim_item(first.pk, actor=WORKER, now=timezone.now())
    assert attempt is not None
    blocked(x, second, "author_cooldown")
    settle_attempt(attempt.pk, "fail", actor=WORKER, now=timezone.now(), code="forbidden")
    assert goes(x, second)


def test_what_a_doubt_had_reserved_lets_go_when_it_is_given_up(x, cafe):
    policy(cafe, author_cooldown_minutes=600)
    doubt = x.approved(cafe)
    x.fault("status", status=500)
    x.publish(doubt)
    item = blocked(x, x.approved(cafe), "author_cooldown")
    decide(give_up_item, seen_in_vain(doubt, hours=1), reason="Gone")
    assert goes(x, item)


def test_a_limit_that_still_holds_says_again_until_when_and_is_counted_once(x, cafe):
    policy(cafe, daily_budget_usd=Decimal(0))
    item = blocked(x, x.approved(cafe), "budget")
    policy(cafe, max_replies_per_day=5)
    assert not goes(x, item)
    item.refresh_from_db()
    assert (item.blocked_reason, is_due(item)) == ("budget", False)
    assert Counter.objects.get(name="publish_blocked_total").value == 1


def test_nothing_else_is_hurried(x, cafe):
    """X's own window, a pause after a failure, another workspace."""
    other = x.connected("other")
    Workspace.objects.filter(pk=other.pk).update(daily_budget_usd=0)
    elsewhere = blocked(x, x.approved(other), "budget")
    item = x.approved(cafe)
    x.fault("rate_limited", reset_in=600)
    waiting = x.publish(item).not_before
    policy(cafe, daily_budget_usd=Decimal(5))
    x.sweep()
    item.refresh_from_db()
    assert item.not_before == waiting
    assert not is_due(elsewhere)


def test_an_item_that_somebody_holds_is_left_to_the_next_sweep(x, cafe):
    policy(cafe, daily_budget_usd=Decimal(0))
    item = blocked(x, x.approved(cafe), "budget")
    policy(cafe, daily_budget_usd=None)
    with held(item):
        x.sweep()
    assert goes(x, item)

"""What X's rate headers say is kept under the name of the endpoint, and the publisher asks for that name."""

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from publishing.models import QueueItem
from publishing.states import State
from x_integration.client import CREATE_POST, endpoint_of
from x_integration.models import RateWindow


@pytest.mark.parametrize(
    ("method", "path", "name"),
    [
        ("POST", "/2/tweets", "POST /2/tweets"),
        ("GET", "/2/tweets", "GET /2/tweets"),
        ("GET", "/2/users/me", "GET /2/users/me"),
        ("GET", "/2/tweets/123", "GET /2/tweets/{id}"),
        ("DELETE", "/2/tweets/1900000000000000001", "DELETE /2/tweets/{id}"),
        ("GET", "/2/users/123/tweets", "GET /2/users/{id}/tweets"),
        ("GET", "/2/users/123/mentions", "GET /2/users/{id}/mentions"),
        ("GET", "/2/users/2/tweets/2", "GET /2/users/{id}/tweets/{id}"),
        ("GET", "/2/tweets/123a", "GET /2/tweets/123a"),
    ],
)
def test_an_id_in_the_path_has_no_name_of_its_own_and_the_version_stays(method, path, name):
    assert endpoint_of(method, path) == name


def test_creating_a_post_is_remembered_under_the_name_that_the_gate_asks_for(voice):
    voice.says()
    assert list(voice.client.take_rates()) == [CREATE_POST] == ["POST /2/tweets"]


def test_looks_of_all_accounts_are_one_endpoint(voice):
    since = datetime(2026, 1, 1, tzinfo=UTC)
    token, user_id = voice.tokens.access_token, voice.tokens.user_id
    list(voice.client.timeline(user_id, access_token=token, start_time=since))
    assert list(voice.client.take_rates()) == ["GET /2/users/{id}/tweets"]


def test_a_spent_allowance_of_one_post_holds_the_next_item_back_before_x_is_asked(x):
    cafe = x.connected()
    x.simulator.settings(rate_limits={"POST /2/tweets": 1})
    first, second = x.approved(cafe), x.approved(cafe, by="rui")
    assert x.publish(first).state == State.PUBLISHED
    window = RateWindow.objects.get(endpoint=CREATE_POST)
    assert (window.account, window.remaining) == (cafe.x_account, 0)
    second = x.publish(second)
    assert (second.state, second.blocked_reason) == (State.APPROVED, "x_rate_limit")
    assert second.not_before == window.reset_at
    assert len(x.calls("POST", "/2/tweets")) == 1


def test_another_account_s_allowance_is_its_own(x):
    x.simulator.settings(rate_limits={"POST /2/tweets": 1})
    items = [x.approved(x.connected(name)) for name in ("one", "two")]
    assert [x.publish(item).state for item in items] == [State.PUBLISHED] * 2


def test_an_allowance_that_is_full_again_lets_the_item_go(x):
    cafe = x.connected()
    x.simulator.settings(rate_limits={"POST /2/tweets": 2})
    first, second = x.approved(cafe), x.approved(cafe, by="rui")
    x.publish(first)
    RateWindow.objects.update(remaining=0, reset_at=timezone.now() + timedelta(hours=1))
    assert x.publish(second).blocked_reason == "x_rate_limit"
    RateWindow.objects.update(reset_at=timezone.now() - timedelta(seconds=1))
    QueueItem.objects.update(not_before=None)
    assert x.publish(second).state == State.PUBLISHED


@pytest.mark.parametrize("reset_in", [-3600, 0, 10 * 365 * 24 * 3600])
def test_a_reset_that_ends_no_window_keeps_nobody_waiting_and_is_not_asked_at_once(x, reset_in):
    """X's clock, or its header, is wrong: the item waits as it does where X says nothing."""
    cafe = x.connected()
    item, now = x.approved(cafe), timezone.now()
    headers = {"x-rate-limit-reset": str(int(now.timestamp()) + reset_in)}
    x.fault("status", status=429, headers=headers)
    item = x.publish(item)
    assert (item.state, item.last_error) == (State.APPROVED, "rate_limited")
    assert timedelta(seconds=29) < item.not_before - now < timedelta(minutes=1)
    QueueItem.objects.update(not_before=None)
    assert x.publish(item).state == State.PUBLISHED


def test_a_window_of_a_day_is_waited_out(x):
    item, day = x.approved(x.connected()), timedelta(hours=23, minutes=59)
    x.fault("rate_limited", reset_in=int(day.total_seconds()))
    assert x.publish(item).not_before > timezone.now() + timedelta(hours=23)

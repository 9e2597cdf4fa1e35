"""How often one caller may ask; and that a cache which is away stops nobody."""

import pytest
from django.conf import settings as ours
from django.core.cache import cache
from django_redis import get_redis_connection
from prometheus_client import REGISTRY

from tests.api import member, program, signed_in
from tests.factories import WorkspaceFactory
from workspaces import throttles

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _two_a_minute(settings, monkeypatch):
    """Two requests per caller in a minute that does not end meanwhile."""
    cache.clear()
    monkeypatch.setattr(throttles, "time", lambda: 1_800_000_000.0 + 20)
    rates = {"key": "2/min", "user": "2/min", "anon": "2/min"}
    settings.REST_FRAMEWORK = {**ours.REST_FRAMEWORK, "DEFAULT_THROTTLE_RATES": rates}
    yield
    cache.clear()


@pytest.fixture
def cafe():
    """A workspace."""
    return WorkspaceFactory()


def ask(client, workspace, times=1, **headers):
    """The statuses of so many requests."""
    path = f"/publishing/queue/{workspace.pk}"
    return [client.get(path, headers=headers).status_code for _ in range(times)]


def test_a_key_is_throttled_apart_from_its_makers_other_key_and_session(cafe):
    owner = member(cafe)
    one, other = (program(cafe, owner, "queue:read") for _ in range(2))
    assert ask(one, cafe, 3) == [200, 200, 429]
    assert ask(other, cafe, 3) == [200, 200, 429]
    assert ask(signed_in(owner), cafe, 3) == [200, 200, 429]


def test_a_throttled_caller_learns_when_to_come_back_in_our_shape(cafe):
    client = program(cafe, member(cafe), "queue:read")
    ask(client, cafe, 2)
    answer = client.get(f"/publishing/queue/{cafe.pk}")
    assert (answer.status_code, answer.json()["code"]) == (429, "throttled")
    assert 0 < int(answer.headers["Retry-After"]) <= 60


def test_strangers_are_throttled_by_address_also_when_their_key_is_wrong(cafe, client):
    assert ask(client, cafe, 1) == [401]
    assert ask(client, cafe, 2, Authorization="Bearer rf_1") == [401, 429]


def test_who_is_refused_has_asked_all_the_same(cafe):
    assert ask(program(cafe, member(cafe), "audit:read"), cafe, 3) == [403, 403, 429]
    assert ask(signed_in(member(WorkspaceFactory())), cafe, 3) == [404, 404, 429]


def test_an_address_that_a_stranger_names_is_not_believed(cafe, client):
    seen = [ask(client, cafe, 1, **{"X-Forwarded-For": f"10.0.0.{n}"}) for n in range(3)]
    assert seen == [[401], [401], [429]]


def test_a_count_does_not_stay_for_ever(cafe):
    ask(program(cafe, member(cafe), "queue:read"), cafe)
    redis = get_redis_connection("default")
    lives = [redis.ttl(name) for name in redis.keys("throttle:*")]
    assert [0 < life <= 120 for life in lives] == [True]


def test_while_the_cache_is_away_everybody_gets_in_and_it_is_counted(cafe, settings):
    settings.CACHES = {
        "default": {**ours.CACHES["default"], "LOCATION": "redis://127.0.0.1:1/0"},
    }
    before = REGISTRY.get_sample_value("revfirst_failed_open_total", {"what": "throttle"}) or 0
    assert ask(program(cafe, member(cafe), "queue:read"), cafe, 3) == [200, 200, 200]
    after = REGISTRY.get_sample_value("revfirst_failed_open_total", {"what": "throttle"})
    assert after == before + 3

"""/health names what is wrong to anybody who asks, and tells nobody anything else."""

import json
from datetime import timedelta
from threading import Event
from threading import enumerate as enumerate_threads

import pytest
from django.core.cache import caches
from django.db.migrations.recorder import MigrationRecorder
from django.utils import timezone

from control.models import Heartbeat
from revfirst import health
from revfirst.health import Check
from tests.environments import PRODUCTION, bare, python

NAMES = ["cache", "database", "migrations", "scheduler", "worker"]

ASK = """
import django; django.setup()
from django.test import Client
for path in ("/health", "/health/live"):
    answer = Client(SERVER_NAME="127.0.0.1", raise_request_exception=False).get(path)
    print(answer.status_code, answer.content.decode())
"""


def beat(**ago: float) -> None:
    """The worker and the scheduler showed themselves so long ago."""
    for name in ("worker", "scheduler"):
        Heartbeat.objects.create(name=name, at=timezone.now() - timedelta(**ago))


def failing(answer) -> list[str]:
    """The names of the failing checks."""
    return [name for name, check in answer.json()["checks"].items() if not check["ok"]]


@pytest.fixture
def well(transactional_db):
    """Everything works; committed, since the checks run on a connection of their own."""
    beat(seconds=1)


@pytest.fixture
def registry(monkeypatch):
    """The checks, to be put back afterwards."""
    monkeypatch.setattr(health, "_checks", dict(health._checks))
    return health


def test_when_all_is_well_it_says_so_and_names_every_check(client, well):
    answer = client.get("/health")
    body = answer.json()
    assert (answer.status_code, body.keys(), body["status"]) == (200, {"status", "checks"}, "ok")
    assert sorted(body["checks"]) == NAMES
    assert all(check.keys() == {"ok", "detail"} for check in body["checks"].values())
    assert all(check["ok"] is True for check in body["checks"].values())


def test_nobody_need_log_in_and_nothing_is_kept_by_a_cache(client, well):
    assert "no-store" in client.get("/health").headers["Cache-Control"]


@pytest.mark.parametrize("method", ["post", "put", "delete"])
def test_it_can_only_be_read(client, method):
    assert getattr(client, method)("/health").status_code == 405


def test_a_check_that_fails_is_503_and_named(client, well, registry):
    registry.register("coffee", lambda: Check(False, "none left"))
    answer = client.get("/health")
    assert (answer.status_code, answer.json()["status"]) == (503, "failing")
    assert answer.json()["checks"]["coffee"] == {"ok": False, "detail": "none left"}
    assert failing(answer) == ["coffee"]


def test_a_check_that_raises_has_failed_and_tells_only_the_class(client, well, registry):
    def broken() -> Check:
        raise ConnectionError("postgres://revfirst:canary@db.example")

    registry.register("coffee", broken)
    answer = client.get("/health")
    assert (answer.status_code, failing(answer)) == (503, ["coffee"])
    assert answer.json()["checks"]["coffee"]["detail"] == "ConnectionError"


def test_the_cache_alone_fails_when_redis_is_down(client, well, settings):
    settings.CACHES = {"default": {**settings.CACHES["default"], "LOCATION": "redis://127.0.0.1:1"}}
    answer = client.get("/health")
    caches["default"].close()
    assert (answer.status_code, failing(answer)) == (503, ["cache"])


@pytest.fixture
def without_a_migration(well):
    """The last migration of control is not on record; it is again afterwards."""
    row = MigrationRecorder.Migration.objects.filter(app="control").latest("id")
    row.delete()
    yield
    MigrationRecorder.Migration.objects.create(app=row.app, name=row.name)


def test_a_migration_that_was_not_applied_is_counted(client, without_a_migration):
    check = client.get("/health").json()["checks"]["migrations"]
    assert check == {"ok": False, "detail": "1 not applied"}


@pytest.mark.parametrize(("seconds", "status"), [(170, 200), (190, 503)])
def test_worker_and_scheduler_may_be_silent_for_three_minutes(
    client, transactional_db, seconds, status
):
    beat(seconds=seconds)
    answer = client.get("/health")
    assert answer.status_code == status
    assert failing(answer) == ([] if status == 200 else ["scheduler", "worker"])


def test_a_worker_that_was_never_seen_fails(client, transactional_db):
    assert failing(client.get("/health")) == ["scheduler", "worker"]


def over() -> bool:
    """Whether the round of checks that runs comes to its end."""
    return health._round is None or health._round.over.wait(20)


@pytest.fixture
def frozen(registry, monkeypatch):
    """A check whose server does not answer until the event is set."""
    thawed = Event()
    monkeypatch.setattr(health, "ANSWER_SECONDS", 0.5)

    def ask() -> Check:
        return Check(thawed.wait(20))

    registry.register("a frozen server", ask)
    yield thawed
    thawed.set()
    assert over()


def test_a_server_that_is_frozen_holds_up_no_answer_and_gets_no_second_thread(client, well, frozen):
    first, second = client.get("/health"), client.get("/health")
    assert (first.status_code, failing(first)) == (503, failing(second))
    assert first.json()["checks"]["a frozen server"] == {"ok": False, "detail": "no answer"}
    assert [thread.name for thread in enumerate_threads()].count("health") == 1


def test_when_a_frozen_server_is_back_it_is_green_again_by_itself(client, well, frozen):
    assert client.get("/health").status_code == 503
    frozen.set()
    assert over()
    assert client.get("/health").status_code == 200


@pytest.fixture
def without_servers(tmp_path) -> dict[str, tuple[str, str]]:
    """Status and body of each page where neither database nor cache answers."""
    env = bare(
        tmp_path,
        DATABASE_URL=PRODUCTION["DATABASE_URL"],
        REDIS_URL="redis://:canary-password@127.0.0.1:1/0",
        DJANGO_SETTINGS_MODULE="revfirst.settings",
    )
    lines = [line for line in python(ASK, env=env).splitlines() if line[:1].isdigit()]
    found = [line.partition(" ") for line in lines]
    return {
        page: (status, body)
        for page, (status, _, body) in zip(["health", "live"], found, strict=True)
    }


def test_without_a_database_it_answers_503_and_names_what_needs_it(without_servers):
    status, body = without_servers["health"]
    checks = json.loads(body)["checks"]
    assert status == "503"
    assert sorted(name for name, check in checks.items() if not check["ok"]) == NAMES


def test_no_detail_names_a_host_or_a_secret(without_servers):
    _, body = without_servers["health"]
    for word in ("canary", "127.0.0.1", "revfirst", "password", "port"):
        assert word not in body


def test_live_is_200_without_database_and_cache(without_servers):
    assert without_servers["live"] == ("200", '{"status": "ok"}')


def test_version_says_what_runs_here(client, settings):
    settings.COMMIT = "0123abc"
    assert client.get("/version").json() == {
        "name": "revfirst",
        "version": settings.VERSION,
        "commit": "0123abc",
        "environment": "development",
    }

"""/metrics: true in every process, across restarts, and readable by Prometheus."""

from collections import Counter as Tally
from decimal import Decimal

import pytest
from django.db import OperationalError, transaction
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from publishing.models import QueueItem
from publishing.states import LIVE
from revfirst import metrics
from tests.environments import on_our_servers, python
from tests.factories import QueueItemFactory, WorkspaceFactory
from workspaces import audit
from workspaces.actors import Actor
from workspaces.counters import Count
from workspaces.models import Counter

PLAIN_COUNTERS = ["replies_published_total", "posts_published_total", "replies_proposed_total"]

VISIT = """
import django; django.setup()
from django.test import Client
for _ in range({times}):
    assert Client(SERVER_NAME="127.0.0.1").get("/health/live").status_code == 200
"""
SCRAPE = """
import django; django.setup()
from revfirst.metrics import exposition
print(exposition().decode())
"""


def samples(text: str) -> dict[str, float]:
    """`name{label=value,…}` → value of every sample."""
    return {
        sample.name + str(sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(text: str, name: str, **labels: str) -> float:
    """One sample."""
    return samples(text)[f"revfirst_{name}{sorted(labels.items())}"]


def count(workspace, name: str, amount: int = 1, **labels: str) -> None:
    """Count in the way of the services."""
    with transaction.atomic():
        audit.record(
            "item.confirm",
            workspace=workspace,
            subject="item:1",
            actor=Actor.worker(),
            now=timezone.now(),
            counts=[Count(name, labels, Decimal(amount))],
        )


@pytest.fixture
def scrape(client, db):
    """The text as Prometheus would get it."""
    return lambda: client.get("/metrics").content.decode()


def test_it_is_prometheus_text(client, db):
    answer = client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/plain; version=")
    assert "no-store" in answer.headers["Cache-Control"]


def test_it_does_not_exist_when_switched_off(client, db, settings):
    settings.METRICS_ENABLED = False
    settings.METRICS_TOKEN = "a-token"
    assert client.get("/metrics", headers={"Authorization": "Bearer a-token"}).status_code == 404


@pytest.mark.parametrize("given", ["", "a-token", "Bearer", "Bearer another", "Basic a-token"])
def test_with_a_token_it_refuses_whoever_does_not_bear_it(client, settings, given):
    settings.METRICS_TOKEN = "a-token"
    answer = client.get("/metrics", headers={"Authorization": given})
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")
    assert "revfirst_" not in answer.content.decode()


def test_with_a_token_it_answers_its_bearer(client, db, settings):
    settings.METRICS_TOKEN = "a-token"
    assert client.get("/metrics", headers={"Authorization": "Bearer a-token"}).status_code == 200


@pytest.mark.parametrize("name", PLAIN_COUNTERS)
def test_a_new_workspace_starts_at_zero(scrape, name):
    WorkspaceFactory(slug="cafe")
    assert value(scrape(), name, workspace="cafe") == 0


def test_a_count_shows_at_the_next_scrape_under_the_workspaces_slug(scrape):
    count(WorkspaceFactory(slug="cafe"), "replies_published_total", 3)
    WorkspaceFactory(slug="bar")
    text = scrape()
    assert value(text, "replies_published_total", workspace="cafe") == 3
    assert value(text, "replies_published_total", workspace="bar") == 0


def test_labels_of_a_counter_are_labels_of_the_series(scrape):
    workspace = WorkspaceFactory(slug="cafe")
    count(workspace, "approvals_total", 2, decision="approve", door="admin")
    count(workspace, "approvals_total", 1, decision="reject", door="admin")
    text = scrape()
    assert value(text, "approvals_total", workspace="cafe", decision="approve", door="admin") == 2
    assert value(text, "approvals_total", workspace="cafe", decision="reject", door="admin") == 1


def test_a_counter_whose_labels_were_spoilt_by_hand_hides_no_other(scrape):
    workspace = WorkspaceFactory(slug="cafe")
    count(workspace, "replies_published_total")
    Counter.objects.create(chain="system", name="replies_published_total", labels="oh", value=7)
    assert value(scrape(), "replies_published_total", workspace="cafe") == 1


def test_what_belongs_to_no_workspace_is_labelled_system(scrape):
    count(None, "replies_published_total")
    assert value(scrape(), "replies_published_total", workspace="system") == 1


def test_a_paused_workspace_and_the_kill_switch_show(scrape):
    WorkspaceFactory(slug="cafe", paused_at=timezone.now())
    text = scrape()
    assert value(text, "workspace_paused", workspace="cafe") == 1
    assert value(text, "kill_switch") == 0


def test_live_items_are_counted_by_state(scrape):
    workspace = WorkspaceFactory(slug="cafe")
    QueueItemFactory.create_batch(2, workspace=workspace)
    assert value(scrape(), "queue_items", workspace="cafe", state="pending") == 2


def test_where_no_item_is_live_the_gauges_say_so(scrape):
    workspace = WorkspaceFactory(slug="cafe")
    item = QueueItemFactory(workspace=workspace)
    assert value(scrape(), "oldest_pending_seconds", workspace="cafe") > 0
    QueueItem.objects.filter(pk=item.pk).update(state="rejected")
    text = scrape()
    assert value(text, "oldest_pending_seconds", workspace="cafe") == 0
    states = [value(text, "queue_items", workspace="cafe", state=each.value) for each in LIVE]
    assert states == [0] * 5


def test_build_info_says_what_runs(scrape, settings):
    labels = {"version": settings.VERSION, "commit": "unknown", "environment": "development"}
    assert value(scrape(), "build_info", **labels) == 1


def test_each_family_is_declared_once_and_every_sample_appears_once(client, scrape):
    WorkspaceFactory(slug="cafe")
    client.get("/health/live")
    lines = scrape().splitlines()
    declared = Tally(line.split()[2] for line in lines if line.startswith("# TYPE "))
    seen = Tally(line.rpartition(" ")[0] for line in lines if line and not line.startswith("#"))
    assert len(declared) > 20
    for counted in (declared, seen):
        assert [name for name, times in counted.items() if times > 1] == []


def test_every_series_that_grows_ends_in_total_and_is_a_counter(scrape):
    lines = scrape().splitlines()
    kinds = dict(line.split()[2:4] for line in lines if line.startswith("# TYPE revfirst_"))
    for name in PLAIN_COUNTERS:
        assert kinds[f"revfirst_{name}"] == "counter"


def test_http_series_of_all_processes_are_joined_with_the_rows(transactional_db, tmp_path):
    WorkspaceFactory(slug="cafe")
    (tmp_path / "series").mkdir()
    env = on_our_servers(tmp_path, PROMETHEUS_MULTIPROC_DIR=str(tmp_path / "series"))
    for times in (2, 3):
        python(VISIT.format(times=times), env=env)
    text = python(SCRAPE, env=env)
    assert value(text, "django_http_requests_total_by_method_total", method="GET") == 5
    assert value(text, "replies_published_total", workspace="cafe") == 0


def test_two_processes_tell_the_same_business_numbers(transactional_db, client, tmp_path):
    workspace = WorkspaceFactory(slug="cafe")
    count(workspace, "replies_published_total", 7)
    ours = client.get("/metrics").content.decode()
    theirs = python(SCRAPE, env=on_our_servers(tmp_path))
    for text in (ours, theirs):
        assert value(text, "replies_published_total", workspace="cafe") == 7


def test_without_a_database_there_are_no_half_numbers(client, db, monkeypatch):
    def broken():
        raise OperationalError("gone")

    monkeypatch.setattr(metrics, "_sources", [broken])
    answer = client.get("/metrics")
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")

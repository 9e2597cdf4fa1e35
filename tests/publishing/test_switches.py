"""Once a switch has answered, no request to publish begins, whatever is running."""

from datetime import datetime
from threading import Event, Thread

import pytest
from django.db import connection
from django.utils import timezone

from publishing.models import QueueItem
from publishing.services import publish_batch
from publishing.states import State
from tests.worlds import WORKER, environment, manage
from workspaces.actors import Actor
from workspaces.services import pause_workspace


def _begun(x) -> list[datetime]:
    return [datetime.fromisoformat(row["at"]) for row in x.calls("POST", "/2/tweets")]


@pytest.mark.slow
def test_after_the_kill_switch_answered_no_request_begins(x, settings):
    settings.PUBLISH_CONCURRENCY = 2  # so that the batch is still running when the switch turns
    workspaces = [x.connected(f"cafe{n}") for n in range(3)]
    for workspace in workspaces:
        for n in range(8):
            x.approved(workspace, by=f"fan{n}")
    x.fault("delay", ms=300, times=100)
    stopped = Event()

    def keep_publishing() -> None:
        while not stopped.is_set():
            publish_batch(actor=WORKER, clock=timezone.now)
        connection.close()

    worker = Thread(target=keep_publishing)
    worker.start()
    try:
        answered = manage("kill_switch", "on", "--reason", "test", env=environment(x.simulator))
        at = timezone.now()
        QueueItem.objects.update(not_before=None)
        worker.join(timeout=2)
    finally:
        stopped.set()
        worker.join()
    assert "is ON" in answered.stdout
    assert _begun(x)
    assert [begun for begun in _begun(x) if begun > at] == []
    waiting = QueueItem.objects.filter(state=State.APPROVED).count()
    assert waiting > 0
    assert waiting + len(x.machine_posts()) == 24


def test_a_pause_of_one_workspace_lets_the_others_publish(x):
    paused, other = x.connected("one"), x.connected("two")
    items = [x.approved(workspace) for workspace in (paused, other)]
    pause_workspace(paused, reason="test", actor=Actor.command(), now=timezone.now(), wait=False)
    publish_batch(actor=WORKER, clock=timezone.now)
    for item in items:
        item.refresh_from_db()
    assert [item.state for item in items] == [State.APPROVED, State.PUBLISHED]

"""A batch in shares: several processes publish side by side, each other workspaces."""

from django.utils import timezone
from django_q.models import OrmQ

from publishing import tasks
from publishing.models import QueueItem
from publishing.services import publish, publish_batch
from publishing.states import State
from tests.worlds import WORKER


def published(workspace) -> int:
    return QueueItem.objects.filter(workspace=workspace, state=State.PUBLISHED).count()


def test_every_item_has_its_share_and_a_workspace_one_alone(x):
    workspaces = [x.connected(f"cafe{n}") for n in range(4)]
    for workspace in workspaces:
        for n in range(2):
            x.approved(workspace, by=f"fan{n}")
    shares = 2
    for share in range(shares):
        publish_batch(actor=WORKER, clock=timezone.now, share=share, shares=shares)
        done = [published(workspace) for workspace in workspaces]
        theirs = [workspace.pk.int % shares <= share for workspace in workspaces]
        assert done == [2 if is_theirs else 0 for is_theirs in theirs]


def asked():
    """The arguments of each batch that was asked for."""
    return [task.task["args"] for task in OrmQ.objects.order_by("pk")]


def test_a_share_goes_on_until_all_of_its_own_is_sent(x, monkeypatch):
    """However much of the others' came due before it: each batch counts its own alone."""
    monkeypatch.setattr(publish, "BATCH_SIZE", 2)
    workspaces = [x.connected(f"cafe{n}") for n in range(6)]
    for workspace in workspaces:
        for n in range(2):
            x.approved(workspace, by=f"fan{n}")
    for share in range(2):
        tasks.publish_due(share, 2)
    while batch := OrmQ.objects.order_by("pk").first():
        batch.delete()
        tasks.publish_due(*batch.task["args"])
    assert [published(workspace) for workspace in workspaces] == [2] * 6


def test_batches_of_a_sweep_end_when_the_next_sweep_begins_its_own(x, monkeypatch):
    monkeypatch.setattr(publish, "BATCH_SIZE", 1)
    workspace = x.connected()
    for n in range(3):
        x.approved(workspace, by=f"fan{n}")
    now = timezone.now().timestamp()
    tasks.publish_due(0, 1, now + 30)
    assert asked() == [(0, 1, now + 30)]
    OrmQ.objects.all().delete()
    tasks.publish_due(0, 1, now - 1)
    assert asked() == []
    assert published(workspace) == 2


def test_a_sweep_asks_for_every_share_and_leaves_a_process_for_the_tap(x, settings):
    settings.WORKER_PROCESSES = 3
    x.approved(x.connected())
    begun = timezone.now()
    tasks.sweep()
    assert [args[:2] for args in asked()] == [(0, 2), (1, 2)]
    assert all(abs(args[2] - begun.timestamp() - 60) < 10 for args in asked())

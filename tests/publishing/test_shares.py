"""A batch in shares: several processes publish side by side, each other workspaces."""

from django.utils import timezone
from django_q.models import OrmQ

from publishing import tasks
from publishing.models import QueueItem
from publishing.services import publish_batch
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


def test_a_sweep_asks_for_every_share_and_leaves_a_process_for_the_tap(x, settings):
    settings.WORKER_PROCESSES = 3
    x.approved(x.connected())
    tasks.sweep()
    asked = [task.task["args"] for task in OrmQ.objects.order_by("pk")]
    assert asked == [(0, 2), (1, 2)]

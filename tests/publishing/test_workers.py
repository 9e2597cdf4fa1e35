"""Real workers, real HTTP, real SIGKILL: published once, and nothing lost."""

from datetime import UTC, datetime, timedelta

import pytest
from django_q.models import OrmQ
from django_q.tasks import async_task

from publishing.models import QueueItem
from publishing.states import State
from tests.clusters import Cluster, eventually
from tests.worlds import attempts, environment
from workspaces.models import Counter

AFTER_STRANDED = timedelta(seconds=130)
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)


def _nudge(item: QueueItem, times: int = 1) -> None:
    for _ in range(times):
        async_task("publishing.tasks.publish_one", item.pk)


def _states() -> set[str]:
    return set(QueueItem.objects.values_list("state", flat=True))


def test_two_workers_on_one_approved_item_make_one_post(x):
    workspace = x.connected()
    items = [x.approved(workspace, by=name) for name in ("lia", "rui", "kenji")]
    for item in items:
        _nudge(item, times=6)
    async_task("publishing.tasks.publish_due")
    x.fault("delay", ms=300, times=50)
    env = environment(x.simulator)
    with Cluster(env), Cluster(env):
        assert eventually(lambda: _states() == {State.PUBLISHED})
    assert len(x.calls("POST", "/2/tweets")) == len(x.machine_posts()) == 3
    assert Counter.objects.get(name="replies_published_total").value == 3


@pytest.fixture
def killed_before_settle(x):
    """An item whose worker was killed after X had published it, and before it was written down."""
    item = x.approved(x.connected(), nudge=True)
    with Cluster(
        environment(x.simulator), dies_at="publishing.services.publish:settle_attempt"
    ) as c:
        assert c.died()
    item.refresh_from_db()
    assert (item.state, len(x.machine_posts())) == (State.PUBLISHING, 1)
    return item


def test_a_worker_killed_between_call_and_settle_is_found_out_and_nothing_is_sent_again(
    x, killed_before_settle
):
    item = killed_before_settle
    with Cluster(environment(x.simulator)):
        _nudge(item, times=3)
        OrmQ.objects.update(lock=LONG_AGO)  # the killed worker's task is delivered again, too
        swept = x.sweep(after=AFTER_STRANDED)
        async_task("publishing.tasks.publish_due")
        assert eventually(lambda: not OrmQ.objects.exists())
    item.refresh_from_db()
    assert (swept.doubted, swept.confirmed) == (1, 1)
    assert (item.state, item.x_post_id) == (State.PUBLISHED, x.machine_posts()[0]["id"])
    assert len(x.calls("POST", "/2/tweets")) == 1
    assert Counter.objects.get(name="replies_published_total").value == 1


def test_a_worker_killed_before_the_call_leaves_a_doubt_that_a_person_decides(x):
    item = x.approved(x.connected(), nudge=True)
    dies_at = "x_integration.client:XClient.create_post"
    with Cluster(environment(x.simulator), dies_at=dies_at) as cluster:
        assert cluster.died()
    for minutes in (3, 4, 13):
        x.sweep(after=timedelta(minutes=minutes))
    item.refresh_from_db()
    assert (item.state, item.needs_person, attempts(item)) == (State.UNCONFIRMED, True, ["unknown"])
    assert x.calls("POST", "/2/tweets") == []


def test_a_worker_killed_before_the_claim_costs_only_a_delay(x):
    item = x.approved(x.connected(), nudge=True)
    with Cluster(environment(x.simulator), dies_at="publishing.services.publish:claim_item") as c:
        assert c.died()
    async_task("publishing.tasks.publish_due")
    with Cluster(environment(x.simulator)):
        assert eventually(lambda: _states() == {State.PUBLISHED})
    assert len(x.machine_posts()) == 1
    assert attempts(item) == ["succeeded"]

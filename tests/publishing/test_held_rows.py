"""A row that somebody holds (a frozen worker, a person at a console) keeps others waiting for a moment."""

from datetime import timedelta
from time import monotonic

import pytest
from django.utils import timezone

from publishing.models import QueueItem
from publishing.services import approve_item, hand_off_item, reject_item
from publishing.states import State
from tests.api import member, signed_in
from tests.factories import QueueItemFactory
from tests.locks import held
from tests.worlds import operator
from workspaces.errors import Busy

pytestmark = pytest.mark.django_db(transaction=True)
A_MOMENT = 5  # seconds


@pytest.mark.parametrize(
    ("method", "tail", "body"),
    [("patch", "", {"text": "Mine"}), ("post", "/reject", {"reason": "no"})],
)
def test_a_decision_over_the_api_is_503_in_a_moment(method, tail, body):
    item = QueueItemFactory()
    client = signed_in(member(item.workspace))
    path = f"/publishing/queue/{item.workspace_id}/{item.number}{tail}"
    with held(item):
        begun = monotonic()
        answer = getattr(client, method)(path, {"version": 1, **body}, format="json")
        assert monotonic() - begun < A_MOMENT
    assert (answer.status_code, answer.json()["code"]) == (503, "busy")


@pytest.mark.parametrize(
    "decision",
    [approve_item, hand_off_item, lambda pk, **more: reject_item(pk, reason="no", **more)],
)
def test_a_decision_says_that_nothing_was_changed(x, decision):
    item = x.pending(x.connected())
    with held(item), pytest.raises(Busy):
        decision(item.pk, version=1, actor=operator(item.workspace), now=timezone.now())
    item.refresh_from_db()
    assert (item.state, item.approvals.count(), item.attempts.count()) == (State.PENDING, 0, 0)


def test_a_held_item_keeps_no_other_from_expiring(x):
    workspace = x.connected()
    frozen, late = x.pending(workspace), x.pending(workspace, by="rui")
    QueueItem.objects.update(relevant_until=timezone.now() - timedelta(minutes=1))
    with held(frozen):
        begun = monotonic()
        assert x.sweep().expired == 1
        assert monotonic() - begun < A_MOMENT
    late.refresh_from_db()
    assert late.state == State.EXPIRED
    assert x.sweep().expired == 1

"""A row that somebody holds (a frozen worker, a person at a console) keeps others waiting for a moment."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from datetime import timedelta
from functools import partial
from threading import Event
from time import monotonic

import pytest
from django.db import OperationalError, connection, transaction
from django.utils import timezone

from publishing.models import PublishAttempt, QueueItem
from publishing.services import (
    approve_item,
    hand_off_item,
    propose_item,
    publish_directly,
    reject_item,
    settle_attempt,
)
from publishing.states import State
from tests.api import member, signed_in
from tests.factories import QueueItemFactory
from tests.locks import held, wait_for_waiting
from tests.worlds import WORKER, operator
from tests.x_integration.test_oauth_connect import consent
from workspaces import audit
from workspaces.errors import Busy, NotAudited
from workspaces.models import AuditChain, User
from workspaces.services import pause_workspace, place_hold
from x_integration.client import XClient
from x_integration.services import begin_authorization, complete_authorization, hold_account

pytestmark = pytest.mark.django_db(transaction=True)
A_MOMENT = 5  # seconds
AT_ONCE = 16


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


def account_hold(workspace):
    account = workspace.x_account
    hold_account(account, reason="suspended", actor=WORKER, now=timezone.now())


def system_hold(workspace):
    place_hold("no_credits", reason="402", actor=WORKER, now=timezone.now())


@pytest.mark.parametrize("hold", [account_hold, system_hold])
def test_a_hold_gives_up_in_a_moment_and_is_tried_again_by_whoever_settles(x, hold):
    """It comes before the item is let go: a worker that waited for it would be killed, and settle nothing."""
    workspace = x.connected()
    with transaction.atomic():
        audit.record("test", subject="system", actor=WORKER, now=timezone.now())
    row = workspace.x_account if hold is account_hold else AuditChain.objects.get(name="system")
    begun = monotonic()
    with held(row, seconds=8):
        with pytest.raises(OperationalError):
            hold(workspace)
        assert monotonic() - begun < A_MOMENT


def test_a_blocked_direct_call_does_not_wait_for_the_log(x):
    workspace = x.connected()
    actor = operator(workspace)
    pause_workspace(workspace, reason="Holiday", actor=actor, now=timezone.now(), wait=False)
    begun = monotonic()
    with held(AuditChain.objects.get(name=str(workspace.pk)), seconds=8):
        with pytest.raises(Busy):
            publish_directly(
                workspace, text="Hi", in_reply_to=None, actor=actor, x=XClient(), clock=timezone.now
            )
        assert monotonic() - begun < A_MOMENT


def failing(x, workspace):
    """Settling the refusals of many tries, each of which X told once."""
    now = timezone.now()
    tries = [
        PublishAttempt.objects.create(
            workspace=workspace,
            item=QueueItemFactory(workspace=workspace, state=State.PUBLISHING),
            number=1,
            snapshot={},
            kind="reply",
            started_at=now,
        )
        for _ in range(AT_ONCE)
    ]
    return [partial(settle_attempt, each.pk, "fail", actor=WORKER, now=now) for each in tries]


def proposing(x, workspace):
    """Many proposals."""
    now = timezone.now()
    return [
        partial(propose_item, workspace, text=f"Hello {n}", actor=WORKER, now=now)
        for n in range(AT_ONCE)
    ]


def connecting(x, workspace):
    """A person's connection, which comes back from X."""
    user = User.objects.get()
    begun = begin_authorization(workspace, user=user, now=timezone.now())
    came = consent(begun.authorize_url)
    complete = partial(complete_authorization, state=came["state"], code=came["code"])
    return [partial(complete, x=XClient(), now=timezone.now())]


@pytest.mark.parametrize("work", [failing, proposing, connecting])
def test_many_who_wait_for_the_log_keep_no_pause_from_its_turn(x, work):
    workspace = x.connected()
    with transaction.atomic():
        audit.record("test", workspace=workspace, subject="x", actor=WORKER, now=timezone.now())
    works, over = work(x, workspace), Event()

    def again_and_again(act):
        with closing(connection):
            while not over.is_set():
                with suppress(OperationalError):
                    return act()
        return None

    chain = AuditChain.objects.get(name=str(workspace.pk))
    with held(chain, seconds=20), ThreadPoolExecutor(len(works)) as pool:
        for act in works:
            pool.submit(again_and_again, act)
        wait_for_waiting(len(works))
        try:
            with pytest.raises(NotAudited):  # it is paused all the same
                pause_workspace(
                    workspace, reason="a fire", actor=WORKER, now=timezone.now(), wait=False
                )
        finally:
            over.set()
    workspace.refresh_from_db()
    assert workspace.paused_at

"""What keeps an approved item back: each gate by itself, over a world where everything else is well."""

from datetime import timedelta

import pytest
from django.utils import timezone

from publishing.models import Approval, QueueItem
from publishing.services import claim_item
from publishing.services.gates import GATES
from publishing.states import State
from tests.factories import QueueItemFactory
from tests.worlds import WORKER, attempts
from workspaces.actors import Actor
from workspaces.models import AuditEvent, Counter, Membership, User, Workspace
from workspaces.services import place_hold, set_kill_switch
from x_integration.models import SourcePost, XAccount


def _kill(item):
    set_kill_switch(True, reason="test", actor=Actor.command(), now=timezone.now(), wait=False)


def _hold(item):
    place_hold("x_credits", reason="test", actor=WORKER, now=timezone.now())


def _set(model, **columns):
    return lambda item: model.objects.update(**columns)


def _drop_approval(item):
    item.attempts.all().delete()
    item.approvals.all().delete()


def _other_account(item):
    XAccount.objects.update(x_user_id="999")


def _swapped_snapshot(item):
    approval = Approval.objects.get()
    Approval.objects.update(snapshot={**approval.snapshot, "text": "Something else"})


def _already_answered(item):
    other = QueueItemFactory(
        workspace=item.workspace,
        number=99,
        source_post=item.source_post,
        state=State.REJECTED,
    )
    approval = Approval.objects.get()
    approval.pk = None
    approval.item, approval.used_at = other, timezone.now()
    approval.save()
    other.attempts.create(
        workspace=other.workspace,
        kind=other.kind,
        number=1,
        approval=approval,
        snapshot={},
        content_hash="",
        outcome="unknown",
        started_at=timezone.now(),
        settled_at=timezone.now(),
    )


NOW = timezone.now()
CASES = {
    "kill_switch": [_kill],
    "system_hold": [_hold],
    "workspace_paused": [_set(Workspace, paused_at=NOW, paused_reason="test")],
    "workspace_contained": [_set(Workspace, contained_at=NOW, contained_reason="test")],
    "account_not_ready": [
        _set(XAccount, held_at=NOW, held_reason="suspended"),
        _set(XAccount, scope="tweet.read users.read"),
        _set(XAccount, revoked_at=NOW),
        _set(XAccount, expires_at=NOW - timedelta(hours=1), refresh_token=None),
        _set(XAccount, access_token=None, refresh_token=None),
    ],
    "approval_missing": [
        _drop_approval,
        _set(Approval, voided_at=NOW),
        _set(Approval, used_at=NOW),
    ],
    "approval_void": [
        _set(QueueItem, text="Something else"),
        _set(QueueItem, version=2),
        _swapped_snapshot,
        _set(Approval, content_hash="0" * 64),
        _other_account,
        _set(QueueItem, scheduled_for=NOW - timedelta(days=1)),
        _set(SourcePost, x_post_id="1"),
        _set(Membership, role=Membership.Role.MEMBER),
        _set(User, is_active=False),
        lambda item: Membership.objects.all().delete(),
    ],
    "approval_expired": [
        _set(Approval, approved_at=NOW - timedelta(days=3), expires_at=NOW - timedelta(days=2))
    ],
    "target_not_eligible": [_set(SourcePost, eligibility=SourcePost.Eligibility.NOT_SUMMONED)],
    "duplicate": [_already_answered],
}


@pytest.fixture
def item(x):
    """An approved reply that nothing keeps back."""
    return x.approved(x.connected())


@pytest.mark.parametrize(
    ("reason", "spoil"), [(reason, spoil) for reason, how in CASES.items() for spoil in how]
)
def test_a_gate_holds_the_item_back_and_says_why(x, item, reason, spoil):
    spoil(item)
    item = x.publish(item)
    assert (item.state, item.blocked_reason) == (State.APPROVED, reason)
    assert x.calls("POST", "/2/tweets") == []
    assert attempts(item) == []


def test_nothing_spoiled_nothing_held_back(x, item):
    assert x.publish(item).state == State.PUBLISHED


def test_every_gate_has_a_case():
    names = {gate.name for gate in GATES} - {"approval"}
    assert names | {"approval_missing", "approval_void", "approval_expired"} == CASES.keys()


def test_the_first_gate_in_order_gives_the_reason(x, item):
    _kill(item)
    Workspace.objects.update(paused_at=NOW, paused_reason="test")
    assert x.publish(item).blocked_reason == "kill_switch"


def test_a_block_is_audited_and_counted_once_per_item_and_reason(x, item):
    Workspace.objects.update(paused_at=NOW, paused_reason="test")
    later = timezone.now()
    for minutes in range(1, 4):
        claim_item(item.pk, actor=WORKER, now=later + timedelta(minutes=2 * minutes))
    assert AuditEvent.objects.filter(type="item.block").count() == 1
    assert Counter.objects.get(name="publish_blocked_total").value == 1


def test_a_second_reason_is_counted_too_and_the_first_not_again(x, item):
    later = timezone.now()
    for number, paused in enumerate((NOW, None, NOW, None), start=1):
        Workspace.objects.update(paused_at=paused, contained_at=None if paused else NOW)
        claim_item(item.pk, actor=WORKER, now=later + timedelta(minutes=2 * number))
    blocks = AuditEvent.objects.filter(type="item.block").values_list("data__reason", flat=True)
    assert sorted(blocks) == ["workspace_contained", "workspace_paused"]


def test_a_blocked_item_goes_out_by_itself_when_the_gate_opens(x, item):
    Workspace.objects.update(paused_at=NOW, paused_reason="test")
    x.publish(item)
    Workspace.objects.update(paused_at=None, paused_reason="")
    QueueItem.objects.update(not_before=None)
    item = x.publish(item)
    assert (item.state, item.blocked_reason) == (State.PUBLISHED, "")

"""Approve, reject, edit: by whom, of which version, and what stays behind."""

from datetime import timedelta
from functools import partial

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone
from django_q.models import OrmQ

from publishing.errors import BadContent, FourEyes, WrongState
from publishing.models import Approval
from publishing.services import approve_item, edit_item, reject_item
from publishing.services.approvals import content_hash
from publishing.states import State
from tests.concurrency import run_together
from tests.factories import MembershipFactory, QueueItemFactory, UserFactory, XAccountFactory
from workspaces.actors import Actor
from workspaces.errors import NotAllowed, ReasonNeeded, WorkspaceNotFound
from workspaces.models import AuditEvent, Counter, Membership, User

pytestmark = pytest.mark.django_db(transaction=True)
NOON = timezone.now()


@pytest.fixture
def item():
    """A pending reply in a workspace with a connected account."""
    item = QueueItemFactory()
    XAccountFactory(workspace=item.workspace)
    return item


def person(item, role: str = "admin", door: str = "admin") -> Actor:
    """Somebody with a role in the item's workspace."""
    return Actor.operator(MembershipFactory(workspace=item.workspace, role=role).user, door=door)


def approve(item, actor, version: int = 1):
    """Approve now."""
    return approve_item(item.pk, version=version, actor=actor, now=NOON)


def test_an_approval_freezes_what_was_seen_and_queues_the_nudge(item):
    ana = person(item)
    approve(item, ana)
    approval = Approval.objects.get()
    assert approval.snapshot == {
        "account": item.workspace.x_account.x_user_id,
        "kind": "reply",
        "text": item.text,
        "target": item.source_post.x_post_id,
        "scheduled_for": None,
    }
    assert approval.content_hash == content_hash(approval.snapshot)
    assert (approval.approved_by, approval.door, approval.version) == (ana.user, "admin", 1)
    assert OrmQ.objects.count() == 1


def test_an_approval_lives_a_day_after_the_later_of_decision_and_schedule(item):
    item.scheduled_for = NOON + timedelta(days=3)
    item.save(update_fields=["scheduled_for"])
    approve(item, person(item))
    assert Approval.objects.get().expires_at == NOON + timedelta(days=4)


def test_two_operators_approving_together_leave_one_approval(item):
    people = [person(item), person(item)]
    outcomes = run_together(*(partial(approve, item, who) for who in people))
    assert outcomes == ["WrongState", "ok"]
    assert (Approval.objects.count(), OrmQ.objects.count()) == (1, 1)
    assert Counter.objects.get(name="approvals_total").value == 1


@pytest.mark.parametrize("decide", ["approve", "reject", "edit"])
@pytest.mark.parametrize(
    ("role", "refusal"), [("member", NotAllowed), ("stranger", WorkspaceNotFound)]
)
def test_who_is_no_operator_decides_nothing(item, decide, role, refusal):
    who = Actor.operator(UserFactory(), door="api") if role == "stranger" else person(item, role)
    acts = {
        "approve": partial(approve_item),
        "reject": partial(reject_item, reason="no"),
        "edit": partial(edit_item, text="other"),
    }
    with pytest.raises(refusal):
        acts[decide](item.pk, version=1, actor=who, now=NOON)
    item.refresh_from_db()
    assert (item.state, item.version) == (State.PENDING, 1)


def test_a_worker_or_a_command_approves_nothing(item):
    for actor in (Actor.worker(), Actor.command()):
        with pytest.raises(NotAllowed, match="person"):
            approve(item, actor)


def test_an_inactive_operator_approves_nothing(item):
    ana = person(item)
    User.objects.update(is_active=False)
    with pytest.raises(WorkspaceNotFound):
        approve(item, ana)


def test_who_edited_the_text_cannot_approve_it_while_somebody_else_can(item):
    ana, bruno = person(item), person(item)
    edit_item(item.pk, version=1, text="Better words", actor=ana, now=NOON)
    with pytest.raises(FourEyes):
        approve(item, ana, version=2)
    approve(item, bruno, version=2)


def test_a_team_of_one_may_approve_its_own_text(item):
    ana = person(item)
    edit_item(item.pk, version=1, text="Better words", actor=ana, now=NOON)
    assert approve(item, ana, version=2).state == State.APPROVED


def test_four_eyes_can_be_switched_off_by_policy(item):
    ana, _ = person(item), person(item)
    item.workspace.four_eyes = False
    item.workspace.save(update_fields=["four_eyes"])
    edit_item(item.pk, version=1, text="Better words", actor=ana, now=NOON)
    assert approve(item, ana, version=2).state == State.APPROVED


def test_a_member_does_not_count_as_another_pair_of_eyes(item):
    ana = person(item)
    person(item, Membership.Role.MEMBER)
    edit_item(item.pk, version=1, text="Better words", actor=ana, now=NOON)
    assert approve(item, ana, version=2).state == State.APPROVED


def test_an_edit_makes_the_approval_void_and_asks_for_a_new_one(item):
    ana = person(item)
    approve(item, ana)
    edited = edit_item(item.pk, version=1, text="Better words", actor=ana, now=NOON)
    assert (edited.state, edited.version) == (State.PENDING, 2)
    assert Approval.objects.get().voided_at == NOON


def test_a_decision_about_an_older_text_is_refused(item):
    ana, bruno = person(item), person(item)
    edit_item(item.pk, version=1, text="Better words", actor=ana, now=NOON)
    with pytest.raises(WrongState, match="was edited"):
        approve(item, bruno, version=1)
    assert not Approval.objects.exists()


@pytest.mark.parametrize("text", ["", "  ", "x" * 281, "日" * 141, "a\x00b", "\ud800", "x" * 5000])
def test_a_text_that_x_would_not_take_is_refused_before_anybody_approves_it(item, text):
    with pytest.raises(BadContent):
        edit_item(item.pk, version=1, text=text, actor=person(item), now=NOON)


@pytest.mark.parametrize("reason", ["", "   ", "x" * 201])
def test_a_rejection_needs_a_reason_that_fits(item, reason):
    with pytest.raises(ReasonNeeded):
        reject_item(item.pk, version=1, reason=reason, actor=person(item), now=NOON)


def test_a_rejection_takes_an_approval_back(item):
    ana = person(item)
    approve(item, ana)
    reject_item(item.pk, version=1, reason="Too cheerful", actor=ana, now=NOON)
    item.refresh_from_db()
    assert (item.state, item.decision_reason) == (State.REJECTED, "Too cheerful")
    assert Approval.objects.get().voided_at


def test_without_a_connected_account_there_is_nothing_to_approve():
    item = QueueItemFactory()
    with pytest.raises(WrongState, match="Connect the account"):
        approve(item, person(item))
    item.refresh_from_db()
    assert item.state == State.PENDING
    assert not AuditEvent.objects.exists()


def test_the_database_allows_one_live_approval_per_item(item):
    approve(item, person(item))
    copy = Approval.objects.get()
    copy.pk = None
    with pytest.raises(IntegrityError, match="approval_one_live_per_item"), transaction.atomic():
        copy.save()


def test_the_audit_row_names_person_door_and_content_and_no_text(item):
    approve(item, person(item, door="telegram"))
    event = AuditEvent.objects.get(type="item.approve")
    assert event.actor.startswith("user:")
    assert event.door == "telegram"
    assert event.data == {"version": 1, "content_hash": Approval.objects.get().content_hash}

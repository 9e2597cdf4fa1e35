"""What holds of every decision alike: who makes it, about which version, why, and what it leaves behind."""

import pytest
from django.db.models import F
from django.utils import timezone

from publishing.errors import FourEyes, WrongState
from publishing.models import QueueItem
from publishing.services import compare_counters
from publishing.states import MOVES
from tests import acts, decisions
from tests.factories import MembershipFactory, UserFactory
from tests.worlds import operator
from workspaces.actors import Actor
from workspaces.errors import NotAllowed, ReasonNeeded, WorkspaceNotFound
from workspaces.models import AuditEvent

FOUR_EYES = ("approve", "hand_off", "resend")


@pytest.fixture(params=acts.MOVES)
def move(request) -> str:
    return str(request.param)


@pytest.fixture
def item(x, move) -> QueueItem:
    """An item about which that may be decided."""
    return decisions.waiting_for(x, move)


def refused(error: type[Exception], move: str, item: QueueItem, **more) -> None:
    """The decision raises this, and nothing of it is done."""
    before = decisions.rows()
    with pytest.raises(error):
        acts.decide(move, item, **{"version": item.version, "clock": timezone.now, **more})
    assert decisions.rows() == before


@pytest.mark.parametrize("by", [-1, 1])
def test_a_decision_about_another_version_is_refused(item, move, by):
    refused(WrongState, move, item, version=item.version + by)


def test_to_say_which_post_it_is_names_the_version_too(x):
    item = decisions.waiting_for(x, "give_up")
    assert item.source_post
    target = item.source_post.x_post_id
    post = x.simulator.say("cafe", "Nearly the same", in_reply_to=target)["id"]
    QueueItem.objects.update(version=F("version") + 1)
    with pytest.raises(WrongState):
        acts.say_which(item, post)


def test_nobody_but_an_operator_of_the_workspace_decides(item, move):
    member = MembershipFactory(workspace=item.workspace, role="member").user
    stranger = MembershipFactory(role="owner").user
    for error, user in ((NotAllowed, member), (WorkspaceNotFound, stranger)):
        refused(error, move, item, actor=Actor.operator(user, door="admin"))
    away = MembershipFactory(workspace=item.workspace, user=UserFactory(is_active=False)).user
    refused(WorkspaceNotFound, move, item, actor=Actor.operator(away, door="admin"))


def test_nobody_but_a_person_decides(item, move):
    for actor in (Actor.worker(), Actor.command()):
        refused(NotAllowed, move, item, actor=actor)


@pytest.mark.parametrize("move", acts.REASONED, indirect=True)
@pytest.mark.parametrize("reason", ["", "  ", "x" * 201], ids=["none", "blank", "long"])
def test_a_decision_that_needs_a_reason_is_refused_without_one(item, move, reason):
    refused(ReasonNeeded, move, item, reason=reason)


@pytest.mark.parametrize("move", FOUR_EYES, indirect=True)
def test_who_wrote_the_text_does_not_say_yes_to_it_while_somebody_else_can(item, move):
    QueueItem.objects.update(written_by=operator(item.workspace).user)
    other = MembershipFactory(workspace=item.workspace).user
    refused(FourEyes, move, item)
    acts.decide(
        move,
        item,
        version=item.version,
        clock=timezone.now,
        actor=Actor.operator(other, door="admin"),
    )


@pytest.mark.parametrize("move", FOUR_EYES, indirect=True)
def test_somebody_who_was_switched_off_is_no_second_pair_of_eyes(item, move):
    QueueItem.objects.update(written_by=operator(item.workspace).user)
    MembershipFactory(workspace=item.workspace, user=UserFactory(is_active=False))
    acts.decide(move, item, version=item.version, clock=timezone.now)


@pytest.mark.parametrize("move", ["approve", "retry", "hand_off"], indirect=True)
def test_what_is_too_late_to_be_said_is_not_decided_for(item, move):
    QueueItem.objects.update(relevant_until=timezone.now())
    refused(WrongState, move, item)


def test_a_decision_is_one_audit_row_with_its_person_and_door_and_is_counted_once(item, move):
    before = AuditEvent.objects.filter(type=f"item.{move}").count()
    acts.decide(move, item, version=item.version, clock=timezone.now)
    item.refresh_from_db()
    assert item.state == MOVES[move].target
    assert AuditEvent.objects.filter(type=f"item.{move}").count() == before + 1
    event = AuditEvent.objects.filter(type=f"item.{move}", subject=item.subject).latest("seq")
    assert (event.actor, event.door) == (str(operator(item.workspace)), "admin")
    assert compare_counters() == []


def test_what_was_decided_already_says_so_and_is_not_decided_again(item, move):
    acts.decide(move, item, version=item.version, clock=timezone.now)
    item.refresh_from_db()
    if item.state in MOVES[move].sources:
        return  # an edit of what was edited
    state = item.state.replace("_", " ")
    with pytest.raises(WrongState, match=rf"#\d+ (has been|has no try in doubt).*{state}"):
        acts.decide(move, item, version=item.version, clock=timezone.now)

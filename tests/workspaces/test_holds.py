"""System holds: placed once for each kind, and lifted by people."""

from functools import partial

import pytest

from tests.concurrency import run_together
from tests.workspaces.stops import BAD_REASONS, HOST, LATER, NOON, audited, person, system_operator
from workspaces import services
from workspaces.actors import Actor
from workspaces.errors import (
    NotAllowed,
    ReasonNeeded,
)
from workspaces.models import SystemHold

pytestmark = pytest.mark.django_db(transaction=True)


def hold(kind: str = "usage_cap") -> bool:
    """Stop everybody, as the worker does."""
    return services.place_hold(kind, reason="X says so", actor=Actor.worker(), now=NOON)


def lift(kind: str = "usage_cap", actor: Actor = HOST, reason: str = "paid") -> bool:
    """Let go again."""
    return services.lift_hold(kind, reason=reason, actor=actor, now=LATER)


def test_a_hold_stands_once_per_kind_and_is_audited_once():
    assert [hold(), hold(), hold("burst_of_401")] == [True, False, True]
    assert SystemHold.objects.filter(lifted_at=None, placed_by="worker").count() == 2
    assert audited() == ["hold.place", "hold.place"]


def test_many_who_place_the_same_hold_at_once_place_one():
    assert run_together(*[hold] * 6) == ["ok"] * 6
    assert SystemHold.objects.count() == len(audited()) == 1


def test_a_hold_is_lifted_once_and_may_stand_again():
    hold()
    assert [lift(), lift()] == [True, False]
    assert hold()
    assert audited() == ["hold.place", "hold.lift", "hold.place"]


def test_lifting_one_kind_leaves_the_others():
    hold()
    hold("burst_of_401")
    lift()
    assert SystemHold.objects.get(lifted_at=None).kind == "burst_of_401"


def test_a_system_operator_lifts_a_hold():
    hold()
    assert lift(actor=system_operator())


@pytest.mark.parametrize("role", ["owner", "admin", "member", "stranger"])
def test_no_role_in_a_workspace_lifts_a_hold(role):
    hold()
    with pytest.raises(NotAllowed):
        lift(actor=person(role))
    assert SystemHold.objects.filter(lifted_at=None).exists()


@pytest.mark.parametrize("reason", BAD_REASONS)
def test_lifting_asks_for_a_reason_that_fits(reason):
    hold()
    with pytest.raises(ReasonNeeded):
        lift(reason=reason)
    assert SystemHold.objects.filter(lifted_at=None).exists()


def test_who_lifts_and_who_places_at_once_leave_one_truth():
    hold()
    run_together(*[partial(lift), partial(hold)] * 3)
    standing = SystemHold.objects.filter(lifted_at=None).count()
    assert audited().count("hold.place") - audited().count("hold.lift") == standing <= 1

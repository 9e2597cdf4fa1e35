"""Who may do what, read from the membership at every decision; and what the database insists on."""

from datetime import UTC, datetime

import pytest
from django.db import IntegrityError, transaction

from tests.factories import MembershipFactory, UserFactory, WorkspaceFactory
from workspaces import services
from workspaces.actors import Actor
from workspaces.errors import NotAllowed, WorkspaceNotFound
from workspaces.models import Membership, SystemHold, User, Workspace

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def member(role: str, **user: object):
    """Somebody with a role, and the workspace."""
    membership = MembershipFactory(role=role, user=UserFactory(**user))
    return membership.user, membership.workspace


@pytest.mark.parametrize(("role", "answer"), [("owner", True), ("admin", True), ("member", False)])
def test_owners_and_admins_are_operators(role, answer):
    assert services.is_operator(*member(role)) is answer


@pytest.mark.parametrize("role", ["owner", "admin", "member"])
def test_every_role_is_a_member(role):
    services.check_member(*member(role))


def test_a_member_who_is_no_operator_is_told_so():
    with pytest.raises(NotAllowed, match="owner or admin"):
        services.check_operator(*member("member"))


@pytest.mark.parametrize("check", [services.check_member, services.check_operator])
@pytest.mark.parametrize("superuser", [False, True])
def test_to_a_stranger_the_workspace_is_missing_even_to_a_superuser(check, superuser):
    with pytest.raises(WorkspaceNotFound):
        check(UserFactory(is_superuser=superuser), WorkspaceFactory())


@pytest.mark.parametrize("check", [services.check_member, services.check_operator])
def test_an_inactive_person_is_a_stranger(check):
    with pytest.raises(WorkspaceNotFound):
        check(*member("owner", is_active=False))


def test_a_role_counts_in_its_own_workspace_only():
    user, _ = member("owner")
    with pytest.raises(WorkspaceNotFound):
        services.check_operator(user, WorkspaceFactory())


def test_a_role_that_was_taken_away_no_longer_counts():
    user, workspace = member("owner")
    Membership.objects.update(role="member")
    assert not services.is_operator(user, workspace)


def test_a_person_made_inactive_meanwhile_no_longer_counts():
    user, workspace = member("owner")
    User.objects.update(is_active=False)
    assert not services.is_operator(user, workspace)


def test_a_superuser_is_a_system_operator_and_a_plain_person_is_not():
    services.check_system_operator(UserFactory(is_superuser=True))
    with pytest.raises(NotAllowed):
        services.check_system_operator(UserFactory())


def test_approvers_are_the_active_operators():
    workspace = WorkspaceFactory()
    for role in ("owner", "admin", "member"):
        MembershipFactory(workspace=workspace, role=role)
    MembershipFactory(workspace=workspace, role="admin", user=UserFactory(is_active=False))
    MembershipFactory(role="admin")
    assert services.approvers(workspace) == 2


def test_a_person_sees_the_workspaces_that_they_belong_to():
    user, workspace = member("member")
    WorkspaceFactory()
    assert list(Workspace.objects.visible_to(user)) == [workspace]
    assert not Workspace.objects.visible_to(UserFactory(is_superuser=True)).exists()


# --- Who acts -----------------------------------------------------------------------------------


def test_a_person_is_kept_by_number_and_never_by_name():
    user = UserFactory(username="ana")
    assert str(Actor.operator(user, door="telegram")) == f"user:{user.pk}"


@pytest.mark.parametrize(
    ("actor", "name", "door"),
    [
        (Actor.worker(), "worker", "worker"),
        (Actor.command(), "command", "command"),
    ],
)
def test_whatever_is_no_person_is_kept_by_its_kind(actor, name, door):
    assert (str(actor), actor.door, actor.user) == (name, door, None)


# --- What the database insists on ---------------------------------------------------------------


def test_a_person_has_one_role_in_a_workspace():
    user, workspace = member("owner")
    with pytest.raises(IntegrityError, match="membership_once"), transaction.atomic():
        MembershipFactory(user=user, workspace=workspace)


def test_there_is_no_fourth_role():
    with pytest.raises(IntegrityError, match="membership_role_known"), transaction.atomic():
        MembershipFactory(role="root")


def test_no_workspace_is_called_system():
    with pytest.raises(IntegrityError, match="workspace_slug_not_system"), transaction.atomic():
        WorkspaceFactory(slug="system")


def test_two_holds_of_a_kind_do_not_stand_together():
    SystemHold.objects.create(kind="usage_cap", placed_at=NOON, lifted_at=NOON)
    SystemHold.objects.create(kind="usage_cap", placed_at=NOON)
    with pytest.raises(IntegrityError, match="system_hold_once_per_kind"), transaction.atomic():
        SystemHold.objects.create(kind="usage_cap", placed_at=NOON)

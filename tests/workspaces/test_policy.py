"""A workspace's own policy tightens the settings' limits and never loosens them."""

from dataclasses import fields
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

import pytest

from tests.concurrency import run_together
from tests.factories import MembershipFactory, WorkspaceFactory
from workspaces.actors import Actor
from workspaces.errors import NotAllowed, NotAPolicy, WorkspaceNotFound
from workspaces.models import AuditEvent, User, Workspace
from workspaces.policy import Policy, policy_of
from workspaces.services import change_policy
from workspaces.services.policy import LIMITS

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
HOST = Actor.command()
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


@pytest.fixture(autouse=True)
def _limits(settings):
    settings.APPROVAL_TTL_HOURS = 24
    settings.PUBLISH_THREAD_COOLDOWN_MINUTES = 45
    settings.PUBLISH_AUTHOR_COOLDOWN_MINUTES = 30
    settings.MAX_REPLIES_PER_HOUR = 8
    settings.MAX_REPLIES_PER_DAY = 30
    settings.MAX_CONSECUTIVE_PUBLISH_FAILURES = 3


def test_without_a_policy_of_its_own_the_settings_hold():
    assert policy_of(WorkspaceFactory.build()) == Policy(
        four_eyes=True,
        approval_ttl=24 * HOUR,
        thread_cooldown=45 * MINUTE,
        author_cooldown=30 * MINUTE,
        replies_per_hour=8,
        replies_per_day=30,
        consecutive_failures=3,
        daily_budget_usd=None,
        monthly_budget_usd=None,
    )


@pytest.mark.parametrize(
    ("column", "stricter", "looser", "name", "held", "else_held"),
    [
        ("approval_ttl_hours", 2, 48, "approval_ttl", 2 * HOUR, 24 * HOUR),
        ("thread_cooldown_minutes", 60, 5, "thread_cooldown", HOUR, 45 * MINUTE),
        ("author_cooldown_minutes", 60, 0, "author_cooldown", HOUR, 30 * MINUTE),
        ("max_replies_per_hour", 0, 9, "replies_per_hour", 0, 8),
        ("max_replies_per_day", 5, 31, "replies_per_day", 5, 30),
        ("max_consecutive_failures", 1, 4, "consecutive_failures", 1, 3),
    ],
)
def test_of_a_setting_and_a_policy_the_stricter_holds(
    column, stricter, looser, name, held, else_held
):
    assert getattr(policy_of(WorkspaceFactory.build(**{column: stricter})), name) == held
    assert getattr(policy_of(WorkspaceFactory.build(**{column: looser})), name) == else_held


def test_a_budget_and_four_eyes_are_the_workspace_s_alone():
    policy = policy_of(WorkspaceFactory.build(four_eyes=False, daily_budget_usd=Decimal("1.50")))
    assert (policy.four_eyes, policy.daily_budget_usd) == (False, Decimal("1.50"))


def test_no_failures_at_all_cannot_be_asked_for():
    policy = policy_of(WorkspaceFactory.build(max_consecutive_failures=0))
    assert policy.consecutive_failures == 1


# --- Changing it --------------------------------------------------------------------------------


def person(role: str, workspace: Workspace | None = None) -> Actor:
    """Somebody with a role, here or elsewhere."""
    member = MembershipFactory(workspace=workspace or WorkspaceFactory(), role=role)
    return Actor.operator(member.user, door="admin")


def change(workspace: Workspace, actor: Actor = HOST, **changes: Any) -> bool:
    """Change some limits."""
    return change_policy(workspace, changes=changes, actor=actor, now=NOON)


def audited() -> list[dict[str, Any]]:
    """What was recorded of policies."""
    events = AuditEvent.objects.filter(type="workspace.policy").order_by("seq")
    return list(events.values_list("data", flat=True))


@pytest.fixture
def team(transactional_db) -> Workspace:
    """A workspace without a policy of its own."""
    return WorkspaceFactory()


@pytest.mark.parametrize("role", ["owner", "admin"])
def test_an_operator_changes_the_policy_and_the_audit_row_has_old_and_new(team, role):
    actor = person(role, team)
    assert change(team, actor, max_replies_per_hour=4, daily_budget_usd=Decimal("1.5"))
    team.refresh_from_db()
    assert (team.max_replies_per_hour, team.daily_budget_usd) == (4, Decimal("1.50"))
    assert audited() == [{"max_replies_per_hour": [None, 4], "daily_budget_usd": [None, "1.50"]}]


def test_a_member_changes_nothing(team):
    with pytest.raises(NotAllowed):
        change(team, person("member", team), max_replies_per_hour=4)
    assert audited() == []


@pytest.mark.parametrize("superuser", [False, True])
def test_to_an_operator_of_another_workspace_it_is_missing(team, superuser):
    actor = person("owner")
    User.objects.update(is_superuser=superuser)
    with pytest.raises(WorkspaceNotFound):
        change(team, actor, max_replies_per_hour=4)
    assert audited() == []


def test_what_stood_there_already_is_no_change(team):
    assert change(team, thread_cooldown_minutes=60)
    assert not change(team, thread_cooldown_minutes=60, max_replies_per_day=None)
    assert len(audited()) == 1


def test_a_limit_is_given_back_to_the_system(team):
    change(team, max_replies_per_hour=4)
    assert change(team, max_replies_per_hour=None)
    team.refresh_from_db()
    assert policy_of(team).replies_per_hour == 8
    assert audited()[-1] == {"max_replies_per_hour": [4, None]}


def test_only_an_owner_switches_four_eyes_off(team):
    with pytest.raises(NotAllowed, match="Only an owner"):
        change(team, person("admin", team), four_eyes=False, max_replies_per_hour=4)
    assert audited() == []
    assert change(team, person("owner", team), four_eyes=False)
    assert change(team, person("admin", team), four_eyes=True)
    assert audited() == [{"four_eyes": [True, False]}, {"four_eyes": [False, True]}]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"approval_ttl_hours": 0}, "at least 1 and at most 8,760"),
        ({"thread_cooldown_minutes": 43_201}, "Between two replies in one conversation"),
        ({"author_cooldown_minutes": -1}, "at least 0"),
        ({"max_replies_per_hour": 2_000_000_000}, "at most 1,000"),
        ({"max_replies_per_day": 10**30}, "at most 10,000"),
        ({"max_replies_per_day": True}, "a whole number"),
        ({"max_replies_per_day": "5"}, "a whole number"),
        ({"max_replies_per_day": 5.0}, "a whole number"),
        ({"max_consecutive_failures": 0}, "at least 1"),
        ({"daily_budget_usd": Decimal("0.001")}, "whole cents"),
        ({"daily_budget_usd": Decimal("NaN")}, "whole cents"),
        ({"daily_budget_usd": Decimal("Infinity")}, "whole cents"),
        ({"monthly_budget_usd": Decimal("1e999")}, "at most 1,000,000"),
        ({"monthly_budget_usd": Decimal(-1)}, "at least 0"),
        ({"four_eyes": None}, "either on or off"),
        ({"slug": "mine"}, "no such limit"),
        ({"paused_at": None}, "no such limit"),
    ],
)
def test_what_it_cannot_be_is_said_in_a_sentence(team, changes, sentence):
    before = Workspace.objects.values().get()
    with pytest.raises(NotAPolicy, match=sentence):
        change(team, **changes)
    assert (Workspace.objects.values().get(), audited()) == (before, [])


def test_no_replies_at_all_is_a_policy(team):
    change(team, max_replies_per_hour=0, daily_budget_usd=Decimal(0))
    team.refresh_from_db()
    assert (policy_of(team).replies_per_hour, policy_of(team).daily_budget_usd) == (0, 0)


def test_every_limit_is_a_column_and_a_part_of_the_policy():
    columns = {field.name for field in Workspace._meta.concrete_fields}
    assert set(LIMITS) <= columns
    assert len(fields(Policy)) == len(LIMITS) + 1  # and four eyes


def test_of_two_who_change_it_at_once_both_are_audited(team):
    acts = [partial(change, team, max_replies_per_hour=number) for number in (1, 2, 3, 4)]
    assert run_together(*acts) == ["ok"] * 4
    team.refresh_from_db()
    olds_and_news = [data["max_replies_per_hour"] for data in audited()]
    assert [old for old, _ in olds_and_news] == [None, *(new for _, new in olds_and_news[:-1])]
    assert olds_and_news[-1][1] == team.max_replies_per_hour

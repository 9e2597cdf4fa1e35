"""A workspace's own policy tightens the settings' limits and never loosens them."""

from datetime import timedelta
from decimal import Decimal

import pytest

from tests.factories import WorkspaceFactory
from workspaces.policy import Policy, policy_of

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

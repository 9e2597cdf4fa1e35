"""Containment: so many failures in a row stop the workspace, until a person has looked."""

from datetime import UTC, datetime

from publishing.models import PublishAttempt
from publishing.states import Outcome
from revfirst.db import wait_for_locks_at_most
from workspaces.actors import Actor
from workspaces.models import Workspace
from workspaces.policy import policy_of
from workspaces.services import LOCK_SECONDS_WITH_A_WORKSPACE, write_containment

TARGETS_OWN = ("summon_rule", "target_gone")
"""Refusals that say something about one target, and nothing about us."""
_LONG_AGO = datetime(2006, 3, 21, tzinfo=UTC)  # before the first post on X


def lock_workspace_of(attempt_id: int) -> None:
    """Take the row of the attempt's workspace before the item's, as everywhere: a failure may contain it.

    What follows waits for no lock so long that a pause, which needs that row, would fail.
    """
    row = Workspace.objects.filter(items__attempts=attempt_id)
    row.select_for_update(no_key=True, of=("self",)).order_by().first()
    wait_for_locks_at_most(LOCK_SECONDS_WITH_A_WORKSPACE)


def contain_after_failures(workspace: Workspace, *, actor: Actor, now: datetime) -> None:
    """Contain the workspace when its last attempts all failed; its row is locked.

    Refused and unknown ones count, those that were not executed do not, nor do hand-offs, nor what
    was before containment was last lifted.
    """
    workspace.refresh_from_db()
    enough = policy_of(workspace).consecutive_failures
    tried = (
        PublishAttempt.objects.filter(
            workspace=workspace,
            by_hand=False,
            outcome__in=[Outcome.SUCCEEDED, Outcome.REFUSED, Outcome.UNKNOWN, Outcome.ABANDONED],
            settled_at__gt=workspace.containment_lifted_at or _LONG_AGO,
        )
        .exclude(code__in=TARGETS_OWN)
        .order_by("-started_at", "-pk")
    )
    last = list(tried.values_list("outcome", flat=True)[:enough])
    if len(last) == enough and Outcome.SUCCEEDED not in last:
        reason = f"{enough} publications in a row failed or are in doubt."
        write_containment(workspace, reason=reason, actor=actor, now=now)

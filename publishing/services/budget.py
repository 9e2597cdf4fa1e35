"""What a workspace may still spend on reading: publishing has the last tenth of each budget to itself."""

from datetime import UTC, datetime
from decimal import Decimal

from django.db.models import Q, Sum

from publishing.models import PublishAttempt
from publishing.states import Outcome
from workspaces.models import Workspace
from workspaces.policy import policy_of
from x_integration.models import Spend

READING_SHARE = Decimal("0.9")


def usd_for_reading(workspace: Workspace, *, now: datetime) -> Decimal | None:
    """US dollars that reading may cost now, at least 0; None where no budget limits it.

    What is in flight to X counts as spent. Looks for a doubtful post do not ask: they are never stopped.
    """
    policy, today = policy_of(workspace), now.astimezone(UTC).date()
    spends = Spend.objects.filter(workspace=workspace, day__gte=today.replace(day=1))
    spent = spends.aggregate(month=Sum("usd"), day=Sum("usd", filter=Q(day=today)))
    flying = PublishAttempt.objects.filter(workspace=workspace, outcome=Outcome.IN_FLIGHT)
    reserved = flying.aggregate(usd=Sum("usd"))["usd"] or Decimal(0)
    left = [
        budget * READING_SHARE - (already or Decimal(0)) - reserved
        for budget, already in (
            (policy.daily_budget_usd, spent["day"]),
            (policy.monthly_budget_usd, spent["month"]),
        )
        if budget is not None
    ]
    return max(min(left), Decimal(0)) if left else None

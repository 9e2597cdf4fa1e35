"""The numbers of this app: how each is read off the audit log, and what /metrics shows of the queue."""

from collections.abc import Iterable

from django.db.models import Count, Min
from django.utils import timezone
from prometheus_client.core import GaugeMetricFamily, Metric

from publishing.models import Kind, QueueItem
from publishing.services.budget import purses_of
from publishing.states import LIVE, State
from workspaces.counters import Tally
from workspaces.models import Workspace

TALLIES = (
    Tally("replies_published_total", "item.confirm", where={"kind": Kind.REPLY.value}),
    Tally("posts_published_total", "item.confirm", where={"kind": Kind.POST.value}),
    Tally("handed_off_published_total", "item.confirm_by_hand"),
    Tally("direct_publish_total", "item.confirm", where={"direct": True}),
    Tally("replies_proposed_total", "item.propose", where={"kind": Kind.REPLY.value}),
    *(
        Tally("approvals_total", f"item.{name}", labels={"decision": f"={name}", "door": "door"})
        for name in ("approve", "reject", "resend", "give_up", "hand_off")
    ),
    Tally("publish_blocked_total", "item.block", labels={"reason": "reason"}),
    Tally("publish_blocked_total", "direct.block", labels={"reason": "reason"}),
    Tally("publish_errors_total", "item.release", labels={"code": "code"}),
    Tally("publish_errors_total", "item.fail", labels={"code": "code"}),
    Tally("publish_errors_total", "item.doubt", labels={"code": "code"}),
    Tally(
        "unconfirmed_total",
        "item.confirm",
        where={"reconciled": True},
        labels={"settled": "=published"},
    ),
    Tally("unconfirmed_total", "item.give_up", labels={"settled": "=given_up"}),
    Tally("unconfirmed_total", "item.resend", labels={"settled": "=resent"}),
    Tally("x_spend_usd_total", "item.confirm", labels={"kind": "spend"}, amount="usd"),
    Tally("x_spend_usd_total", "item.doubt", labels={"kind": "spend"}, amount="usd"),
)


def queue() -> Iterable[Metric]:
    """Live items by state, doubts, and how long the oldest pending item has waited."""
    items = GaugeMetricFamily(
        "revfirst_queue_items", "Items in each live state.", labels=["workspace", "state"]
    )
    oldest = GaugeMetricFamily(
        "revfirst_oldest_pending_seconds", "Age of the oldest pending item.", labels=["workspace"]
    )
    now = timezone.now()
    rows = QueueItem.objects.filter(state__in=LIVE).values_list("workspace__slug", "state")
    found = {
        (slug, state): (number, since)
        for slug, state, number, since in rows.annotate(Count("id"), Min("created_at")).order_by()
    }
    none = (0, now)  # shown as well: a gauge that vanishes looks as it did last
    for slug in Workspace.objects.values_list("slug", flat=True):
        for state in sorted(LIVE):
            items.add_metric([slug, state], found.get((slug, state), none)[0])
        since = found.get((slug, State.PENDING), none)[1]
        oldest.add_metric([slug], (now - since).total_seconds())
    yield items
    yield oldest
    doubts = sum(number for (_, state), (number, _) in found.items() if state == State.UNCONFIRMED)
    yield GaugeMetricFamily(
        "revfirst_unconfirmed_items", "Items whose publication is in doubt.", value=doubts
    )


def money() -> Iterable[Metric]:
    """What each workspace has spent in this day and month, by UTC, and of what budget where it has one."""
    labels = ["workspace", "period"]
    budgets = GaugeMetricFamily(
        "revfirst_budget_usd", "The budget, where there is one.", labels=labels
    )
    spent = GaugeMetricFamily("revfirst_spent_usd", "Spent at X in the period.", labels=labels)
    for purses in purses_of(Workspace.objects.all(), now=timezone.now()):
        for purse in purses:
            of = [purse.workspace.slug, purse.period]
            spent.add_metric(of, float(purse.spent))
            if purse.budget is not None:
                budgets.add_metric(of, float(purse.budget))
    yield budgets
    yield spent

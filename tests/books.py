"""What must hold at the end, whatever happened: X, the rows, the counters, the audit and the money agree."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from django.db.models import Count, Sum

from publishing.models import Approval, PublishAttempt, QueueItem
from publishing.services import compare_counters, compare_workspace
from publishing.states import Outcome, State
from workspaces import audit
from workspaces.models import AuditEvent, Counter
from x_integration.answers import DUPLICATE_CONTENT
from x_integration.client import XClient
from x_integration.models import PricedCall, Spend
from x_integration.prices import POST_READ, USER_READ, price, utc_day

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.worlds import World
    from workspaces.models import Workspace

DONE_WITH = (State.PUBLISHED, State.FAILED, State.EXPIRED, State.REJECTED)
HOLDS_ITS_PLACE = (State.PUBLISHED, State.UNCONFIRMED)  # in cooldowns and quotas
_COST_MONEY = (Outcome.SUCCEEDED, Outcome.UNKNOWN, Outcome.ABANDONED)


def check_item(x: World, item: QueueItem) -> None:
    """Exactly one post at X, or none and the item says so: published, or refused, or flagged."""
    ids = [post["id"] for post in posts_of(x, item) if post["source"] == "api"]
    assert len(ids) <= 1, "it stands at X twice"
    assert ids == [item.x_post_id] * (item.state == State.PUBLISHED), "X and the item differ"
    at_rest = item.state in DONE_WITH or item.needs_person
    assert at_rest, f"nobody cares for it: {item.state} {item.blocked_reason}"
    check_attempts(item)
    live = Approval.objects.filter(item=item, used_at=None, voided_at=None)
    assert not live.exists(), "an approval is left over"


def posts_of(x: World, item: QueueItem) -> list[dict[str, Any]]:
    """What stands on X of this item, by whomever it was sent, the oldest first."""
    target = item.source_post.x_post_id if item.source_post else None
    mine = x.simulator.posts(username=item.workspace.x_account.username)
    standing = [post for post in mine if not post["deleted"] and post["in_reply_to"] == target]
    said = {attempt.snapshot["text"] for attempt in item.attempts.all()}
    return [post for post in standing if target or post["text"] in said]


def check_attempts(item: QueueItem) -> None:
    """Nothing is in flight, one attempt holds the item's place, and a success was audited once."""
    outcomes = list(item.attempts.values_list("outcome", flat=True))
    assert Outcome.IN_FLIGHT not in outcomes
    successes = int(item.state == State.PUBLISHED)
    rows = AuditEvent.objects.filter(chain=str(item.workspace_id), subject=item.subject)
    confirms = rows.filter(type__in=["item.confirm", "item.confirm_by_hand"])
    assert (outcomes.count(Outcome.SUCCEEDED), confirms.count()) == (successes, successes)
    holding = item.attempts.open().count()
    assert holding == int(item.state in HOLDS_ITS_PLACE), "a reservation is left over, or lost"


def check_books(x: World, workspaces: Iterable[Workspace], *, beside: Iterable[str] = ()) -> None:
    """Chains hold; counters, audit, timelines and money agree.

    `beside` are posts that stand there twice, of which a person was told: they are differences.
    """
    breaks = [str(each) for each in audit.verify() if isinstance(each, audit.Break)]
    assert not breaks, "; ".join(breaks)
    differences = [str(each) for each in compare_counters()]
    assert not differences, "; ".join(differences)
    for workspace in workspaces:
        differences = list(compare_workspace(workspace, x=XClient()).differences)
        told = [each for each in differences if each.partition(" ")[0] not in beside]
        assert not told, "; ".join(told)
        check_money(x, workspace)
    assert not PublishAttempt.objects.filter(outcome=Outcome.IN_FLIGHT).exists()


def check_money(x: World, workspace: Workspace) -> None:
    """The ledger has what was executed or may have been, once each, and so has the counter.

    X bills what stands there by a machine: all of it is in the ledger, and beside it doubts alone. What
    was read is a kind of its own.
    """
    tried = PublishAttempt.objects.filter(workspace=workspace, by_hand=False)
    charged = tried.filter(charged=True)
    owed = tried.filter(outcome__in=_COST_MONEY) | tried.filter(code=DUPLICATE_CONTENT)
    assert set(charged.values_list("pk")) == set(owed.values_list("pk"))
    ledger_adds_up(workspace)
    calls, usd = _sum(charged, Count("pk"))
    ledger = Spend.objects.filter(workspace=workspace)
    assert _sum(ledger.exclude(kind__in=(POST_READ, USER_READ)), Sum("calls")) == (calls, usd)
    counted = Counter.objects.filter(chain=str(workspace.pk), name="x_spend_usd_total")
    assert sum(counted.values_list("value", flat=True)) == _sum(ledger, Sum("calls"))[1]
    mine = x.simulator.posts(username=workspace.x_account.username, source="api")
    bill = sum(_price(post) for post in mine)
    confirmed = charged.filter(outcome=Outcome.SUCCEEDED)
    assert _sum(confirmed, Count("pk"))[1] <= bill <= usd, "the ledger and X's bill differ"


def bill_equals_ledger(x: World, *, never_made: Iterable[PublishAttempt] = ()) -> None:
    """What X billed, by day and kind, is what stands in the ledger, to the last unit and cent.

    Of a doubt whose post was never made X bills nothing, and the ledger has it all the same: nobody can
    tell such a doubt from the others. `never_made` names each of them.
    """
    unbilled = [attempt.subject for attempt in never_made]
    doubts = PricedCall.objects.filter(subject__in=unbilled).exclude(kind=POST_READ)
    assert doubts.count() == len(unbilled), "no charge of that doubt is in the ledger"
    billed: dict[tuple[str, str], tuple[int, Decimal]] = {}
    for days in x.simulator.bill()["users"].values():
        for day, kinds in days.items():
            for kind, line in kinds.items():
                units, usd = billed.get((day, kind), (0, Decimal(0)))
                billed[day, kind] = units + line["count"], usd + Decimal(line["usd"])
    rows = PricedCall.objects.exclude(pk__in=doubts).values_list("day", "kind")
    told = rows.annotate(of=Sum("units"), costs=Sum("usd")).order_by()
    assert {(f"{day}", kind): (of, costs) for day, kind, of, costs in told} == billed


def ledger_adds_up(workspace: Workspace) -> None:
    """The rows of the calls are the totals of each day and kind, in number and in dollars."""
    calls = PricedCall.objects.filter(workspace=workspace).values_list("day", "kind")
    totals = Spend.objects.filter(workspace=workspace, usd__gt=0)
    assert set(calls.annotate(Count("pk"), Sum("usd")).order_by()) == set(
        totals.values_list("day", "kind", "calls", "usd")
    ), "the rows of the ledger do not add up"


def _sum(rows: Any, how_many: Any) -> tuple[int, Decimal]:
    found = rows.aggregate(calls=how_many, usd=Sum("usd"))
    return found["calls"] or 0, found["usd"] or Decimal(0)


def _price(post: dict[str, Any]) -> Decimal:
    kind = "summoned_reply" if post["in_reply_to"] else "post"
    return price(kind, on=utc_day(datetime.fromisoformat(post["created_at"])))

"""A month on the local X with a budget: never over it, and the ledger is the bill; `make month` is the whole one."""

from dataclasses import dataclass
from decimal import Decimal
from itertools import count

from publishing.services import compare_counters
from publishing.services.budget import MONTH
from tests.books import bill_equals_ledger, check_money, ledger_adds_up
from tests.months import HOURS, LOST, NEVER_MADE, Month
from workspaces.models import AuditEvent
from x_integration.models import SourcePost


@dataclass(frozen=True)
class Plan:
    """How many days, how much is said and answered in them, and for how much money.

    The answering ends first: three days after reading has stopped, nothing that was read is news.
    """

    days: int
    answering: int  # days
    mentions: int
    replies: int
    usd: Decimal

    def mentions_of(self, turn: int) -> int:
        """So many of the mentions fall to one of the month's turns."""
        return _share(self.mentions, turn, self.days)

    def replies_of(self, turn: int) -> int:
        """So many of the replies fall to one of the month's turns."""
        return _share(self.replies, turn, self.answering)


def _share(many: int, turn: int, days: int) -> int:
    turns = days * len(HOURS)
    return many * (turn + 1) // turns - many * turn // turns if turn < turns else 0


SHORT = Plan(days=3, answering=3, mentions=240, replies=16, usd=Decimal("1.00"))
WHOLE = Plan(days=30, answering=21, mentions=10_000, replies=500, usd=Decimal(40))


def work(month: Month, plan: Plan) -> tuple[int, int]:
    """The days, one after the other; how many replies were tried before and after reading stopped."""
    tried, numbers = [0, 0], count(1)
    turns = [(day, hour) for day in range(plan.days) for hour in HOURS]
    for turn, (day, hour) in enumerate(turns):
        month.go_to(day, hour)
        month.hear(plan.mentions_of(turn))
        month.read()
        for post in month.unanswered(plan.replies_of(turn)):
            number = next(numbers)
            fault = {5: LOST, 9: NEVER_MADE}.get(number % 50, "")
            month.answer(post, fault)
            tried[month.reading_stopped] += 1
        month.look()
    return tried[0], tried[1]


def test_a_month_stays_within_its_budget_and_the_ledger_is_the_bill(x, request):
    plan = WHOLE if request.config.getoption("--whole-month") else SHORT
    month = Month(x, plan.usd)
    before, after = work(month, plan)
    read, published, spent = SourcePost.objects.count(), month.published(), month.spent()
    assert month.reading_stopped
    assert read < plan.mentions
    assert after > 0
    assert before + after == plan.replies
    assert published == plan.replies - len(month.never_made)
    warned = AuditEvent.objects.filter(type="budget.warn", data__period=MONTH)
    assert warned.count() == 1
    bill_equals_ledger(x, never_made=month.never_made)
    check_money(x, month.cafe)
    assert compare_counters() == []

    month.go_to(40, HOURS[0])
    while month.read() + month.read():  # the first fills what a run left open
        pass
    left = plan.mentions - SourcePost.objects.count()
    assert left == max(0, plan.mentions - read - 800)
    bill_equals_ledger(x, never_made=month.never_made)
    ledger_adds_up(month.cafe)
    told = f"{read} of {plan.mentions} mentions read, {published} replies published "
    told += f"({after} tried after reading had stopped), {spent} of {plan.usd} USD, "
    told += f"at most {max(month.highest.values())}; {left} left after the month's turn"
    print(told)

"""Money: the ledger has what X charges, once; budgets by UTC day and month stop what would exceed them."""

from datetime import date, timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from publishing.models import PublishAttempt, QueueItem
from publishing.pricing import price_of
from publishing.services import claim_item, settle_attempt
from publishing.states import State
from tests.worlds import WORKER, approved_post, problem
from workspaces.models import AuditEvent, Counter, Workspace
from x_integration.models import SourcePost, Spend


@pytest.fixture
def cafe(x):
    """A connected workspace."""
    return x.connected()


def spent() -> dict[str, tuple[int, Decimal]]:
    return {row.kind: (row.calls, row.usd) for row in Spend.objects.all()}


def agree() -> None:
    """Ledger, counters and audit log say the same."""
    ledger = {f"kind={row.kind}": row.usd for row in Spend.objects.all()}
    rows = Counter.objects.filter(name="x_spend_usd_total")
    assert {row.labels: row.value for row in rows} == ledger
    audited: dict[str, Decimal] = {}
    for event in AuditEvent.objects.filter(data__has_key="usd"):
        kind = f"kind={event.data['spend']}"
        audited[kind] = audited.get(kind, Decimal(0)) + Decimal(event.data["usd"])
    assert audited == ledger


def test_each_kind_has_its_price(x, cafe):
    x.publish(approved_post(cafe, "Good morning"))
    x.publish(approved_post(cafe, "See https://cafe.example/menu"))
    x.publish(x.answering(cafe, by="lia", text="Look: https://cafe.example"))
    assert spent() == {
        "post": (1, Decimal("0.015")),
        "post_with_url": (1, Decimal("0.2")),
        "summoned_reply": (1, Decimal("0.01")),
    }
    agree()


def test_a_reply_in_a_thread_of_our_own_is_a_post(x, cafe):
    item = x.answering(cafe, by="lia", text="And more")
    SourcePost.objects.update(eligibility=SourcePost.Eligibility.OWN_THREAD)
    x.publish(item)
    assert list(spent()) == ["post"]


@pytest.mark.parametrize("fault", [problem(400), problem(429)], ids=["refused", "released"])
def test_what_x_did_not_execute_costs_nothing(x, cafe, fault):
    x.fault(**fault)
    x.publish(approved_post(cafe, "Good morning"))
    assert spent() == {}
    assert not PublishAttempt.objects.get().charged


def test_a_doubt_is_charged_once_and_not_again_when_it_is_found(x, cafe):
    x.fault("lost_answer")
    x.publish(approved_post(cafe, "Good morning"))
    assert spent() == {"post": (1, Decimal("0.015"))}
    assert x.sweep(after=timedelta(seconds=20)).confirmed == 1
    assert spent() == {"post": (1, Decimal("0.015")), "post_read": (1, Decimal("0.005"))}
    agree()


def test_a_day_is_the_day_of_utc_on_which_it_was_sent(x, cafe):
    item = approved_post(cafe, "Good night")
    late = timezone.now().replace(hour=23, minute=59, second=59)
    item_is_due = QueueItem.objects.filter(pk=item.pk)
    item_is_due.update(not_before=None)
    attempt = claim_item(item.pk, actor=WORKER, now=late)
    assert attempt is not None
    after_midnight = late + timedelta(seconds=2)
    settle_attempt(attempt.pk, "confirm", actor=WORKER, now=after_midnight, x_post_id="7")
    assert Spend.objects.get().day == late.date()


def budget(**usd: str) -> None:
    Workspace.objects.update(
        **{f"{name}_budget_usd": Decimal(value) for name, value in usd.items()}
    )


def on_another_day(days: int) -> None:
    """What was spent lies so many days back."""
    row = Spend.objects.get()
    Spend.objects.update(day=row.day - timedelta(days=days))


@pytest.mark.parametrize("period", ["daily", "monthly"])
def test_a_budget_lets_the_last_cent_go_and_nothing_after_it(x, cafe, period):
    budget(**{period: "0.03"})
    texts = ["One", "Two", "Three"]
    items = [x.publish(approved_post(cafe, text)) for text in texts]
    assert [item.state for item in items] == [State.PUBLISHED, State.PUBLISHED, State.APPROVED]
    assert items[2].blocked_reason == "budget"
    assert spent() == {"post": (2, Decimal("0.03"))}


def test_a_dear_post_waits_while_a_cheap_one_goes(x, cafe):
    budget(daily="0.10")
    assert x.publish(approved_post(cafe, "See https://cafe.example")).blocked_reason == "budget"
    assert x.publish(approved_post(cafe, "Good morning")).state == State.PUBLISHED


def test_yesterday_is_of_no_concern_to_the_day(x, cafe):
    budget(daily="0.02")
    x.publish(approved_post(cafe, "One"))
    on_another_day(1)
    assert x.publish(approved_post(cafe, "Two")).state == State.PUBLISHED


def test_last_month_is_of_no_concern_to_the_month(x, cafe):
    budget(monthly="0.02")
    x.publish(approved_post(cafe, "One"))
    on_another_day(31)
    assert x.publish(approved_post(cafe, "Two")).state == State.PUBLISHED


def test_what_is_in_flight_has_its_price_reserved(x, cafe):
    """Two that would exceed the budget together cannot both be claimed."""
    budget(daily="0.02")
    items = [approved_post(cafe, text) for text in ("One", "Two")]
    claims = [claim_item(item.pk, actor=WORKER, now=timezone.now()) for item in items]
    assert [claim is not None for claim in claims] == [True, False]
    items[1].refresh_from_db()
    assert items[1].blocked_reason == "budget"


def test_what_was_refused_gives_its_money_back(x, cafe):
    budget(daily="0.02")
    x.fault(**problem(400))
    x.publish(approved_post(cafe, "One"))
    assert x.publish(approved_post(cafe, "Two")).state == State.PUBLISHED


def test_a_workspace_without_a_budget_is_not_stopped(x, cafe):
    items = [x.publish(approved_post(cafe, f"Number {n}")) for n in range(3)]
    assert {item.state for item in items} == {State.PUBLISHED}


def test_one_workspace_s_money_is_its_own(x, cafe):
    other = x.connected("other")
    budget(daily="0.02")
    x.publish(approved_post(cafe, "One"))
    assert x.publish(approved_post(other, "One")).state == State.PUBLISHED


@pytest.mark.parametrize(
    ("text", "is_link"),
    [
        ("See cafe.example", True),
        ("CAFE.EXAMPLE", True),
        ("cafe.exampleをどうぞ", True),
        ("cafe.example_", True),
        ("\u043a\u0430\u0444\u0435.\u0440\u0444", True),
        ("v1.2.3, e.g. this", False),
        ("Wait... what", False),
    ],
)
def test_whatever_x_may_take_for_a_link_costs_as_much(text, is_link):
    priced = price_of("post", text, summoned=False, on=date(2026, 11, 28))
    assert priced.priced_as == ("post_with_url" if is_link else "post")

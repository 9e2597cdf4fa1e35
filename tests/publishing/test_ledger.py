"""The ledger: one row for each call that X charges for, the same as its bill; looks cost, and nothing stops them."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from publishing.management.commands.compare_counters import Command
from publishing.models import PublishAttempt
from publishing.services import compare_workspace, give_up_item, publish_directly
from publishing.states import State
from tests.books import bill_equals_ledger, check_books, check_money, ledger_adds_up
from tests.concurrency import run_together
from tests.worlds import operator
from workspaces.models import AuditEvent, Workspace
from x_integration import prices
from x_integration.client import XClient
from x_integration.models import Feed, PricedCall, Spend
from x_integration.prices import POST_READ, SUMMONED_REPLY, TARIFFS, Tariff, utc_day


@pytest.fixture
def cafe(x):
    """A connected workspace."""
    return x.connected()


def rows(kind: str = ""):
    """Subject, units and dollars of the ledger's rows, the oldest first."""
    found = PricedCall.objects.filter(kind=kind) if kind else PricedCall.objects.all()
    return list(found.order_by("pk").values_list("subject", "units", "usd"))


def doubt(x, item, fault="lost_answer", **more):
    x.fault(fault, **more)
    x.publish(item)
    assert item.state == State.UNCONFIRMED
    return PublishAttempt.objects.get(item=item, outcome="unknown")


# --- what is written ------------------------------------------------------------------------------


def test_a_page_and_a_publication_are_a_row_each(x, cafe):
    for _ in range(2):
        x.mention(cafe)
    item = x.publish(x.approved(cafe))
    feed = Feed.objects.get(workspace=cafe)
    assert rows() == [
        (f"feed:{feed.pk}", 3, Decimal("0.015")),
        (f"item:{item.number}/1", 1, Decimal("0.010")),
    ]
    bill_equals_ledger(x)


def test_what_x_shows_for_nothing_is_no_row(x, cafe):
    x.mention(cafe)
    x.ingest(cafe)
    Feed.objects.update(seen_until="")
    x.ingest(cafe)
    assert len(rows()) == 1
    bill_equals_ledger(x)


def test_a_row_that_does_not_add_up_is_refused(x, cafe):
    told = {"workspace": cafe, "at": timezone.now(), "day": utc_day(timezone.now()), "kind": "post"}
    with pytest.raises(IntegrityError, match="priced_call_adds_up"), transaction.atomic():
        PricedCall.objects.create(**told, units=2, unit_usd="0.01", usd="0.01", subject="account")


def test_a_price_of_tomorrow_is_paid_and_budgeted_from_tomorrow_on(x, cafe, monkeypatch):
    tomorrow = utc_day(timezone.now()) + timedelta(days=1)
    dearer = [Tariff(tomorrow, kind, Decimal("0.04"), "X") for kind in (POST_READ, SUMMONED_REPLY)]
    monkeypatch.setattr(prices, "TARIFFS", (*TARIFFS, *dearer))
    x.mention(cafe)
    x.ingest(cafe)
    Feed.objects.update(seen_until="")
    x.ingest(cafe, now=timezone.now() + timedelta(days=1))
    assert [usd for _, _, usd in rows()] == [Decimal("0.005"), Decimal("0.04")]


def test_two_that_are_charged_at_once_lose_no_row(x, cafe):
    for n in range(4):
        x.mention(cafe, by=f"fan{n}")
    items = [x.answering(cafe, by=f"somebody{n}", text=f"Thank you, {n}") for n in range(2)]
    Workspace.objects.update(thread_cooldown_minutes=None)
    acts = [lambda: x.ingest(cafe), *(lambda item=item: x.publish(item) for item in items)]
    assert run_together(*acts) == ["ok"] * 3
    ledger_adds_up(cafe)
    bill_equals_ledger(x)


# --- looks ----------------------------------------------------------------------------------------


def test_a_look_is_charged_with_an_audit_row_that_says_what_it_was_for(x, cafe):
    item = x.answering(cafe, by="lia", text="Thank you")
    doubt(x, item)
    assert x.sweep(after=timedelta(seconds=20)).confirmed == 1
    subject = f"item:{item.number}/1"
    assert rows(POST_READ) == [(subject, 1, Decimal("0.005"))]
    told = AuditEvent.objects.get(type="posts.look")
    assert told.data == {"of": subject, "spend": "post_read", "usd": "0.005"}
    bill_equals_ledger(x)
    check_books(x, [cafe])


def test_what_was_looked_at_before_costs_once_on_a_day(x, cafe):
    """Every look shows what the account said since; X charges for a post once on a UTC day."""
    item = x.answering(cafe, by="lia", text="Thank you")
    doubt(x, item, "status", status=500)
    x.simulator.say("cafe", "Something else")
    for after in (20, 130, 610):
        assert x.sweep(after=timedelta(seconds=after)).not_found == 1
    assert rows(POST_READ) == [(f"item:{item.number}/1", 1, Decimal("0.005"))]
    assert AuditEvent.objects.filter(type="posts.look").count() == 1


def test_a_look_that_finds_an_empty_timeline_costs_nothing(x, cafe):
    item = x.answering(cafe, by="lia", text="Thank you")
    doubt(x, item, "status", status=500)
    x.sweep(after=timedelta(seconds=20))
    assert not AuditEvent.objects.filter(type="posts.look").exists()
    assert rows(POST_READ) == []


def test_no_budget_stops_a_look(x, cafe):
    item = x.answering(cafe, by="lia", text="Thank you")
    doubt(x, item)
    Workspace.objects.update(daily_budget_usd=Decimal("0.001"), monthly_budget_usd=Decimal("0.001"))
    assert x.sweep(after=timedelta(seconds=20)).confirmed == 1
    assert rows(POST_READ) == [(f"item:{item.number}/1", 1, Decimal("0.005"))]


def test_a_look_that_breaks_off_has_paid_for_the_pages_that_it_saw(x, cafe, monkeypatch):
    item = x.answering(cafe, by="lia", text="Thank you")
    doubt(x, item)
    for n in range(120):
        x.simulator.say("cafe", f"Number {n}")
    left = iter([True, True, False])
    monkeypatch.setattr("revfirst.batch.Patience.left", lambda self: next(left))
    x.sweep(after=timedelta(seconds=20))
    assert rows(POST_READ)[0][1] == 100
    bill_equals_ledger(x)


def test_comparing_with_the_timeline_costs_what_it_reads(x, cafe):
    x.publish(x.answering(cafe, by="lia", text="Thank you"))
    for _ in range(2):
        assert compare_workspace(cafe, x=XClient()).differences == ()
    assert rows(POST_READ) == [("account", 1, Decimal("0.005"))]
    bill_equals_ledger(x)
    check_money(x, cafe)


def test_the_command_that_compares_says_that_it_costs_and_writes():
    told = " ".join(Command.help.split())
    assert "X charges" in told
    assert "writes nothing" not in told


# --- the bill -------------------------------------------------------------------------------------


def test_a_run_of_everything_costs_what_x_bills(x, cafe, settings):
    settings.PUBLISHING_DIRECT_API_ENABLED = True
    for n in range(3):
        x.publish(x.approved(cafe, by=f"fan{n}"))
    lost = x.answering(cafe, by="ana", text="Thank you, Ana")
    doubt(x, lost)
    gone = doubt(x, x.answering(cafe, by="rui", text="Thank you, Rui"), "status", status=500)
    x.sweep(after=timedelta(seconds=20))
    lost.refresh_from_db()
    assert lost.state == State.PUBLISHED
    publish_directly(
        cafe,
        text="The bar is open!",
        in_reply_to=None,
        actor=operator(cafe, door="api"),
        x=XClient(),
        clock=timezone.now,
    )
    check_books(x, [cafe])
    bill_equals_ledger(x, never_made=[gone])
    assert Spend.objects.values("kind").distinct().count() == 3


def test_a_doubt_that_was_given_up_keeps_its_spend_and_x_bills_none(x, cafe):
    """Nobody can know: the ledger may have more than the bill by such a doubt, and never less."""
    item = x.answering(cafe, by="lia", text="Thank you")
    attempt = doubt(x, item, "status", status=500)
    PublishAttempt.objects.update(looks=3)
    now = timezone.now()
    give_up_item(item.pk, version=1, reason="Gone", actor=operator(cafe), now=now)
    assert rows() == [(attempt.subject, 1, Decimal("0.010"))]
    with pytest.raises(AssertionError):
        bill_equals_ledger(x)
    bill_equals_ledger(x, never_made=[attempt])


def test_a_page_whose_answer_is_lost_is_in_the_ledger_when_it_is_read_again(x, cafe):
    """X has billed it and will not again that day; until then the bill is ahead."""
    x.mention(cafe)
    path = f"/2/users/{cafe.x_account.x_user_id}/mentions"
    x.fault("lost_answer", method="GET", path=path)
    with pytest.raises(Exception, match="did not answer"):
        x.ingest(cafe)
    assert rows() == []
    x.ingest(cafe)
    bill_equals_ledger(x)

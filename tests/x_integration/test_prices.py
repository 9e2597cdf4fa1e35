"""Prices are data with dates, told in one place, and the local X charges the same."""

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from x_integration import prices
from x_integration.prices import POST, TARIFFS, Tariff, price, utc_day
from x_integration.simulator.prices import PRICE_LISTS

TURN = date(2030, 1, 1)


@pytest.mark.parametrize(
    ("day", "usd"),
    [
        (date(2020, 1, 1), "0.015"),
        (date(2029, 12, 31), "0.015"),
        (TURN, "0.020"),
        (date(2031, 1, 1), "0.020"),
    ],
)
def test_a_price_holds_from_its_day_on_in_whatever_order_it_is_told(monkeypatch, day, usd):
    dearer = Tariff(TURN, POST, Decimal("0.020"), "an announcement")
    monkeypatch.setattr(prices, "TARIFFS", (dearer, *TARIFFS))
    assert price(POST, on=day) == Decimal(usd)


def test_the_day_of_a_price_is_that_of_utc():
    west = timezone(timedelta(hours=-8))
    assert utc_day(datetime(2029, 12, 31, 16, 0, tzinfo=west)) == TURN
    assert utc_day(datetime(2029, 12, 31, 23, 59, tzinfo=UTC)) == date(2029, 12, 31)


def test_each_price_names_its_source_and_no_day_has_two_of_a_kind():
    assert all(tariff.source for tariff in TARIFFS)
    assert len({(tariff.since, tariff.kind) for tariff in TARIFFS}) == len(TARIFFS)


def test_the_local_x_charges_what_we_believe_that_x_charges():
    """Two tables, since the local X is a witness of its own; a new price has to stand in both."""
    for listed in PRICE_LISTS:
        for kind in {tariff.kind for tariff in TARIFFS}:
            assert price(kind, on=listed.since) == listed.usd[kind]

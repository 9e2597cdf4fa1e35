"""What X charges the app: per account, UTC day and kind.

A resource that is returned again on the same UTC day is free, whichever account asks for it; a
refused request never comes here. An answer that a fault spoils or loses was X's work, and is
charged.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal

from x_integration.simulator.instants import day_of
from x_integration.simulator.journal import Event
from x_integration.simulator.prices import price_of


@dataclass(slots=True)
class Line:
    """So many of one kind, and what they cost together."""

    count: int = 0
    usd: Decimal = Decimal(0)


class Bill:
    """The app's bill since the state folder was new. Callers hold the state's lock."""

    def __init__(self, record: Callable[[Event], None]) -> None:
        self._record = record
        self.forget()

    def forget(self) -> None:
        """Nothing was ever charged."""
        self.lines: dict[tuple[int, str, str], Line] = defaultdict(Line)
        self.total = Decimal(0)
        self._returned: dict[tuple[str, str], set[int]] = defaultdict(set)

    def read(self, user_id: int, kind: str, ids: Iterable[int], *, now: int) -> Event | None:
        """The charge for resources that an answer will return; None where all of them are free."""
        day = day_of(now)
        known = self._returned.get((day.isoformat(), kind), set())
        fresh = [each for each in dict.fromkeys(ids) if each not in known]
        if not fresh:
            return None
        event = self.act(user_id, kind, now=now)
        return event | {"count": len(fresh), "ids": fresh}

    def act(self, user_id: int, kind: str, *, now: int) -> Event:
        """The charge for something that will be done once."""
        day = day_of(now)
        event: Event = {"e": "charge", "user": user_id, "day": day.isoformat(), "kind": kind}
        return event | {"usd": str(price_of(kind, day)), "count": 1}

    def charge(self, charges: Iterable[Event]) -> None:
        """Put charges on the bill, for good."""
        for event in charges:
            self._record(event)

    def apply_charge(self, event: Event) -> None:
        cost = cost_of(event)
        line = self.lines[event["user"], event["day"], event["kind"]]
        line.count += event["count"]
        line.usd += cost
        self.total += cost
        self._returned[event["day"], event["kind"]].update(event.get("ids", ()))


def cost_of(charge: Event) -> Decimal:
    """US dollars, at the price that held when it was charged."""
    return Decimal(charge["usd"]) * int(charge["count"])

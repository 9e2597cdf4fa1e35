"""Business counters: written beside the audit row, and counted again from the audit rows.

A service says what it counts (`Count`); a `Tally` says, independently, how the same number is read
off the audit log. `compare()` holds one against the other.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from django.db import connection
from django.db.models import Case, DecimalField, F, Sum, When
from django.db.models import Count as CountRows
from django.db.models.fields.json import KT
from django.db.models.functions import Cast

from workspaces.models import AuditEvent, Counter
from workspaces.snapshots import one_snapshot


@dataclass(frozen=True)
class Count:
    """Add `amount` to the counter `name` with these labels."""

    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    amount: Decimal = Decimal(1)


@dataclass(frozen=True)
class Tally:
    """How a counter is read off the audit log: the rows of one type, some of whose data match.

    `labels` maps a label to `door`, to a key of the row's data, or to a fixed value (`=approve`).
    Rows are counted; with `amount`, that number of each row's data is summed, where it has one.
    """

    name: str
    type: str
    where: Mapping[str, object] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    amount: str | None = None


_A_NUMBER = r"^[0-9]{1,14}(\.[0-9]{1,6})?$"  # what was spoilt sums to nothing, and is a difference
_tallies: list[Tally] = []
Numbers = dict[tuple[str, str, str], Decimal]  # (chain, name, labels) → value


def register(*tallies: Tally) -> None:
    """Make counters known: they are compared with the audit, and shown on /metrics from zero."""
    _tallies.extend(tally for tally in tallies if tally not in _tallies)


def plain_names() -> set[str]:
    """The counters without labels of their own, which exist at zero for every workspace."""
    return {tally.name for tally in _tallies if not tally.labels}


def labels_text(labels: Mapping[str, str]) -> str:
    """`decision=approve,door=admin`: how labels are stored, sorted."""
    return ",".join(f"{name}={labels[name]}" for name in sorted(labels))


def labels_of(text: str) -> dict[str, str]:
    """The labels again, from how they are stored; what somebody spoilt by hand has none."""
    return dict(part.split("=", 1) for part in text.split(",") if "=" in part)


def add(chain: str, counts: Iterable[Count]) -> None:
    """Add to counters in one statement; only `audit.record` calls this."""
    amounts: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for count in counts:
        amounts[count.name, labels_text(count.labels)] += count.amount
    if not amounts:
        return
    rows = [(chain, name, labels, amounts[name, labels]) for name, labels in sorted(amounts)]
    places = ", ".join(["(%s, %s, %s, %s)"] * len(rows))
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO workspaces_counter (chain, name, labels, value)"  # noqa: S608 - places only
            f" VALUES {places} ON CONFLICT (chain, name, labels)"
            " DO UPDATE SET value = workspaces_counter.value + EXCLUDED.value",
            [value for row in rows for value in row],
        )


@dataclass(frozen=True)
class Difference:
    """A counter that does not equal what the audit log says."""

    chain: str
    name: str
    labels: str
    counter: Decimal
    audit: Decimal

    def __str__(self) -> str:
        labels = f"{{{self.labels}}}" if self.labels else ""
        return (
            f"{self.name}{labels} of {self.chain}: counter {self.counter.normalize():f}, "
            f"audit {self.audit.normalize():f}"
        )


def compare() -> list[Difference]:
    """Every counter that differs from the audit log, counters that no tally knows included.

    Both are read of one moment, so that work that goes on meanwhile is no difference.
    """
    with one_snapshot():
        stored: Numbers = {
            (row.chain, row.name, row.labels): row.value for row in Counter.objects.all()
        }
        counted = from_audit()
    keys = sorted(stored.keys() | counted.keys())
    nothing = Decimal(0)
    return [
        Difference(*key, stored.get(key, nothing), counted.get(key, nothing))
        for key in keys
        if stored.get(key, nothing) != counted.get(key, nothing)
    ]


def from_audit() -> Numbers:
    """Every counter as the audit rows have it."""
    numbers: Numbers = defaultdict(Decimal)
    for tally in _tallies:
        for row in _grouped(tally):
            labels = {label: _label_value(source, row) for label, source in tally.labels.items()}
            numbers[row["chain"], tally.name, labels_text(labels)] += Decimal(row["total"])
    return dict(numbers)


def _grouped(tally: Tally) -> Any:
    sources = [source for source in tally.labels.values() if not source.startswith("=")]
    paths = {f"by_{s}": F("door") if s == "door" else KT(f"data__{s}") for s in sources}
    where = {f"data__{key}": value for key, value in tally.where.items()}
    rows = AuditEvent.objects.filter(type=tally.type, **where).annotate(**paths)
    if tally.amount is not None:
        rows = rows.alias(amount_text=KT(f"data__{tally.amount}"))
    return rows.values("chain", *paths).annotate(total=_total(tally)).order_by()


def _total(tally: Tally) -> Any:
    """How many rows there are, or the sum of one number of their data: it is text or a number there."""
    if tally.amount is None:
        return CountRows("id")
    number = Cast("amount_text", DecimalField(max_digits=20, decimal_places=6))
    return Sum(Case(When(amount_text__regex=_A_NUMBER, then=number)), default=Decimal(0))


def _label_value(source: str, row: Mapping[str, Any]) -> str:
    return source[1:] if source.startswith("=") else str(row[f"by_{source}"])

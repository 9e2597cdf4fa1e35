"""Querysets whose SQL is built once: Django builds it anew for each read, which costs more than the read.

For the few reads that come before every publication. The queryset stays the one definition of what is
read; only its values change from call to call.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, Generic, TypeVar
from uuid import UUID

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.models import Model, QuerySet
from django.db.models.query import ModelIterable
from django.db.transaction import TransactionManagementError

M = TypeVar("M", bound=Model)


@dataclass(frozen=True)
class _Plan:
    compiler: Any
    sql: str
    slots: tuple[Any, ...]  # what is sent: a value that never changes, or a _Slot

    def bound_to(self, values: dict[str, Any]) -> Any:
        """A compiler that sends these values."""
        sent = tuple(values[s.name] if isinstance(s, _Slot) else s for s in self.slots)
        compiler = copy(self.compiler)
        compiler.connection = connections[DEFAULT_DB_ALIAS]  # this thread's own
        if compiler.query.select_for_update and compiler.connection.get_autocommit():
            raise TransactionManagementError("Rows cannot be locked outside of a transaction.")
        compiler.as_sql = lambda *args, **kwargs: (self.sql, sent)
        return compiler


@dataclass(frozen=True)
class _Slot:
    name: str


class Prepared(Generic[M]):
    """`build(name=…)` returns the queryset; its values are int, str, UUID or datetime, never None.

    `first(name=…)` is the first row that it finds, or None.
    """

    def __init__(self, build: Callable[..., QuerySet[M]]) -> None:
        self._build = build
        self._plan: _Plan | None = None

    def first(self, **values: Any) -> M | None:
        """The row, with what the queryset joins. Values are sent as they are; None finds nothing.

        Raises TransactionManagementError for a queryset that locks, outside of a transaction.
        """
        self._plan = self._plan or self._planned(values)
        compiler = self._plan.bound_to(values)
        query = SimpleNamespace(get_compiler=lambda using: compiler)
        source: Any = SimpleNamespace(db=DEFAULT_DB_ALIAS, query=query, _known_related_objects={})
        return next(iter(ModelIterable(source)), None)

    def _planned(self, values: dict[str, Any]) -> _Plan:
        """Build the SQL with marks in the values' places, and see where they stand.

        It is built twice: what differs and is no mark was computed from a value, and would be stale
        in the next call. Raises ValueError for that, and for a value that is not asked for.
        """
        first, second = _marks(values, 0), _marks(values, 1000)
        compiler, sql, sent = self._built(first)
        _, _, sent_again = self._built(second)
        names = {(first[name], second[name]): name for name in values}
        slots = []
        for pair in zip(sent, sent_again, strict=True):
            if pair not in names and pair[0] != pair[1]:
                raise ValueError("The queryset computes with a value: compute in the database.")
            slots.append(_Slot(names[pair]) if pair in names else pair[0])
        missing = set(values) - {slot.name for slot in slots if isinstance(slot, _Slot)}
        if missing:
            raise ValueError(f"The queryset does not ask for {', '.join(sorted(missing))}.")
        return _Plan(compiler, sql, tuple(slots))

    def _built(self, marks: dict[str, Any]) -> tuple[Any, str, tuple[Any, ...]]:
        compiler = self._build(**marks).query.get_compiler(DEFAULT_DB_ALIAS)
        sql, sent = compiler.as_sql()
        return compiler, sql, tuple(sent)


def _marks(values: dict[str, Any], offset: int) -> dict[str, Any]:
    return {
        name: _mark(value, number + offset) for number, (name, value) in enumerate(values.items())
    }


def _mark(value: Any, number: int) -> Any:
    """A value of the same kind that no caller would ask for."""
    if isinstance(value, UUID):
        return UUID(int=number + 1)
    if isinstance(value, datetime):
        return datetime(2006, 3, 21, tzinfo=UTC) + timedelta(microseconds=number)
    if isinstance(value, str):
        return f"\x01{number}"
    if type(value) is int:
        return 2**62 + number
    raise TypeError(f"A prepared queryset takes no {type(value).__name__}.")

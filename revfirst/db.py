"""What services say about the transaction they stand in."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import connection, transaction


def outside_transaction() -> None:
    """Raise RuntimeError when a transaction is open: nothing irreversible happens inside one."""
    if connection.in_atomic_block:
        with transaction.atomic(durable=True):  # which knows a test's own transaction, and raises
            pass


def one_row(sql: str, values: Mapping[str, Any] | Sequence[Any]) -> tuple[Any, ...]:
    """The only row of a statement that is written in SQL. Raises LookupError when there is none."""
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        row: tuple[Any, ...] | None = cursor.fetchone()
    if row is None:
        raise LookupError("The statement brought no row.")
    return row


def wait_for_locks_at_most(seconds: float, *, plan_once: bool = False) -> None:
    """Let this transaction fail (OperationalError) rather than wait longer for any one lock.

    With `plan_once`, what it asks repeatedly is planned once in a session, whatever the values are: for
    statements whose plan does not depend on them.
    """
    asked = "set_config('lock_timeout', %s, true)"
    if plan_once:
        asked += ", set_config('plan_cache_mode', 'force_generic_plan', true)"
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {asked}", [f"{int(seconds * 1000)}ms"])

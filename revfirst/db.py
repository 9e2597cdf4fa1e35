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


def wait_for_locks_at_most(seconds: float) -> None:
    """Let this transaction fail (OperationalError) rather than wait longer for any one lock."""
    with connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL lock_timeout = '{int(seconds * 1000)}ms'")

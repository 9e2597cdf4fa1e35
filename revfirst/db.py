"""What services say about the transaction they stand in."""

from django.db import transaction


def outside_transaction() -> None:
    """Raise RuntimeError when a transaction is open: nothing irreversible happens inside one."""
    with transaction.atomic(durable=True):
        pass

"""Everything the simulator knows, behind one lock and one journal."""

import threading
from collections.abc import Callable
from pathlib import Path

from x_integration.simulator.bill import Bill
from x_integration.simulator.grants import Grants
from x_integration.simulator.journal import Event, Journal, StateUnusable
from x_integration.simulator.sample import loader
from x_integration.simulator.world import World


class State:
    """World, grants and bill, rebuilt from the journal at start. Hold `lock` around every use.

    One lock is enough: Python runs one thread at a time anyway, and it makes each request's work
    as indivisible as a transaction.
    """

    def __init__(self, folder: Path) -> None:
        self.lock = threading.RLock()
        self.journal = Journal(folder)
        self.world = World(self._record)
        self.grants = Grants(self._record)
        self.bill = Bill(self._record)
        self._appliers: dict[str, Callable[[Event], None]] = {
            "user": self.world.apply_user,
            "post": self.world.apply_post,
            "deleted": self.world.apply_deleted,
            "code": self.grants.apply_code,
            "grant": self.grants.apply_grant,
            "rotated": self.grants.apply_rotated,
            "revoked": self.grants.apply_revoked,
            "refused": self.grants.apply_refused,
            "charge": self.bill.apply_charge,
        }
        self._replay()

    def _replay(self) -> None:
        for number, event in enumerate(self.journal.replay(), start=1):
            try:
                self._appliers[event["e"]](event)
            except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError):
                raise StateUnusable(
                    f"{self.journal.path}, line {number} is not an event of this simulator; "
                    "move the file away to start afresh."
                ) from None

    def _record(self, event: Event) -> None:
        """Journal first: what was answered must survive a kill."""
        self.journal.append(event)
        self._appliers[event["e"]](event)

    def is_new(self) -> bool:
        """Whether nothing ever happened here."""
        return not self.world.users

    def load_sample(self, *, now: int) -> None:
        """Say everything of the sample; a kill in the middle leaves a new simulator new."""
        with self.journal.in_one_write():
            loader.load(self.world, now=now)

    def clear(self) -> None:
        """Forget everything, on disk too."""
        self.journal.clear()
        self.world.forget()
        self.grants.forget()
        self.bill.forget()

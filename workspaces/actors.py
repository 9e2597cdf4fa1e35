"""Who did it, and through which door."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workspaces.models import User


@dataclass(frozen=True)
class Actor:
    """Somebody or something that acts. `user` is set exactly when a person decided."""

    kind: str
    door: str
    user: User | None = None

    @classmethod
    def operator(cls, user: User, *, door: str) -> Actor:
        """A person at `door`: admin, telegram, api or command."""
        return cls("user", door, user)

    @classmethod
    def worker(cls) -> Actor:
        """A background task."""
        return cls("worker", "worker")

    @classmethod
    def command(cls) -> Actor:
        """Whoever may run commands on the host."""
        return cls("command", "command")

    def __str__(self) -> str:
        """`user:7` for a person, else the kind: what an audit row keeps."""
        return f"user:{self.user.pk}" if self.user else self.kind

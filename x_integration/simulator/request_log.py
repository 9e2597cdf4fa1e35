"""What was asked of the simulator and when: the witness for "no request begins after"."""

import threading
from collections import deque
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

KEPT = 20_000


@dataclass(slots=True)
class RequestEntry:
    """One request, never its tokens or its body. `status` is None until, or unless, it was answered."""

    n: int
    at: str
    method: str
    path: str
    user: str | None = None
    status: int | None = None
    fault: str | None = None


class RequestLog:
    """The last requests to X, in the order in which they arrived. Control requests stay out."""

    def __init__(self) -> None:
        self._entries: deque[RequestEntry] = deque(maxlen=KEPT)
        self._lock = threading.Lock()
        self.total = 0

    def open(self, arrived: datetime, method: str, path: str) -> RequestEntry:
        """Note a request that has just arrived."""
        stamp = arrived.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        with self._lock:
            self.total += 1
            entry = RequestEntry(self.total, stamp, method, path)
            self._entries.append(entry)
        return entry

    def since(self, number: int) -> list[dict[str, Any]]:
        """Entries with a greater number, oldest first."""
        return [asdict(entry) for entry in list(self._entries) if entry.n > number]

    def forget(self) -> None:
        """Drop the entries; numbers go on."""
        self._entries.clear()

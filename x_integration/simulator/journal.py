"""The simulator's memory on disk: one JSON object a line, only ever appended to."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

Event = dict[str, Any]


class StateUnusable(Exception):
    """The state folder cannot be used; the text says why in one sentence."""


class Journal:
    """Appends reach the kernel before an answer leaves, so kill -9 of this process loses nothing."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "journal.jsonl"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        except OSError as error:
            raise StateUnusable(
                f"The state folder {folder} cannot be written: {error.strerror}."
            ) from None
        self._held: list[bytes] | None = None
        self._refuse_company(folder)

    def _refuse_company(self, folder: Path) -> None:
        """Two processes appending to one journal would contradict each other."""
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StateUnusable(
                f"The state folder {folder} belongs to a simulator that is still running."
            ) from None

    def replay(self) -> Iterator[Event]:
        """Every event in order. A torn last line, left by a kill in mid-write, is cut off.

        Raises StateUnusable for a broken line anywhere else: that is damage, not a torn write.
        """
        good_up_to = 0
        size = os.fstat(self._file).st_size
        with self.path.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                end = good_up_to + len(line)
                try:
                    event = json.loads(line) if line.endswith(b"\n") else None
                except ValueError:
                    event = None
                if not isinstance(event, dict):
                    if end < size:
                        raise StateUnusable(
                            f"{self.path}, line {number} is damaged; move the file away to start afresh."
                        )
                    break
                yield event
                good_up_to = end
        if good_up_to < size:
            os.ftruncate(self._file, good_up_to)

    def append(self, event: Event) -> None:
        """Write one event. One write call, so a kill tears at most the last line."""
        line = (json.dumps(event, ensure_ascii=False, separators=(",", ":")) + "\n").encode()
        if self._held is None:
            self._write(line)
        else:
            self._held.append(line)

    @contextmanager
    def in_one_write(self) -> Iterator[None]:
        """What is appended inside is written at the end, in one call: a kill leaves all or nothing."""
        self._held = []
        try:
            yield
            self._write(b"".join(self._held))
        finally:
            self._held = None

    def _write(self, lines: bytes) -> None:
        written = os.write(self._file, lines)
        if written < len(lines):  # the disk is full: leave no torn line in the middle
            os.ftruncate(self._file, os.fstat(self._file).st_size - written)
            raise OSError("the journal could not be written")

    def clear(self) -> None:
        """Forget everything."""
        os.ftruncate(self._file, 0)

    def close(self) -> None:
        """Give the folder back."""
        os.close(self._file)

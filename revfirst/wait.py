"""The one place that waits. Worker tasks release with a `not_before` instead; what X has answered alone is
worth their waiting for, since nobody can ask for it again (publishing.services.publish)."""

import time
from collections.abc import Callable


def wait_until(condition: Callable[[], bool], *, seconds: float, every: float = 0.05) -> bool:
    """Ask `condition` every `every` seconds for at most `seconds`; say whether it came true."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(every)  # noqa: TID251 - this is where waiting lives
    return True


def wait_out(seconds: float) -> None:
    """Let `seconds` pass."""
    time.sleep(seconds)  # noqa: TID251 - this is where waiting lives

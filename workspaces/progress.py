"""How far a long command has come: on standard error, and only where somebody wants to see it."""

from argparse import ArgumentParser
from collections.abc import Callable
from time import monotonic

from django.core.management.base import OutputWrapper

_EVERY_SECONDS = 0.5


def add_argument(parser: ArgumentParser) -> None:
    """`--progress`: show it also where no terminal is."""
    parser.add_argument(
        "--progress", action="store_true", help="say how far it is, also where no terminal is"
    )


def shown_on(stderr: OutputWrapper, *, always: bool) -> Callable[[int, int], None] | None:
    """What tells rows read, of how many, and how fast; None where nobody looks."""
    terminal = stderr.isatty()
    if not (terminal or always):
        return None
    begun = last = monotonic()

    def tell(read: int, of: int) -> None:
        nonlocal last
        now, done = monotonic(), read >= of
        if now - last < _EVERY_SECONDS and not done:
            return
        last = now
        speed = read / max(now - begun, 0.001)
        percent = 100 * read // max(of, 1)
        words = f"{read:,} of {of:,} rows, {percent} %, {speed:,.0f} rows/s"
        stderr.write(
            f"\r{words}  " if terminal else words, ending="" if terminal and not done else "\n"
        )
        stderr.flush()

    return tell

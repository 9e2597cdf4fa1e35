"""python -m tests.benchmarks.texts: what the worst texts cost before they are refused, each beside its bound.

The guards are asked as for a proposal: every one, the shipped brand voice, fifty latest texts to compare with.
"""

import os
import sys
from collections.abc import Callable
from functools import partial
from time import perf_counter

import django

from tests.benchmarks.figures import Figures

MOST_MS = 50
_ROUNDS = 5
HOSTILE = {
    "1 MB of letters": "x" * 1_000_000,
    "1 MB of emoji": "\U0001f468\u200d" * 140_000,
    "10,000 dots": "." * 10_000,
    "10,000 dotted letters": "a." * 10_000,
    "100,000 combining marks": "e" + "\u0301\u0327" * 50_000,
    "50,000 names": "@a " * 50_000,
    "50,000 cashtags": "$A " * 50_000,
    "NULs": "\x00" * 100_000,
    "halves of surrogate pairs": "\ud800" * 1000,
    "right-to-left overrides": "\u202ea" * 500,
    "999 dots and a letter": "." * 999 + "a",
    "500 dotted letters": "a." * 500,
    "1,000 combining marks": "e" + "\u0301\u0327" * 499,
    "333 names": "@a " * 333,
    "333 cashtags": "$A " * 333,
    "125 schemes": "https://" * 125,
    "500 joined emoji": "\U0001f468\u200d" * 500,
    "280 letters like fifty others": "Good morning, and see you at nine. " * 8,
}
PLEADING = {
    "100,000 pleas": "stop replying " * 100_000,
    "100,000 pleas without blanks": "返信しないで" * 100_000,
    "10,000 pleas that are none": "please, I cant stop replying " * 10_000,
    "100,000 ligatures": "\ufdfa" * 100_000,
}


def main() -> int:
    """Measure, and print a line per text."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "revfirst.settings")
    django.setup()
    from publishing import voice
    from publishing.guards import Case, objections
    from publishing.pleas import asks_to_be_left_alone

    def every_objection(case: Case) -> int:
        return len(list(objections(case)))

    figures, now = Figures(), voice.current()
    latest = ["Good morning, and see you at ten! " * 8] * 50
    figures.title("The guards: one text, the middle of five")
    for name, text in HOSTILE.items():
        case = Case(text, now.rules("en"), similarity=now.similarity, latest=latest)
        took = _middle_of(partial(every_objection, case))
        figures.hold(name, took, at_most=MOST_MS, unit="ms")
    figures.title("Pleas to be left alone: one text, the middle of five")
    for name, text in {**HOSTILE, **PLEADING}.items():
        took = _middle_of(partial(asks_to_be_left_alone, text))
        figures.hold(name, took, at_most=MOST_MS, unit="ms")
    return figures.exit_status()


def _middle_of(ask: Callable[[], object]) -> float:
    """How long it takes, in milliseconds."""
    took = []
    for _ in range(_ROUNDS):
        begun = perf_counter()
        ask()
        took.append((perf_counter() - begun) * 1000)
    return sorted(took)[_ROUNDS // 2]


if __name__ == "__main__":
    sys.exit(main())

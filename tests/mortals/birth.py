"""What a worker is born with: a place to die at, a place to be held up at, a fault of its own."""

import os
import signal
from collections.abc import Callable
from functools import partial
from typing import Any, NoReturn

from tests.mortals.mutants import MUTANTS
from tests.mortals.places import PLACES
from tests.mortals.works import WORKS

_HELD_AT_MOST = 10  # seconds
Tell = Callable[..., None]


def live(order: dict[str, Any], tell: Tell) -> Any:
    """Plant what was ordered, then do the work. A mutation comes last: it wraps the places, too."""
    if name := order["dies_at"]:
        PLACES[name].plant(partial(_die, name, tell))
    if name := order["held_at"]:
        PLACES[name].plant(partial(_be_held, name, tell))
    if name := order["mutant"]:
        MUTANTS[name]()
    return WORKS[order["work"]](*order["args"])


def _die(place: str, tell: Tell) -> NoReturn:
    tell(died_at=place)
    os.kill(os.getpid(), signal.SIGKILL)
    raise SystemError("Nobody outlives SIGKILL.")


def _be_held(place: str, tell: Tell) -> None:
    tell(held_at=place)
    signal.sigtimedwait({signal.SIGUSR1}, _HELD_AT_MOST)

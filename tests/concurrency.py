"""Races with real connections: threads that start at a barrier."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from django.db import connection


def run_together(*acts: Callable[[], object]) -> list[str]:
    """Run the acts at once; sorted outcomes: `ok`, or the name of what was raised."""
    barrier = Barrier(len(acts))

    def run(act: Callable[[], object]) -> str:
        try:
            barrier.wait(timeout=10)
            act()
        except Exception as error:  # noqa: BLE001 - the outcome is what the test asks for
            return type(error).__name__
        else:
            return "ok"
        finally:
            connection.close()

    with ThreadPoolExecutor(len(acts)) as pool:
        return sorted(pool.map(run, acts))

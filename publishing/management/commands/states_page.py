"""manage.py states_page."""

from typing import Any

from django.core.management.base import BaseCommand

from publishing.states import FINAL, MOVES, State

HEAD = """# States of a queue item

Generated from `publishing/states.py` by `make states`; a test compares them.

| move | from | to | by |
|---|---|---|---|
| propose | – | pending | pipeline, API, admin |
"""


class Command(BaseCommand):
    """The move table, as a page."""

    help = "Prints docs/STATES.md; reads and writes nothing else."

    def handle(self, *args: Any, **options: Any) -> None:
        """Print it."""
        self.stdout.write(page(), ending="")


def page() -> str:
    """The text of docs/STATES.md."""
    order: list[str] = State.values
    rows = []
    for name, move in MOVES.items():
        sources = ", ".join(sorted(move.sources, key=lambda state: order.index(state))).replace(
            "_", " "
        )
        by = f"{move.by}: {move.note}" if move.note else move.by
        verb, target = name.replace("_", " "), move.target.replace("_", " ")
        rows.append(f"| {verb} | {sources} | {target} | {by} |\n")
    final = " and ".join(sorted(FINAL))
    return f"{HEAD}{''.join(rows)}\nFinal: {final}.\n"

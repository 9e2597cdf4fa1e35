"""What must cost the same behind a long history as behind none; imported when the stage stands."""

from collections.abc import Collection

from tests.benchmarks import queue_pages, statements
from tests.benchmarks.figures import Figures
from tests.benchmarks.queues import Site, seed_history
from tests.benchmarks.stage import Stage

_SMALL = 1000  # items of the workspace that the large one is compared with


def measure(
    stage: Stage, figures: Figures, *, rows: int, rounds: int, parts: Collection[str]
) -> None:
    """Three workspaces: a new one, one with 1,000 items, and one with `rows`."""
    site = Site.of(stage.simulator, 3)
    new, small, large = site.accounts
    seed_history(site, small, _SMALL)
    seed_history(site, large, rows)
    if "statements" in parts:
        statements.measure(stage, figures, site=site, new=new, large=large, rows=rows)
    if "list" in parts:
        queue_pages.measure(
            stage,
            figures,
            person=site.person,
            small=small.workspace,
            large=large.workspace,
            rows=rows,
            rounds=rounds,
        )

"""python -m tests.benchmarks.ingest: how many posts a second are read and stored, and in what memory.

The worker's own way from the socket to the row: pages of 100 mentions over HTTP, parsed, judged,
stored and charged for, in runs of 20 seconds that go on where the last one ended. PostgreSQL is
durable. The pages come from a process of their own, which only serves them: the local X, which works
for each of its answers, would be what is measured.

A core that others share counts half as fast at one moment as at the next: what a slow one spoils is
measured again, twice at most, and every try is told.
"""

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from threading import Event, Thread
from time import monotonic
from typing import TYPE_CHECKING

import psutil

from tests.benchmarks.figures import Figures
from tests.benchmarks.stage import a_stage

if TYPE_CHECKING:
    from x_integration.models import XAccount

_MEGABYTE = 1 << 20
FEWEST_A_SECOND = 4000
_ATTEMPTS = 3
_WARM = 0.2  # of the time: by then every page has been of every kind


def main() -> int:
    """Measure, print a line per figure; 1 when a bound was missed."""
    options = _options()
    figures = Figures()
    with a_stage() as stage:
        # Their models need the settings, and they the stage.
        from django.test import override_settings
        from django.utils import timezone

        from tests.benchmarks import mention_pages, seeding
        from x_integration.models import XAccount

        seeding.seed_accounts(stage.simulator, {1: timezone.now() + timedelta(hours=2)})
        account = XAccount.objects.select_related("workspace").get()
        with (
            mention_pages.served(account, posts=options.posts) as address,
            override_settings(X_API_BASE_URL=address),
        ):
            _measure(figures, account, posts=options.posts)
    return figures.exit_status()


def _measure(figures: Figures, account: "XAccount", *, posts: int) -> None:
    """Read all of it, and tell how fast, and how large this process was on the way."""
    from x_integration.models import SourcePost

    figures.title(f"Reading {posts:,} posts, from the socket to the row")
    with _sizes() as sizes:
        for attempt in range(1, _ATTEMPTS + 1):
            _begin_anew()
            begun = monotonic()
            runs = _read_all(account)
            rate = posts / (monotonic() - begun)
            stored = SourcePost.objects.count()
            if rate >= FEWEST_A_SECOND or attempt == _ATTEMPTS:
                break
            figures.show("posts a second, of a slow moment", f"{rate:,.1f}")
    figures.hold("posts stored", stored, at_least=posts)
    figures.hold("posts a second", rate, at_least=FEWEST_A_SECOND)
    figures.show("runs", str(runs))
    warm = max(sizes[: max(1, int(len(sizes) * _WARM))])
    figures.show("memory when warm", f"{warm:.0f} MB")
    figures.hold("memory grown since", max(sizes) - warm, at_most=10, unit="MB")


def _begin_anew() -> None:
    """As if nothing had been read, or charged for."""
    from x_integration.models import BilledRead, Feed, SourcePost

    for rows in (SourcePost, BilledRead, Feed):
        rows.objects.all()._raw_delete(using="default")


def _read_all(account: "XAccount") -> int:
    """Run after run until the mark says that nothing is left; how many runs it took."""
    from django.utils import timezone

    from revfirst.batch import OutOfTime
    from workspaces.actors import Actor
    from x_integration.client import XClient
    from x_integration.models import Feed
    from x_integration.services import ingest_mentions

    runs, x = 0, XClient()
    while not Feed.objects.exclude(seen_until="").exists():
        runs += 1
        with suppress(OutOfTime):
            ingest_mentions(account, x=x, actor=Actor.worker(), now=timezone.now())
    return runs


@contextmanager
def _sizes() -> Iterator[list[float]]:
    """What this process holds in memory, in megabytes, every tenth of a second."""
    process, over = psutil.Process(), Event()
    sizes = [process.memory_info().rss / _MEGABYTE]

    def look() -> None:
        while not over.wait(0.1):
            sizes.append(process.memory_info().rss / _MEGABYTE)

    looking = Thread(target=look)
    looking.start()
    try:
        yield sizes
    finally:
        over.set()
        looking.join()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--posts", type=int, default=20_000)
    options = parser.parse_args()
    if not 1_000 <= options.posts <= 100_000:
        parser.error("--posts goes from 1,000 to 100,000: the client reads no more pages.")
    return options


if __name__ == "__main__":
    sys.exit(main())

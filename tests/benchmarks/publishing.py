"""python -m tests.benchmarks.publishing: what publishing costs, how much of it goes, how soon.

Statements of an approval and of a publication, as the server counts them, at one row and at many. A page
of the queue's list at 1,000 rows and at many.
Publications per second across workspaces, with X at 300 ms and at 0 ms, by a real worker. From the tap
on "approve" to the request at X, when nothing else happens. PostgreSQL is durable; X runs on the same
cores as the worker.

The short form is `make bench`'s; `make bench-publishing` has a million rows and more publications.
`--polls 0.2,0.1,0.05` compares how often the broker asks for tasks; `--worker-processes` and
`--concurrency` try other sizes than the defaults.
"""

import argparse
import sys

from tests.benchmarks.figures import Figures
from tests.benchmarks.stage import a_stage

_PARTS = ("statements", "list", "throughput", "taps")


def main() -> int:
    """Measure, print a line per figure; 1 when a bound was missed."""
    options = _options()
    figures = Figures()
    with a_stage(settings="tests.benchmarks.publishing_settings") as stage:
        # Their models need the settings, and they the stage.
        from tests.benchmarks import histories, publications, taps

        if {"statements", "list"} & set(options.parts):
            histories.measure(
                stage, figures, rows=options.rows, rounds=options.rounds, parts=options.parts
            )
        if "throughput" in options.parts:
            size = publications.Size(options.worker_processes, options.concurrency)
            for latency_ms, at_least in ((300, 50), (0, 60)):
                publications.measure(
                    stage,
                    figures,
                    count=options.publications,
                    latency_ms=latency_ms,
                    at_least=at_least,
                    size=size,
                )
        if "taps" in options.parts:
            for poll in options.polls:
                taps.measure(stage, figures, taps=options.taps, poll=poll)
    return figures.exit_status()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=20_000, help="items of the large workspace")
    parser.add_argument("--rounds", type=int, default=100, help="readings of each page of the list")
    parser.add_argument("--publications", type=int, default=400, help="of each throughput run")
    parser.add_argument("--taps", type=int, default=20)
    parser.add_argument("--polls", type=_seconds, default=[None], help="seconds, by commas")
    parser.add_argument("--worker-processes", type=int, help="instead of the default")
    parser.add_argument("--concurrency", type=int, help="instead of the default")
    parser.add_argument("--parts", nargs="+", choices=_PARTS, default=_PARTS)
    options = parser.parse_args()
    if not (1000 <= options.rows <= 5_000_000 and 50 <= options.publications <= 10_000):
        parser.error("--rows goes from 1,000 to 5,000,000, --publications from 50 to 10,000.")
    return options


def _seconds(text: str) -> list[float]:
    return [float(each) for each in text.split(",")]


if __name__ == "__main__":
    sys.exit(main())

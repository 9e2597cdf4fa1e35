"""python -m tests.benchmarks.tokens: how fast, and how surely, tokens are renewed.

Burst: every account's token has expired, one task renews them all. Steady: accounts fall due one
after the other, and the schedule keeps every token alive. X answers in 200 ms; a real worker with
default settings, a durable PostgreSQL. X runs on the same cores as the worker.

The short form has the burst only. The full form, `--accounts 10000 --minutes 12`, has the accounts of two real hours fall due in 12
minutes: ten times the rate at which 10,000 tokens of two hours' life need renewing.
"""

import argparse
import sys

from tests.benchmarks.figures import Figures
from tests.benchmarks.stage import a_stage


def main() -> int:
    """Measure, print a line per figure; 1 when a bound was missed."""
    options = _options()
    figures = Figures()
    with a_stage() as stage:
        from tests.benchmarks import renewals  # its models need the settings, and they the stage

        stage.simulator.settings(latency_ms=renewals.LATENCY_MS)
        if options.burst:
            renewals.burst(stage, figures, accounts=options.burst)
        if options.accounts:
            renewals.steady(stage, figures, accounts=options.accounts, seconds=options.minutes * 60)
    return figures.exit_status()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--burst", type=int, default=1000, help="accounts that expired; 0: no burst"
    )
    parser.add_argument("--accounts", type=int, default=0, help="of the steady run; 0: no such run")
    parser.add_argument("--minutes", type=float, default=0.5, help="in which all of them fall due")
    options = parser.parse_args()
    if not (0 <= options.burst <= 10_000 and 0 <= options.accounts <= 10_000):
        parser.error("at most 10,000 accounts.")
    if not 0.5 <= options.minutes <= 120:
        parser.error("--minutes goes from 0.5 to 120.")
    return options


if __name__ == "__main__":
    sys.exit(main())

"""python -m tests.benchmarks.status: what the status of an account costs to ask for.

gunicorn as deployed, two workers, 1,000 workspaces with an account each, a person who belongs to all
of them and logged in. Beside it the same gunicorn's bare view, which reads one row by its key: the
ratio is what session, rights, account and serialisation cost. Throttles are off (status_settings);
the client runs on the same cores.
"""

import argparse
import sys

from tests.benchmarks.figures import Figures
from tests.benchmarks.stage import a_stage


def main() -> int:
    """Measure, print a line per figure; 1 when a bound was missed."""
    options = _options()
    figures = Figures()
    with a_stage(settings="tests.benchmarks.status_settings") as stage:
        from tests.benchmarks import statuses  # its models need the settings, and they the stage

        statuses.measure(stage, figures, workspaces=options.workspaces, seconds=options.seconds)
    return figures.exit_status()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workspaces", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=0.75, help="of each of 16 rounds")
    options = parser.parse_args()
    if not 1 <= options.workspaces <= 10_000 or not 0.5 <= options.seconds <= 20:
        parser.error("--workspaces goes from 1 to 10,000, --seconds from 0.5 to 20.")
    return options


if __name__ == "__main__":
    sys.exit(main())

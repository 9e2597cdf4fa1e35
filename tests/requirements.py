"""pytest plugin: every test that docs/REQUIREMENTS.md names exists, and passed in a whole run.

`python -m tests.requirements FILE…` asks the same of the ledgers of all lanes of a run (tests/lanes.py).
"""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parent.parent / "docs" / "REQUIREMENTS.md"
NAMED = re.compile(r"`(tests/[\w/]+\.py(?:::\w+)?)`")


def named_tests(page: str) -> list[str]:
    """What the tests column of the page's rows names: files, or single tests."""
    rows = (line.split("|") for line in page.splitlines() if line.count("|") == 6)
    return sorted({name for row in rows for name in NAMED.findall(row[4])})


def covers(named: str, node_id: str) -> bool:
    """Whether a test that ran is the named one: of that file, that function, any parameters."""
    bare = node_id.partition("[")[0]
    return bare == named or bare.startswith(f"{named}::")


class Ledger:
    """Which tests passed and which did not, in this run."""

    def __init__(self) -> None:
        self.passed: set[str] = set()
        self.failed: set[str] = set()
        self.skipped: set[str] = set()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A test passed when its call did and nothing around it failed."""
        if report.failed:
            self.failed.add(report.nodeid)
        elif report.skipped:
            self.skipped.add(report.nodeid)
        elif report.when == "call":
            self.passed.add(report.nodeid)

    def unmet(self) -> list[str]:
        """The named tests that failed or did not run; skipped ones too where CI has all they need."""
        shown = self.passed if os.environ.get("CI") else self.passed | self.skipped
        return [
            name
            for name in named_tests(PAGE.read_text())
            if not any(covers(name, done) for done in shown)
            or any(covers(name, failed) for failed in self.failed)
        ]

    def tell_unmet(self) -> bool:
        """Print what a whole run left unshown; whether there is such."""
        unmet = self.unmet()
        if unmet:
            print("\nRequirements whose tests did not pass:", *map(self._told, unmet), sep="\n  ")
        return bool(unmet)

    def _told(self, name: str) -> str:
        skipped = any(covers(name, done) for done in self.skipped)
        return f"{name} (skipped; X_OPENAPI_FILE names X's document)" if skipped else name

    def add(self, other: dict[str, list[str]]) -> None:
        """What another lane showed, as `saved` by it."""
        for name, node_ids in other.items():
            getattr(self, name).update(node_ids)

    def saved(self) -> dict[str, list[str]]:
        """All of it, for another process."""
        return {name: sorted(node_ids) for name, node_ids in vars(self).items()}

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """A whole run that leaves a requirement unshown has failed; a lane keeps what it showed."""
        if ledger := session.config.option.ledger:
            Path(ledger).write_text(json.dumps(self.saved()))
        elif _is_whole_run(session.config) and self.tell_unmet():
            session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _is_whole_run(config: pytest.Config) -> bool:
    option = config.option
    chosen = option.keyword or option.markexpr or option.collectonly or option.lane[1] > 1
    return not chosen and config.args == config.getini("testpaths")


def pytest_configure(config: pytest.Config) -> None:
    """Keep the ledger."""
    config.pluginmanager.register(Ledger())


def main(files: list[str]) -> int:
    """0 when the lanes together showed every requirement."""
    whole = Ledger()
    for file in files:
        whole.add(json.loads(Path(file).read_text()))
    return int(not files or whole.tell_unmet())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

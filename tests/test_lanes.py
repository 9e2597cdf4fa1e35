"""Two lanes share the tests: each runs in one of them, and what both showed is asked for together."""

import json
import subprocess
import sys

import pytest

from tests.lanes import _lane, _lane_of
from tests.requirements import PAGE, Ledger, main, named_tests
from tests.worlds import ROOT


def collected(lane: str) -> set[str]:
    """The tests of this room's smaller files that the lane would run."""
    words = ["--collect-only", "--lane", lane, "tests/test_lanes.py", "tests/workspaces"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *words],
        cwd=ROOT, capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    return {line for line in done.stdout.splitlines() if "::" in line}


@pytest.mark.slow
def test_every_test_runs_in_one_lane():
    whole, first, second = (collected(lane) for lane in ("1/1", "1/2", "2/2"))
    assert first | second == whole
    assert not first & second
    assert len(first) > len(whole) / 4
    assert len(second) > len(whole) / 4


def test_what_wants_the_same_ports_is_in_one_lane():
    assert {_lane_of(f"tests/revfirst/test_demo.py::test_{n}") for n in range(50)} == {1}


@pytest.mark.parametrize("lane", ["", "2", "0/2", "3/2", "1/3", "a/b"])
def test_what_is_no_lane_is_refused(lane):
    with pytest.raises(ValueError, match="lane|int"):
        _lane(lane)


def test_a_requirement_may_be_shown_by_either_lane(tmp_path, capsys):
    names = named_tests(PAGE.read_text())
    lanes = [names[::2], names[1::2]]
    files = [tmp_path / "1", tmp_path / "2"]
    for file, passed in zip(files, lanes, strict=True):
        ledger = Ledger()
        ledger.passed.update(f"{name}::test_x" if "::" not in name else name for name in passed)
        file.write_text(json.dumps(ledger.saved()))
    assert main([*map(str, files)]) == 0
    assert main([str(files[0])]) == 1
    assert lanes[1][0] in capsys.readouterr().out
    assert main([]) == 1

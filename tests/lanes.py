"""pytest plugin: `--lane 1/2` runs one of several parts of the tests, so that two runs share the cores.

What a lane showed is kept in `--ledger`; `python -m tests.requirements FILE…` asks all of them together
whether every requirement was shown.
"""

from zlib import crc32

import pytest

ALONE = ("tests/revfirst/", "tests/control/", "tests/benchmarks/")
"""Of the first lane: they start demos, which want the same ports."""
_OF_THE_OTHERS = 41  # per cent that the first of two lanes has of the rest


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--lane N/M` and `--ledger FILE`."""
    parser.addoption("--lane", type=_lane, default=(1, 1), metavar="N/M", help="run the Nth part")
    parser.addoption("--ledger", metavar="FILE", help="keep there what passed and what did not")


def _lane(text: str) -> tuple[int, int]:
    number, _, lanes = text.partition("/")
    lane = int(number), int(lanes)
    if not 1 <= lane[0] <= lane[1] <= 2:
        raise ValueError("A lane is 1/1, 1/2 or 2/2.")
    return lane


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what belongs to the other lane."""
    number, lanes = config.option.lane
    if lanes == 1:
        return
    other = [item for item in items if _lane_of(item.nodeid) != number]
    items[:] = [item for item in items if _lane_of(item.nodeid) == number]
    config.hook.pytest_deselected(items=other)


def _lane_of(node_id: str) -> int:
    if node_id.startswith(ALONE):
        return 1
    return 1 if crc32(node_id.encode()) % 100 < _OF_THE_OTHERS else 2

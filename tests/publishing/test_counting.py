"""A number changes beside the audit row that it counts, and nowhere else: read off the source itself."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.worlds import ROOT

APPS = ("revfirst", "workspaces", "x_integration", "publishing", "control")
SOURCES = [
    path
    for app in APPS
    for path in sorted((ROOT / app).rglob("*.py"))
    if "migrations" not in path.parts
]
COUNTERS = "workspaces/counters.py"


def name_of(call: ast.Call) -> str:
    """`record` of both `record(…)` and `audit.record(…)`."""
    called = call.func
    return called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")


def calls(path: Path, name: str) -> Iterator[ast.Call]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and name_of(node) == name:
            yield node


def places(name: str) -> list[str]:
    """Every call of that name, as its file and the function around it."""
    found = []
    for path in SOURCES:
        tree = ast.parse(path.read_text())
        for function in ast.walk(tree):
            if isinstance(function, ast.FunctionDef):
                inner = [node for node in ast.walk(function) if isinstance(node, ast.Call)]
                found += [
                    f"{path.relative_to(ROOT)}:{function.name}"
                    for call in inner
                    if name_of(call) == name
                ]
    return found


def mentions(name: str) -> list[str]:
    """The files that name it at all, also where it is handed on without a call."""
    return [
        str(path.relative_to(ROOT))
        for path in SOURCES
        if any(
            getattr(node, "id", "") == name or getattr(node, "attr", "") == name
            for node in ast.walk(ast.parse(path.read_text()))
        )
    ]


def test_a_publication_is_counted_by_the_settle_of_a_confirm_alone():
    assert places("record_replies_published") == ["publishing/services/settle.py:_confirm"]
    assert mentions("record_replies_published") == ["publishing/services/settle.py"]


def test_a_confirm_is_settled_in_one_place():
    assert places("_confirm") == ["publishing/services/settle.py:settle_attempt"]


def test_counters_are_added_to_by_the_audit_log_alone():
    def adds(node: ast.Call) -> bool:
        return ast.unparse(node.func) in ("counters.add", "add")

    found = [
        str(path.relative_to(ROOT))
        for path in SOURCES
        if path.relative_to(ROOT).as_posix() != COUNTERS
        for node in calls(path, "add")
        if adds(node)
    ]
    assert found == ["workspaces/audit.py"]


def test_nobody_else_writes_a_counter_s_row():
    """Neither through the model nor in SQL of one's own."""
    writes = ("update", "create", "bulk_create", "get_or_create", "update_or_create", "delete")
    for path in SOURCES:
        for name in writes:
            for call in calls(path, name):
                assert "Counter.objects" not in ast.unparse(call), path
        if path.relative_to(ROOT).as_posix() != COUNTERS:
            text = path.read_text().lower()
            assert "into workspaces_counter" not in text, path
            assert "update workspaces_counter" not in text, path


def _given_to_record(path: Path) -> set[int]:
    """The lines of every `Count` that stands within the arguments of an `audit.record`."""
    return {
        node.lineno
        for record in calls(path, "record")
        for argument in record.keywords
        if argument.arg == "counts"
        for node in ast.walk(argument)
        if isinstance(node, ast.Call) and name_of(node) == "Count"
    }


# Made elsewhere, handed to `audit.record` by name.
MADE_BEFORE = {
    "publishing/services/decide.py:decided",
    "publishing/services/settle.py:_spent",
    "publishing/services/settle.py:record_replies_published",
    "x_integration/services/spending.py:counts",
}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_count_is_made_for_an_audit_row(path):
    if "workspaces.counters import Count\n" not in path.read_text():
        return  # another Count, of rows
    beside = _given_to_record(path)
    tree = ast.parse(path.read_text())
    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef):
            continue
        for node in ast.walk(function):
            if isinstance(node, ast.Call) and name_of(node) == "Count":
                place = f"{path.relative_to(ROOT)}:{function.name}"
                assert node.lineno in beside or place in MADE_BEFORE

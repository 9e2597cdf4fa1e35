"""What the documents say is so: named tests exist, links lead somewhere, commands run."""

import ast
import re
from pathlib import Path

import pytest

from tests.requirements import PAGE, covers, named_tests
from tests.worlds import ROOT, environment, manage

DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
FENCED = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)


def commands(document: Path) -> list[str]:
    """The command lines of the document's `sh` blocks, comments cut."""
    lines = "".join(FENCED.findall(document.read_text())).splitlines()
    return [line.partition("#")[0].strip() for line in lines if line.partition("#")[0].strip()]


ALL_COMMANDS = sorted({command for document in DOCUMENTS for command in commands(document)})
MANAGE = ".venv/bin/python manage.py "
RUN_BY_CI = {"make demo", "make demo ARGS=--once", "make test", "make lint", "make bench"}
BEFORE_ALL = re.compile(r"git clone |cd ")


def _functions(path: Path) -> set[str]:
    return {node.name for node in ast.parse(path.read_text()).body if hasattr(node, "name")}


@pytest.mark.parametrize("name", named_tests(PAGE.read_text()))
def test_a_test_that_a_requirement_names_exists(name):
    file, _, function = name.partition("::")
    assert (ROOT / file).is_file()
    assert not function or function in _functions(ROOT / file)


def test_every_closed_requirement_names_a_test():
    rows = [line.split("|") for line in PAGE.read_text().splitlines() if line.count("|") == 6]
    closed = [row for row in rows if row[5].strip() == "closed"]
    assert len(closed) > 10
    assert not [row[1] for row in closed if not named_tests("|".join(row))]


def test_a_requirement_has_an_id_of_its_own():
    rows = [line.split("|") for line in PAGE.read_text().splitlines() if line.count("|") == 6]
    ids = [row[1].strip() for row in rows]
    assert len(ids) == len(set(ids))


def test_a_named_test_is_recognised_with_and_without_parameters():
    assert covers("tests/a.py::test_b", "tests/a.py::test_b[x]")
    assert covers("tests/a.py", "tests/a.py::test_b")
    assert not covers("tests/a.py::test_b", "tests/a.py::test_bc")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_to_files_that_exist(document):
    targets = re.findall(r"\]\((?!https?:|#)([^)#]+)", document.read_text())
    assert [target for target in targets if not (document.parent / target).exists()] == []


def test_a_section_that_the_code_names_exists():
    headings = re.findall(r"^## (.+)$", (ROOT / "docs/X-API.md").read_text(), re.MULTILINE)
    named = [
        words
        for app in ("revfirst", "workspaces", "x_integration", "publishing", "control")
        for path in (ROOT / app).rglob("*.py")
        for words in re.findall(r"docs/X-API\.md, ([A-Z][\w ]+)", path.read_text())
    ]
    assert len(named) > 10
    assert [words for words in named if not words.startswith(tuple(headings))] == []


def test_every_command_in_the_documents_is_run_by_a_test_or_by_ci():
    unknown = [
        command
        for command in ALL_COMMANDS
        if command not in RUN_BY_CI
        and not command.startswith(MANAGE)
        and not BEFORE_ALL.match(command)
    ]
    assert unknown == []


def test_ci_runs_what_the_documents_leave_to_it():
    script = (ROOT / ".ci" / "run").read_text()
    assert all(
        words in script
        for words in ("make lint", "make test", "make demo ARGS=--once", "make bench")
    )


@pytest.mark.parametrize("command", [c for c in ALL_COMMANDS if c.startswith(MANAGE)])
def test_a_management_command_of_the_documents_runs(x, command):
    x.publish(x.approved(x.connected()))
    done = manage(*command.removeprefix(MANAGE).split(), env=environment(x.simulator))
    assert (done.returncode, done.stderr) == (0, "")

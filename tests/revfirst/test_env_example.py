""".env.example explains what settings.py reads: all of it, nothing else, and with the true defaults."""

import ast
import re

from tests.environments import bare, settings_of

READERS = {"_text", "_flag", "_number", "_share", "_choice"}
VARIABLE = re.compile(r"^# ([A-Z][A-Z0-9_]*)=(.*)$", re.MULTILINE)
TITLE = re.compile(r"^# --- (.+?) -+$", re.MULTILINE)


def names_read(source: str) -> list[str]:
    """The variables that settings.py asks its readers for, in order, each once."""
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    asked = [
        (call.lineno, call.args[0].value)
        for call in calls
        if isinstance(call.func, ast.Name)
        and call.func.id in READERS
        and isinstance(call.args[0], ast.Constant)
    ]
    return list(dict.fromkeys(str(name) for _, name in sorted(asked)))


def sections(text: str) -> dict[str, str]:
    """The text under each title."""
    _, *rest = TITLE.split(text)
    return dict(zip(rest[::2], rest[1::2], strict=True))


def test_the_example_names_exactly_what_the_settings_read(repository):
    shown = [name for name, _ in VARIABLE.findall((repository / ".env.example").read_text())]
    assert sorted(shown) == sorted(names_read((repository / "revfirst/settings.py").read_text()))


def test_the_example_has_the_sections_of_the_settings_in_their_order(repository):
    _, *titles = sections((repository / "revfirst/settings.py").read_text())
    assert list(sections((repository / ".env.example").read_text())) == titles


def test_each_variable_stands_in_the_section_that_reads_it(repository):
    ours = sections((repository / "revfirst/settings.py").read_text())
    theirs = sections((repository / ".env.example").read_text())
    for title, text in theirs.items():
        read = set(re.findall(r'"([A-Z0-9_]+)"', ours[title]))
        assert {name for name, _ in VARIABLE.findall(text)} <= read


def test_each_variable_is_explained_above_it(repository):
    paragraphs = re.split(r"\n\s*\n", (repository / ".env.example").read_text())
    for paragraph in paragraphs:
        if VARIABLE.search(paragraph):
            assert not VARIABLE.match(paragraph), paragraph


def test_copied_as_it_is_the_example_changes_nothing(repository, tmp_path):
    before = settings_of(bare(tmp_path))
    (tmp_path / ".env").write_text((repository / ".env.example").read_text())
    assert settings_of(bare(tmp_path)) == before


def test_the_defaults_that_the_example_shows_are_the_true_ones(repository, tmp_path):
    before = settings_of(bare(tmp_path))
    shown = VARIABLE.sub(r"\1=\2", (repository / ".env.example").read_text())
    (tmp_path / ".env").write_text(shown)
    assert settings_of(bare(tmp_path)) == before

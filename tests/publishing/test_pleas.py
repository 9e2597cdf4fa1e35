"""Who asks to be left alone, and who only uses the same words: a table by language, and the sample of the demo."""

import json
from pathlib import Path

import pytest
import yaml
from django.core import checks

from publishing import operator_files
from publishing.pleas import OURS, asks_to_be_left_alone
from tests.worlds import ROOT

SAID = yaml.safe_load(Path(__file__).with_name("pleas_said.yaml").read_text())
SAMPLE = sorted((ROOT / "x_integration/simulator/sample").glob("*.json"))
PLEAS_OF_THE_SAMPLE = {
    "2123574546663805421",
    "2123295906269154920",
    "2122681252286069603",
    "2122540435038977462",
}


@pytest.mark.parametrize("language", SAID)
def test_a_plea_is_recognised(language):
    assert [said for said in SAID[language]["pleas"] if not asks_to_be_left_alone(said)] == []


@pytest.mark.parametrize("language", SAID)
def test_the_same_words_in_other_company_are_no_plea(language):
    assert [said for said in SAID[language]["others"] if asks_to_be_left_alone(said)] == []


def test_every_language_of_ours_has_words_and_a_table():
    replies = {path.name for path in (ROOT / "templates/publishing/replies").iterdir()}
    posts = [post for path in SAMPLE for post in json.loads(path.read_text())["data"]]
    spoken = replies | {post["lang"] for post in posts}
    assert spoken <= yaml.safe_load(OURS.read_text()).keys() == SAID.keys()
    assert all(len(said["pleas"]) >= 12 and len(said["others"]) >= 10 for said in SAID.values())


def test_of_the_posts_of_the_sample_these_are_pleas_and_no_others():
    posts = [post for path in SAMPLE for post in json.loads(path.read_text())["data"]]
    found = {post["id"] for post in posts if asks_to_be_left_alone(post["text"])}
    assert found == PLEAS_OF_THE_SAMPLE


def test_of_a_very_long_post_both_ends_are_read():
    for said in ("stop replying. " + "x " * 50_000, "x " * 50_000 + ". stop replying"):
        assert asks_to_be_left_alone(said)


@pytest.mark.parametrize(
    "said", ["", "@cafe", "🛑", "https://stop.example", "please", "\x00\ud800"]
)
def test_what_holds_no_stop_word_is_none(said):
    assert not asks_to_be_left_alone(said)


# --- The team's own words -------------------------------------------------------------------------


@pytest.fixture
def write(settings, tmp_path):
    """Write the team's file and use it."""
    settings.OPT_OUTS_FILE_PATH = str(tmp_path / "opt_outs.yaml")
    return (tmp_path / "opt_outs.yaml").write_text


def found() -> list[tuple[str | None, str]]:
    """What the system check says."""
    return [(problem.id, problem.msg) for problem in checks.run_checks(tags=["publishing"])]


def test_the_team_s_words_count_at_once_beside_the_known_ones(write):
    write("nl: {please: [alsjeblieft], alone: [hou op], anywhere: [stop met antwoorden/reageren]}")
    assert found() == []
    for said in ("Hou op, alsjeblieft!", "Ik zei: stop met reageren", "やめて"):
        assert asks_to_be_left_alone(said)
    write("{}")
    assert not asks_to_be_left_alone("Hou op, alsjeblieft!")


def test_the_team_may_say_what_is_no_plea(write):
    write("en: {unless: [stop replying with puns]}")
    assert not asks_to_be_left_alone("stop replying with puns")
    assert asks_to_be_left_alone("stop replying with haste")


BROKEN = {
    "no YAML": ("nl: [", "line 1: it is not YAML"),
    "nothing": ("", "It must name languages, or be {}."),
    "a list": ("- stop", "It must name languages"),
    "a language that is none": ("nl: stop", '"nl" must hold names and lists.'),
    "a kind that is not known": ("nl: {stops: [hou op]}", '"nl" has "stops", which is not known.'),
    "a word alone": ("nl: {alone: stop}", '"alone" of "nl" must be a list.'),
    "a saying without words": ('nl: {alone: ["🛑"]}', '"🛑" is no saying'),
    "a gap in a choice": ("nl: {alone: [hou/ op]}", '"hou/ op" is no saying'),
    "a saying that is a flag": ("nl: {alone: [no]}", "in quotes if need be"),
    "too many ways": (
        f"nl: {{alone: [{' '.join(['a/b/c/d'] * 10)}]}}",
        "may be said in more than 5,000 ways",
    ),
    "far too much": ("# " + "x" * 100_001, "larger than 100,000 bytes"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_of_a_broken_file_the_check_says_why_and_the_known_words_hold(write, name):
    content, why = BROKEN[name]
    write(content)
    [(problem, said)] = found()
    assert problem == "publishing.E003"
    assert why in said
    assert asks_to_be_left_alone("stop")


def test_without_the_file_the_known_words_hold(settings):
    settings.OPT_OUTS_FILE_PATH = "/nowhere/opt_outs.yaml"
    assert [problem for problem, _ in found()] == ["publishing.E003"]
    assert asks_to_be_left_alone("stop")


def test_a_broken_file_is_parsed_once_however_many_posts_are_read(write, settings, monkeypatch):
    """Parsing takes its time, and a turn reads thousands of posts."""
    write("nl: [")
    parsed, content_of = list[str](), operator_files.content_of

    def counted(path, *, size):
        parsed.append(str(path))
        return content_of(path, size=size)

    monkeypatch.setattr(operator_files, "content_of", counted)
    assert [asks_to_be_left_alone(said) for said in ("stop", "nice", "stop")] == [True, False, True]
    assert parsed.count(settings.OPT_OUTS_FILE_PATH) == 1

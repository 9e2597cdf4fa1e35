"""What X sees in a text, and what it weighs."""

import json
import re
from pathlib import Path

import pytest

from publishing.text import emoji_in, links_in, names_in, symbols_in, tags_in, weighted_length

# Run once over the texts: the library needs a setuptools below 81, and its time grows faster than a text.
RECORDED = json.loads(Path(__file__).with_name("weights.json").read_text(encoding="utf-8"))
OUR_APPS = ("revfirst", "workspaces", "x_integration", "publishing", "control")
ROWS = RECORDED["rows"]


@pytest.mark.parametrize(("text", "ours", "oracles", "why"), ROWS)
def test_our_weight_is_the_oracles_or_says_why_not(text, ours, oracles, why):
    assert weighted_length(text) == ours
    assert (ours == oracles) is (why == "")


def test_where_we_differ_we_count_more_but_for_emoji_that_are_newer_than_the_oracle():
    less = [text for text, ours, oracles, _ in ROWS if ours < oracles]
    assert len(less) == 9
    assert all("\u200d" in text for text in less)


def test_the_record_says_what_was_asked_and_when():
    assert RECORDED["oracle"] == "twitter-text-parser 3.0.0"
    assert RECORDED["recorded"] == "2026-11-28"
    assert len(ROWS) > 150


@pytest.mark.parametrize(
    ("text", "links"),
    [
        ("(https://a.example/b).", ["https://a.example/b"]),
        ("https://a.example/b_(c)!", ["https://a.example/b_(c)"]),
        ("go to example.com, or cafe.example/menu?x=1.", ["example.com", "cafe.example/menu?x=1"]),
        ("https://a.example?x=1", ["https://a.example?x=1"]),
        ("見てhttps://a.exampleを", ["https://a.example"]),
        ("кафе.рф и 日本語.jp", ["кафе.рф", "日本語.jp"]),
        ("me.name@cafe.example", []),
        ("https://localhost/x http://127.0.0.1/", []),
        ("v1.2.3, e.g. this... or that", []),
    ],
)
def test_links_are_found_to_their_last_letter(text, links):
    assert [text[link.start : link.end] for link in links_in(text)] == links


def test_a_link_knows_its_host():
    text = "https://user.Cafe.example:8080/x?y cafe.example_"
    assert [link.host for link in links_in(text)] == ["user.Cafe.example", "cafe.example"]


def test_names_tags_and_symbols_are_read_outside_of_links():
    text = "@Ana @ana me@b.com https://x.example/@rui #tea #1 https://a.example/#top $A $5 US$B"
    assert names_in(text) == ["ana"]
    assert tags_in(text) == ["tea"]
    assert symbols_in(text) == ["A"]


@pytest.mark.parametrize(
    ("text", "names"),
    [("RT@eva", ["eva"]), ("see rt@Eva: tea", ["eva"]), ("art@eva", []), ("a.rt@eva", [])],
)
def test_a_name_may_follow_a_repost_s_two_letters(text, names):
    """twitter-text, validMentionPrecedingChars."""
    assert names_in(text) == names


def test_a_sequence_is_one_emoji():
    family, flag, thumb = "👨‍👩‍👧‍👦", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "👍🏿"
    assert emoji_in(f"a{family}{flag}b{thumb}1") == [family, flag, thumb]


def test_no_group_repeats_possessively(repository):
    """Before 3.11.5, Python's re finds what is not there when one does: links of no length, for ever."""
    sources = [path for app in OUR_APPS for path in (repository / app).rglob("*.py")]
    assert len(sources) > 100
    found = [path.name for path in sources if re.search(r"\)[*+?]\+", path.read_text())]
    assert found == []

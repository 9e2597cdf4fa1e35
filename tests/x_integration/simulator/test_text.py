"""What X sees in a text."""

import time

import pytest

from x_integration.simulator.text import (
    cashtags_in,
    guess_language,
    published,
    urls_in,
    usernames_in,
    weighted_length,
)


@pytest.mark.parametrize(
    ("text", "weight"),
    [
        ("", 0),
        ("hello", 5),
        ("café", 4),
        ("cafe\u0301", 4),
        ("日本", 4),
        ("한", 2),
        ("☕", 2),
        ("❤️", 2),
        ("👨‍👩‍👧‍👦", 2),
        ("🙌🏽", 2),
        ("🇧🇷", 2),
        ("1️⃣", 2),
        ("🏴󠁧󠁢󠁥󠁮󠁧󠁿", 2),
        ("🤷🏻‍♂️", 2),
        ("—", 1),
        ("©", 2),
        ("https://a.exampleを読んで", 23 + 8),
        ("https://example.com/a/very/long/path?with=query", 23),
        ("see example.com, ok", 23 + 8),
        ("a@example.com", 13),
        ("مرحبا", 5),
    ],
)
def test_weights_follow_the_published_rules(text, weight):
    assert weighted_length(text) == weight


@pytest.mark.parametrize(
    ("text", "links"),
    [
        ("(https://a.example/b).", ["https://a.example/b"]),
        ("go to example.com now", ["example.com"]),
        ("mail me@example.com", []),
        ("v1.2 and e.g. this", []),
        ("https://a.example/x?y=1&z=2", ["https://a.example/x?y=1&z=2"]),
        ("見てhttps://a.example/日本、ね", ["https://a.example/"]),
        ("https://a.exampleを読んで", ["https://a.example"]),
        ("https://a.example/ação?q=é", ["https://a.example/ação?q=é"]),
        ("https://localhost/x", []),
        ("bit.ly/abc and foo.club", ["bit.ly/abc", "foo.club"]),
    ],
)
def test_links_are_found(text, links):
    assert [text[start:end] for start, end in urls_in(text)] == links


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("@a and @B_1, not me@c.org", ["a", "B_1"]),
        ("@ana @ANA", ["ana"]),
        ("こんにちは@kissaさん", ["kissa"]),
        ("@waytoolongforaname_here", []),
    ],
)
def test_names_are_found(text, names):
    assert usernames_in(text) == names


def test_cashtags_are_letters():
    assert cashtags_in("$KC up, $5 down, US$ and $BRK.A") == ["KC", "BRK.A"]


def test_positions_count_code_points_of_the_result():
    shown, entities = published("👩‍🍳 <3 @ana #café", {"ana": "7"}.get, salt="1")
    assert shown == "👩‍🍳 &lt;3 @ana #café"
    mention, tag = entities["mentions"][0], entities["hashtags"][0]
    assert shown[mention["start"] : mention["end"]] == "@ana"
    assert shown[tag["start"] : tag["end"]] == "#café"


def test_a_name_that_nobody_has_is_no_mention():
    assert published("@nobody", lambda name: None, salt="1") == ("@nobody", {})


def test_nothing_inside_a_link_is_an_entity():
    _, entities = published("https://a.example/@ana/#top", {"ana": "7"}.get, salt="1")
    assert list(entities) == ["urls"]


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("おすすめは？", "ja"),
        ("صباح القهوة", "ar"),
        ("vocês têm uma moagem?", "pt"),
        ("gracias, está muy rico", "es"),
        ("thanks for the coffee", "en"),
        ("12345", "und"),
    ],
)
def test_languages_are_guessed(text, language):
    assert guess_language(text) == language


@pytest.mark.parametrize("piece", ["a.", "www.", "a-", "@a", "#a", "$a ", "👩‍", "https://", "1.2."])
def test_no_text_takes_long(piece):
    begun = time.monotonic()
    weighted_length(piece * 5000)
    published(piece * 5000, lambda name: None, salt="1")
    assert time.monotonic() - begun < 2

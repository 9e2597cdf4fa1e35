"""What is kept from a person's eyes, and the sentence that says why."""

import re
from dataclasses import replace

import pytest

from publishing.guards import GUARDS, READABLE, Case, objections
from publishing.voice import Rules, Similarity

PLAIN = Rules()


def told(text, rules=PLAIN, **more):
    """Every guard's sentence, by guard."""
    return {each.guard: each.sentence for each in objections(Case(text, rules, **more))}


GOOD = [
    "Thank you, Lia! That made our morning.",
    "Zwei Zeilen\n\n\tund mehr",
    "Liaさん、ありがとうございます。励みになります。",
    "شكرًا لك Lia! أسعدتَ صباحنا.\u200f",
    "می\u200cخواهم",
    "👨‍👩‍👧‍👦 🏴󠁧󠁢󠁥󠁮󠁧󠁿 ❤️ 1️⃣",
    "Tiếng Việt: Nguyễn",
    "$AAPL and https://cafe.example/menu#top at 9:30",
]


@pytest.mark.parametrize("text", GOOD)
def test_what_people_write_passes(text):
    assert told(text) == {}


HOSTILE = {
    "1 MB": ("x" * 1_000_000, "far too long"),
    "10,000 dots": ("." * 10_000, "far too long"),
    "10,000 dotted letters": ("a." * 10_000, "far too long"),
    "50,000 names": ("@a " * 50_000, "far too long"),
    "50,000 cashtags": ("$A " * 50_000, "far too long"),
    "100,000 combining marks": ("e" + "\u0301" * 100_000, "far too long"),
    "1,000 combining marks": ("e" + "\u0301\u0327" * 499, "accents"),
    "500 dotted letters": ("a." * 500, "too long: 1000 of 280"),
    "a NUL": ("a\x00b", r"U\+0000"),
    "a bell": ("a\x07b", r"U\+0007"),
    "a carriage return": ("a\r\nb", r"U\+000D"),
    "half of a surrogate pair": ("a\ud800b", r"U\+D800"),
    "the other half": ("\udc00", r"U\+DC00"),
    "no character": ("a\uffff", r"U\+FFFF"),
    "a right-to-left override": ("pay \u202e001$", r"turns the direction .*U\+202E"),
    "an isolate": ("\u2067abc\u2069", r"U\+2067"),
    "an invisible blank": ("free\u200btea", r"invisible character \(U\+200B"),
    "a byte order mark": ("\ufefftea", r"U\+FEFF"),
    "tags without a flag": ("tea\U000e0061", r"U\+E0061"),
    "a filler": ("\u3164tea", r"U\+3164"),
    "nothing": ("", "no text"),
    "blanks": (" \n\t\u3000", "no text"),
    "invisible characters only": ("\u200d\u200c\ufe0f \u3164\u2800", "no text"),
    "right-to-left marks only": ("\u200f\u200e", "no text"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_text_is_refused_with_one_sentence(name):
    text, why = HOSTILE[name]
    sentences = list(told(text).values())
    assert len(sentences) == 1
    assert re.search(why, sentences[0])


VOICE = Rules(
    banned_terms=("cheap", "click here", "ação", "ここをクリック"),
    emoji_at_most=1,
    sentence_words_at_most=6,
    sentences_at_most=2,
    links=("cafe.example",),
    cashtags=False,
    hashtags_at_most=1,
    mentions=("rui",),
)


@pytest.mark.parametrize(
    ("text", "guard", "why"),
    [
        ("So CHEAP!", "banned_terms", "The brand voice does not say “cheap”."),
        ("ｃｈｅａｐ", "banned_terms", "The brand voice does not say “cheap”."),
        ("Click\nhere", "banned_terms", "The brand voice does not say “click here”."),
        ("Uma acao", "banned_terms", "The brand voice does not say “ação”."),
        (
            "まずここをクリックして",
            "banned_terms",
            "The brand voice does not say “ここをクリック”.",
        ),
        ("Tea ☕👨‍👩‍👧‍👦", "emoji", "The text has 2 emoji; the brand voice takes 1."),
        ("One. Two! Three?", "sentences", "The text has 3 sentences; the brand voice takes 2."),
        ("一。二。三。", "sentences", "The text has 3 sentences; the brand voice takes 2."),
        (
            "Ok. a b c d e f g",
            "sentence_length",
            "A sentence has 7 words; the brand voice takes 6.",
        ),
        ("See evil.example", "links", "The brand voice takes no links to “evil.example”."),
        ("notcafe.example", "links", "The brand voice takes no links to “notcafe.example”."),
        ("Buy $TEA", "cashtags", "The brand voice takes no cashtags: $TEA."),
        ("#a #b", "hashtags", "The text has 2 hashtags; the brand voice takes 1."),
        ("Hi @bia", "mentions", "Nobody there asked to be mentioned: @bia."),
    ],
)
def test_the_brand_voice_says_what_it_does_not_take(text, guard, why):
    assert told(text, VOICE) == {guard: why}


@pytest.mark.parametrize(
    "text",
    [
        "Cheaper, cheapest; we clicked here.",
        "One ☕. Two, and v1.2.3",
        "https://www.CAFE.example/a?b and cafe.example",
        "Costs $5, @RUI #tea",
    ],
)
def test_what_only_looks_like_it_passes(text):
    assert told(text, VOICE) == {}


def test_links_may_be_shut_out_altogether():
    rules = replace(PLAIN, links=False)
    assert told("At cafe.example", rules) == {
        "links": "The brand voice takes no links: “cafe.example”."
    }
    assert told("Write to us@cafe.example", rules) == {}


def test_two_cashtags_are_refused_whatever_the_voice_says():
    assert told("$A and $B") == {"cashtags": "X takes one cashtag: the text has 2."}


def test_who_is_asked_for_may_be_mentioned_in_any_capitals():
    assert told("@lia @Ana ok", asked_for=["Lia", "ana"]) == {}
    assert told("@lia @eva ok", asked_for=["Lia"]) == {
        "mentions": "Nobody there asked to be mentioned: @eva."
    }


LATEST = ["We open at nine on Mondays, as always. See you there!"]


@pytest.mark.parametrize(
    ("text", "alike_from", "is_refused"),
    [
        ("WE OPEN at nine  on Mondays, as always. See you there!", 100, True),
        ("We open at ten on Mondays, as always. See you there!", 100, False),
        ("We open at ten on Mondays, as always. See you there!", 90, True),
        ("Our roaster rests on Mondays; the bar, of course, does not.", 60, False),
    ],
)
def test_a_text_too_much_like_one_of_the_latest_is_refused(text, alike_from, is_refused):
    found = told(text, similarity=Similarity(alike_from, 40), latest=["Hi", *LATEST])
    assert (list(found) == ["similarity"]) is is_refused


def test_short_texts_are_not_compared():
    assert told("Thank you!", similarity=Similarity(100, 40), latest=["Thank you!"]) == {}


def test_every_objection_is_told_in_the_order_of_the_guards():
    found = list(told("Cheap ☕☕ at evil.example for $A $B #a #b, @bia! 1. 2.", VOICE))
    assert found == [
        "banned_terms", "emoji", "sentences", "sentence_length", "links", "cashtags", "hashtags", "mentions",
    ]  # fmt: skip


def test_every_guard_has_a_name_of_its_own():
    names = [guard.name for guard in (*READABLE, *GUARDS)]
    assert len(set(names)) == len(names) == 16

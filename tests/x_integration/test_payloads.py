"""X's JSON in both dialects, read into one kind of post; and pages that cannot be trusted."""

import copy
import html
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from revfirst.storable import storable
from x_integration.client import XClient
from x_integration.errors import XReadFailed
from x_integration.payloads import FIELDS, Page, Post, normalised, parse_page


def page(**changes):
    """A page with one post in the legacy dialect; `...` takes a field away."""
    post = {
        "id": "1900000000000000001",
        "text": "Hello @cafe",
        "author_id": "77",
        "created_at": "2026-11-01T12:00:00.000Z",
        "lang": "en",
        "conversation_id": "1900000000000000001",
        "entities": {"mentions": [{"id": "42", "username": "cafe", "start": 6, "end": 11}]},
    } | changes
    return {
        "data": [{name: value for name, value in post.items() if value is not ...}],
        "includes": {"users": [{"id": "77", "username": "lia", "name": "Lia"}]},
        "meta": {"result_count": 1},
    }


def read(**changes) -> Post:
    return parse_page(page(**changes)).posts[0]


# --- both dialects --------------------------------------------------------------------------------


def sample_posts(voice, settings, dialect) -> list[Post]:
    """Every sample post of every user, in one dialect."""
    settings.X_FIELD_DIALECT = dialect
    token = voice.simulator.connect("cafe_aurora").access_token
    since = datetime(2020, 1, 1, tzinfo=UTC)
    users = [user["id"] for user in voice.simulator.control("GET", "/users")]
    pages = [
        each
        for user in users
        for each in XClient().timeline(user, access_token=token, start_time=since)
    ]
    return [post for each in pages for post in each.posts]


def test_both_dialects_tell_the_same_posts(voice, settings):
    voice.simulator.reset(sample=True)
    legacy = sample_posts(voice, settings, "legacy")
    new = sample_posts(voice, settings, "new")
    assert [post.raw for post in legacy] != [post.raw for post in new]
    assert [replace(post, raw={}) for post in legacy] == [replace(post, raw={}) for post in new]
    assert len(legacy) == len(voice.simulator.posts())


def test_the_sample_has_what_the_comparison_is_about(voice, settings):
    voice.simulator.reset(sample=True)
    posts = sample_posts(voice, settings, "new")
    assert all(post.author_username for post in posts)
    assert {kind for post in posts for kind in post.referenced} == {"quoted", "replied_to"}
    assert any(post.quoted_author_id for post in posts)
    assert {"pt", "en", "es", "ja", "ar"} <= {post.lang for post in posts}


def test_the_dialects_ask_for_the_same_things():
    assert FIELDS.keys() == {"legacy", "new"}
    assert FIELDS["legacy"]["user.fields"] == FIELDS["new"]["user.fields"]


@pytest.mark.parametrize("name", ["referenced_tweets", "referenced_posts"])
def test_references_are_read_in_either_dialect(name):
    assert read(**{name: [{"type": "replied_to", "id": "5"}]}).replied_to == "5"


@pytest.mark.parametrize("name", ["tweets", "posts"])
def test_the_author_of_a_quoted_post_is_read_in_either_dialect(name):
    body = page(referenced_tweets=[{"type": "quoted", "id": "5"}])
    body["includes"][name] = [{"id": "5", "author_id": "42", "text": "x"}]
    assert parse_page(body).posts[0].quoted_author_id == "42"


@pytest.mark.parametrize("name", ["note_tweet", "note_post"])
def test_a_long_note_takes_the_place_of_its_beginning(name):
    note = {
        "text": "The whole of it &amp; more https://t.co/abcdefghij",
        "entities": {
            "urls": [{"url": "https://t.co/abcdefghij", "expanded_url": "https://e.example/a"}]
        },
    }
    assert read(text="The whole…", **{name: note}).text == (
        "The whole of it & more https://e.example/a"
    )


# --- one post -------------------------------------------------------------------------------------


def test_a_post_is_read_whole():
    post = read()
    assert post == Post(
        id="1900000000000000001",
        text="Hello @cafe",
        author_id="77",
        author_username="lia",
        created_at=datetime(2026, 11, 1, 12, tzinfo=UTC),
        lang="en",
        conversation_id="1900000000000000001",
        mentioned=(("42", "cafe"),),
        raw=page()["data"][0],
    )


def test_unknown_fields_are_kept_as_x_sent_them():
    extra = {"moon_phase": {"name": "full", "lit": [1, 0.5, None, True]}}
    assert read(**extra).raw["moon_phase"] == extra["moon_phase"]


def test_reading_leaves_the_given_body_alone():
    body = page(text="a\x00b")
    before = copy.deepcopy(body)
    parse_page(body)
    assert body == before


def test_what_x_may_leave_out_is_empty():
    body = page(lang=..., conversation_id=..., entities=...)
    del body["includes"]
    post = parse_page(body).posts[0]
    assert (post.lang, post.conversation_id, post.mentioned, post.author_username) == (
        "",
        "",
        (),
        "",
    )


def test_a_mention_may_come_without_an_id():
    assert read(entities={"mentions": [{"username": "cafe"}]}).mentioned == (("", "cafe"),)


def test_what_is_too_long_for_its_column_is_cut():
    post = read(lang="x" * 40, conversation_id="9" * 40)
    assert (post.lang, post.conversation_id) == ("x" * 10, "9" * 19)


@pytest.mark.parametrize(
    ("text", "urls", "read_as"),
    [
        ("a &lt;3 &amp;amp; b", [], "a <3 &amp; b"),
        (
            "see https://t.co/abcdefghij now",
            [("https://t.co/abcdefghij", "https://e.example/?a=1&copy=2&lt=3")],
            "see https://e.example/?a=1&copy=2&lt=3 now",
        ),
        (
            "https://t.co/aaaaaaaaaa https://t.co/bbbbbbbbbb",
            [("https://t.co/aaaaaaaaaa", "https://a.example"), ("https://t.co/bbbbbbbbbb", None)],
            "https://a.example https://t.co/bbbbbbbbbb",
        ),
        ("abc", [("", "X"), ("b", "https://e.example"), (None, "Y")], "abc"),
        (
            "https://t.co/ab https://t.co/abc.",
            [("https://t.co/ab", "http://one.example"), ("https://t.co/abc", "http://two.example")],
            "http://one.example http://two.example.",
        ),
        (
            "https://t.co/abを読んで",
            [("https://t.co/ab", "http://one.example")],
            "http://one.exampleを読んで",
        ),
        ("https://t.co/ab", [("https://t.co/ab", "http://" + "x" * 5000)], "https://t.co/ab"),
        ("😀 👨‍👩‍👧 é 日本語 مرحبا", [], "😀 👨‍👩‍👧 é 日本語 مرحبا"),
        ("", [], ""),
    ],
)
def test_the_text_is_what_the_person_wrote(text, urls, read_as):
    entities = {"urls": [{"url": url, "expanded_url": expanded} for url, expanded in urls]}
    assert read(text=text, entities=entities).text == read_as


# --- what the database cannot keep ----------------------------------------------------------------


@pytest.mark.parametrize("name", ["text", "lang", "conversation_id"])
def test_no_column_gets_a_nul(name):
    assert getattr(read(**{name: "9\x009"}), name) == "99"


def test_neither_names_nor_the_payload_get_a_nul():
    body = page(odd={"k\x00": ["v\x00"]})
    body["includes"]["users"][0]["username"] = "li\x00a"
    post = parse_page(body).posts[0]
    assert post.author_username == "lia"
    assert "\x00" not in str(post.raw)


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ("a\x00b", "ab"),
        ("a\ud800b", "a?b"),
        ("\ud83d\ude00", "??"),
        (float("nan"), None),
        (float("-inf"), None),
        (1.5, 1.5),
        (True, True),
        (None, None),
        ({"a\x00": ["\x00", {"b": float("inf")}]}, {"a": ["", {"b": None}]}),
    ],
)
def test_only_what_postgresql_can_keep_stays(value, kept):
    assert storable(value) == kept


# --- pages that cannot be trusted -----------------------------------------------------------------

BROKEN_POSTS: dict[str, dict[str, Any]] = {
    "no id": {"id": ...},
    "a number as id": {"id": 7},
    "letters as id": {"id": "abc"},
    "a blank id": {"id": ""},
    "too many digits": {"id": "1" * 20},
    "more than X can count to": {"id": str(2**63)},
    "a zero in front": {"id": "05"},
    "nothing but a zero": {"id": "0"},
    "digits of another script": {"id": "١٢٣"},
    "an id and a line": {"id": "1\n"},
    "no text": {"text": ...},
    "null as text": {"text": None},
    "a list as text": {"text": ["a"]},
    "no author": {"author_id": ...},
    "a name as author": {"author_id": "lia"},
    "no time": {"created_at": ...},
    "a time without a zone": {"created_at": "2026-11-01T12:00:00"},
    "a word as time": {"created_at": "noon"},
    "a number as time": {"created_at": 1_800_000_000},
    "mentions that are a text": {"entities": {"mentions": "cafe"}},
    "entities that are a list": {"entities": [1]},
    "a reference to nothing": {"referenced_tweets": [{"type": "quoted"}]},
    "a link that is a text": {"entities": {"urls": ["https://t.co/a"]}},
    "a note that is a text": {"note_tweet": "long"},
}


@pytest.mark.parametrize("name", BROKEN_POSTS)
def test_a_broken_post_breaks_its_whole_page(name):
    body = page()
    body["data"] += page(**BROKEN_POSTS[name])["data"]
    with pytest.raises(XReadFailed) as raised:
        parse_page(body)
    assert raised.value.code == "x_broken_page"


BROKEN_PAGES: dict[str, Any] = {
    "null": None,
    "a list": [],
    "HTML": "<!DOCTYPE html>",
    "nothing in it": {},
    "data without meta": {"data": []},
    "null as data": {"data": None, "meta": {}},
    "an object as data": {"data": {"id": "1"}, "meta": {}},
    "an empty object as data": {"data": {}, "meta": {}},
    "a text as data": {"data": "", "meta": {}},
    "texts as posts": {"data": ["1"], "meta": {}},
    "null as meta": {"data": [], "meta": None},
    "a list as meta": {"data": [], "meta": []},
    "a text as includes": {"data": [], "meta": {}, "includes": "users"},
}


@pytest.mark.parametrize("name", BROKEN_PAGES)
def test_a_broken_page_is_not_made_at_all(name):
    with pytest.raises(XReadFailed) as raised:
        parse_page(BROKEN_PAGES[name])
    assert raised.value.code == "x_broken_page"


def test_only_errors_say_that_x_does_not_show_it_and_why():
    body = {"errors": [{"title": "Not Found Error", "detail": "Could not find user."}]}
    with pytest.raises(XReadFailed, match="does not show it: Could not find user") as raised:
        parse_page(body)
    assert raised.value.code == "x_unseen"


@pytest.mark.parametrize(
    ("field", "sentence"),
    [("author_id", "post 1900000000000000001: author_id is missing"), ("id", "a post: id is miss")],
)
def test_a_broken_post_is_named_with_what_it_lacks(field, sentence):
    with pytest.raises(XReadFailed, match=sentence):
        parse_page(page(**{field: ...}))


@pytest.mark.parametrize(
    "includes",
    [
        None,
        {},
        {"users": None, "tweets": None, "posts": None},
        {"users": [{"id": "77"}, {"username": "nobody"}, {}], "tweets": [{"text": "no id"}]},
    ],
)
def test_what_comes_along_is_no_condition_of_reading(includes):
    post = parse_page(page() | {"includes": includes}).posts[0]
    assert (post.author_id, post.author_username) == ("77", "")


def test_a_mention_may_come_without_a_name():
    assert read(entities={"mentions": [{"id": "42"}]}).mentioned == (("42", ""),)


def test_an_error_about_a_page_tells_nothing_of_what_it_said():
    with pytest.raises(XReadFailed) as raised:
        read(created_at="noon, says Lia")
    assert "Lia" not in str(raised.value)


def test_a_page_without_posts_is_empty():
    assert parse_page({"meta": {"result_count": 0}}) == Page((), "")


def test_errors_beside_posts_do_not_break_the_page():
    body = page() | {"errors": [{"title": "Not Found Error", "resource_id": "5"}]}
    assert len(parse_page(body).posts) == 1


def test_the_token_of_the_next_page_is_told():
    body = page()
    body["meta"]["next_token"] = "more"
    assert parse_page(body).next_token == "more"


# --- comparing with the timeline ------------------------------------------------------------------

SAME = {
    "composed and not": ("caf\u00e9", "cafe\u0301"),
    "entities": ("a <3 & b", "a &lt;3 &amp; b"),
    "one automatic mention": ("Thank you!", "@lia Thank you!"),
    "several automatic mentions": ("Thank you!", "@lia @cafe_2  Thank you!"),
    "spaces": ("a  b\n\nc ", " a b\u00a0c"),
    "a scheme": ("see example.com", "see https://example.com"),
    "either scheme": ("see http://example.com", "see HTTPS://example.com"),
    "a last slash": ("see https://example.com", "see https://example.com/"),
    "all of it": ("Olá, veja a.example", "@lia Ola\u0301,\nveja http://a.example/"),
}
DIFFERENT = {
    "other words": ("Thank you!", "Thanks!"),
    "another case": ("thank you", "Thank You"),
    "a mention in the middle": ("thank you", "thank @lia you"),
    "another path": ("example.com/a", "example.com/b"),
    "another emoji": ("😀", "😃"),
    "only a mention": ("@lia", "@bia"),
    "punctuation": ("Yes!", "Yes"),
    "a slash alone is a word": ("a / b", "a b"),
}


@pytest.mark.parametrize("name", SAME)
def test_what_x_changes_makes_no_difference(name):
    ours, theirs = SAME[name]
    assert normalised(ours, reply=True) == normalised(theirs, reply=True)


@pytest.mark.parametrize("name", DIFFERENT)
def test_what_a_person_changes_makes_a_difference(name):
    ours, theirs = DIFFERENT[name]
    assert normalised(ours, reply=True) != normalised(theirs, reply=True)


TYPED = [
    "Fish & chips < 5 > 3",
    "&amp; is an ampersand, &copy is a sign",
    "example.com and http://a.example/x?y=1&copy=2",
    "“Quotes” — and …",
    "@lia @bia hello",
    "👩🏽‍🚀 e\u0301 ﷽ 日本",
    "line one\nline two\t\ttabbed",
]


@pytest.mark.parametrize("typed", TYPED)
def test_a_text_is_recognised_after_x_escaped_it(typed):
    read_again = read(text=html.escape(typed, quote=False)).text
    assert normalised(read_again, reply=False) == normalised(typed, reply=False)


@pytest.mark.parametrize("typed", TYPED)
@pytest.mark.parametrize("dialect", ["legacy", "new"])
def test_a_published_text_is_recognised_on_the_timeline(voice, settings, typed, dialect):
    settings.X_FIELD_DIALECT = dialect
    voice.simulator.make_user("lia")
    target = voice.simulator.say("lia", "@cafe hello")["id"]
    voice.says(typed, in_reply_to=target)
    found = voice.client.timeline(
        voice.tokens.user_id,
        access_token=voice.tokens.access_token,
        start_time=datetime(2026, 1, 1, tzinfo=UTC),
    )
    said = next(found).posts[0].text
    assert normalised(said, reply=True) == normalised(typed, reply=True)


@pytest.mark.parametrize("urls", [40_000, 1])
def test_no_page_makes_a_text_of_boundless_length(urls):
    """What X sends is at most some megabytes; what we make of it stays of that size."""
    link = {"url": "https://t.co/a", "expanded_url": "http://" + "x" * 1900}
    post = read(text="https://t.co/a " * 1000, entities={"urls": [link] * urls})
    assert len(post.text) < 3_000_000

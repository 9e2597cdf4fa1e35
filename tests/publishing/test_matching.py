"""Is that our post? What X changes of a text makes no difference, and what a person wrote does."""

from datetime import timedelta

import pytest

from publishing.models import QueueItem
from publishing.services.attempts import text_hash
from publishing.states import State
from tests.worlds import approved_post
from x_integration.payloads import normalised

LATER = timedelta(seconds=20)
WRITTEN = {
    "links": "Tea at https://cafe.example/menu/?a=1&b=2 and http://b.example/ today",
    "a link behind a letter": "\u65e5\u672c\u8a9ecafe.example.com \u3068https://b.example/ ole\u0301cafe.com",
    "entities": "Tea & cake <3 &amp; more > less",
    "nfd": "Cafe\u0301 ole\u0301",
    "emoji": "\U0001f468\u200d\U0001f373 \U0001f44b\U0001f3fd",
    "white space": "two\n\nlines   and \t spaces ",
    "a mention within": "Ask @rui about it",
}


@pytest.fixture(autouse=True)
def they_may_be_called(settings, tmp_path):
    """The brand voice lets us mention two people without being asked."""
    path = tmp_path / "voice.yaml"
    path.write_text('languages: {"*": {mentions: [lia, rui]}}')
    settings.BRAND_VOICE_FILE_PATH = str(path)


def lost(x, item: QueueItem) -> QueueItem:
    """X has it, and nobody heard of it."""
    x.fault("lost_answer")
    item = x.publish(item)
    assert item.state == State.UNCONFIRMED
    return item


@pytest.mark.parametrize("dialect", ["legacy", "new"])
@pytest.mark.parametrize("name", WRITTEN)
@pytest.mark.parametrize("kind", ["reply", "post"])
def test_what_x_makes_of_a_text_is_recognised(x, settings, kind, name, dialect):
    settings.X_FIELD_DIALECT = dialect
    text = WRITTEN[name]
    item = (
        approved_post(x.connected(), text)
        if kind == "post"
        else x.answering(x.connected(), by="lia", text=text)
    )
    lost(x, item)
    assert x.sweep(after=LATER).confirmed == 1


def test_a_reply_is_recognised_behind_the_mentions_that_x_puts_before_it(x):
    item = x.answering(x.connected(), by="lia", text="Thank you")
    x.fault("status", status=500)
    x.publish(item)
    target = item.source_post.x_post_id
    x.simulator.make_user("rui")
    x.simulator.say("cafe", "@lia @rui Thank you", in_reply_to=target, source="api")
    assert x.sweep(after=LATER).confirmed == 1


def test_the_leading_mention_of_a_post_is_part_of_what_we_wrote(x):
    """Another post of ours, without it, is not the one that we look for."""
    item = approved_post(x.connected(), "@lia opens the new bar tonight")
    x.fault("status", status=500)
    x.publish(item)
    x.simulator.say("cafe", "opens the new bar tonight", source="api")
    assert x.sweep(after=LATER).not_found == 1
    x.simulator.make_user("lia")
    x.simulator.say("cafe", "@lia opens the new bar tonight", source="api")
    assert x.sweep(after=timedelta(minutes=3)).confirmed == 1


def test_two_posts_to_two_people_are_no_duplicates(x):
    cafe = x.connected()
    for who in ("lia", "rui"):
        item = x.publish(approved_post(cafe, f"@{who} happy birthday!"))
        assert item.state == State.PUBLISHED


@pytest.mark.parametrize(("reply", "same"), [(True, True), (False, False)])
def test_leading_mentions_count_in_a_post_and_not_in_a_reply(reply, same):
    texts = ["@lia good morning", "good morning"]
    assert (len({normalised(text, reply=reply) for text in texts}) == 1) is same
    assert (len({text_hash(text, reply=reply) for text in texts}) == 1) is same


@pytest.mark.parametrize(
    "shown",
    [
        "I \u2764 caf\xe9 \U0001f468\U0001f373, \u05e9\u05dc\u05d5\u05dd!",
        "\ufeffI \u2764\ufe0e cafe\u0301 \U0001f468\u200d\U0001f373, \u05e9\u05dc\u05d5\u05dd!\u200e",
        "I \u2764 cafe\u200b\u0301 \U0001f468\U0001f373, \u05e9\u05dc\u05d5\u05dd!",
    ],
)
def test_what_nobody_sees_makes_no_other_text(shown):
    """X's page lets a person's browser drop joiners, marks of direction and ways to draw an emoji."""
    written = "I \u2764\ufe0f caf\xe9 \U0001f468\u200d\U0001f373, \u200f\u05e9\u05dc\u05d5\u05dd!"
    assert normalised(shown, reply=True) == normalised(written, reply=True)


def test_what_a_person_posted_without_the_marks_is_recognised(x):
    item = x.answering(x.connected(), by="lia", text="Thank you \u2764\ufe0f")
    x.fault("status", status=500)
    x.publish(item)
    target = item.source_post.x_post_id
    x.simulator.say("cafe", "Thank you \u2764", in_reply_to=target, source="api")
    assert x.sweep(after=LATER).confirmed == 1


def test_a_long_post_is_read_in_full(x):
    """The text beside the note is cut; the note's decides."""
    item = x.answering(x.connected(), by="lia", text="Thank you")
    x.fault("status", status=500)
    x.publish(item)
    target = item.source_post.x_post_id
    x.simulator.say("cafe", "Thank you " + "and so on " * 40, in_reply_to=target)
    assert x.sweep(after=LATER).not_found == 1


@pytest.mark.parametrize("dialect", ["legacy", "new"])
def test_a_long_text_of_ours_is_recognised(x, settings, dialect):
    settings.X_FIELD_DIALECT = dialect
    item = x.answering(x.connected(), by="lia", text="Thank you")
    long = "Thank you " + "for everything & more " * 20
    x.fault("status", status=500)
    x.publish(item)
    attempt = item.attempts.get()
    attempt.snapshot["text"] = long
    attempt.save(update_fields=["snapshot"])
    x.simulator.say("cafe", long, in_reply_to=item.source_post.x_post_id)
    assert x.sweep(after=LATER).confirmed == 1

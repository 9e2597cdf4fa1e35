"""Who summoned us: the table behind each source post's eligibility."""

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.factories import SourcePostFactory
from x_integration.eligibility import eligibility_of
from x_integration.errors import XRejected
from x_integration.models import SourcePost
from x_integration.payloads import Post

US, LIA = "42", "77"
OWN, SUMMONED, NOT = (
    SourcePost.Eligibility.OWN_THREAD,
    SourcePost.Eligibility.SUMMONED,
    SourcePost.Eligibility.NOT_SUMMONED,
)
TABLE: dict[str, tuple[dict[str, Any], str, str]] = {
    "our own post": ({"author_id": US}, OWN, "own_post"),
    "our own post that mentions us": (
        {"author_id": US, "mentioned": ((US, "cafe"),)},
        OWN,
        "own_post",
    ),
    "a mention by id": ({"mentioned": ((US, "cafe"),)}, SUMMONED, "mentions_us"),
    "a mention by id under an old name": (
        {"mentioned": ((US, "old_name"),)},
        SUMMONED,
        "mentions_us",
    ),
    "a mention by name alone": ({"mentioned": (("", "cafe"),)}, SUMMONED, "mentions_us"),
    "a mention by name in another case": ({"mentioned": (("", "CaFe"),)}, SUMMONED, "mentions_us"),
    "a mention among others": (
        {"mentioned": (("5", "a"), ("6", "b"), (US, "cafe"))},
        SUMMONED,
        "mentions_us",
    ),
    "somebody who took our old name": (
        {"mentioned": (("5", "cafe"),)},
        NOT,
        "no_mention_no_quote",
    ),
    "a name that begins like ours": ({"mentioned": (("", "cafes"),)}, NOT, "no_mention_no_quote"),
    "a quote of ours": (
        {"referenced": {"quoted": "5"}, "quoted_author_id": US},
        SUMMONED,
        "quotes_us",
    ),
    "a quote of somebody else": (
        {"referenced": {"quoted": "5"}, "quoted_author_id": "6"},
        NOT,
        "no_mention_no_quote",
    ),
    "a quote of a post that nobody sees": (
        {"referenced": {"quoted": "5"}},
        NOT,
        "no_mention_no_quote",
    ),
    "a reply that does not name us": (
        {"referenced": {"replied_to": "5"}},
        NOT,
        "no_mention_no_quote",
    ),
    "a repost of a post that mentions us": (
        {"referenced": {"retweeted": "5"}, "mentioned": ((US, "cafe"),)},
        NOT,
        "repost",
    ),
    "a repost of ours": (
        {"referenced": {"retweeted": "5"}, "quoted_author_id": US},
        NOT,
        "repost",
    ),
    "our own repost of somebody": (
        {"author_id": US, "referenced": {"retweeted": "5"}},
        NOT,
        "repost",
    ),
    "our name in the text only": ({"text": "@cafe hello"}, NOT, "no_mention_no_quote"),
    "nothing of ours": ({}, NOT, "no_mention_no_quote"),
}


@pytest.mark.parametrize("name", TABLE)
def test_each_post_has_its_verdict_and_its_reason(name):
    fields, verdict, reason = TABLE[name]
    given: dict[str, Any] = {"id": "1", "text": "hi", "author_id": LIA, "raw": {}, **fields}
    post = Post(created_at=datetime(2026, 11, 1, tzinfo=UTC), **given)
    assert eligibility_of(post, us=US, our_name="Cafe") == (verdict, reason)


@pytest.mark.parametrize(
    ("tier", "eligibility", "may"),
    [
        ("self_serve", SUMMONED, True),
        ("self_serve", OWN, True),
        ("self_serve", NOT, False),
        ("enterprise", NOT, True),
    ],
)
@pytest.mark.django_db
def test_the_access_tier_decides_whether_a_post_may_be_answered(settings, tier, eligibility, may):
    settings.X_ACCESS_TIER = tier
    assert SourcePostFactory(eligibility=eligibility).may_be_answered is may


@pytest.mark.parametrize(
    ("text", "fields", "accepted"),
    [
        ("@cafe hello", {}, True),
        ("hello", {}, False),
        ("look", {"quote": True}, True),
    ],
    ids=["mention", "stranger", "quote"],
)
def test_the_verdict_agrees_with_what_x_accepts(voice, text, fields, accepted):
    """X has the last word, so it is asked: a verdict that X contradicts is worth nothing."""
    ours = voice.simulator.say("cafe", "Ours.")["id"]
    voice.simulator.make_user("lia")
    lia = voice.simulator.connect("lia")
    quote = {"quote": ours} if fields else {}
    said = voice.simulator.say("lia", text, **quote)["id"]
    since = datetime(2026, 1, 1, tzinfo=UTC)
    pages = voice.client.timeline(lia.user_id, access_token=lia.access_token, start_time=since)
    verdict, _ = eligibility_of(next(pages).posts[0], us=voice.tokens.user_id, our_name="cafe")
    try:
        voice.says(in_reply_to=said)
    except XRejected:
        assert (accepted, verdict) == (False, NOT)
    else:
        assert (accepted, verdict) == (True, SUMMONED)

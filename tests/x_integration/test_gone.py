"""X lets us know that it shows a post no longer: it is marked wherever it is stored, and for good."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from tests.factories import SourcePostFactory, XAccountFactory
from tests.worlds import WORKER
from x_integration.client import XClient
from x_integration.models import RateWindow, SourcePost, XAccount
from x_integration.payloads import Page, parse_page
from x_integration.services import find_target, gone, look_again, note_what_is_gone

NOW = timezone.now()
PREFIX = "https://api.twitter.com/2/problems/"


def error(which, kind="tweet", why="resource-not-found", **more):
    told = {"resource_type": kind, "resource_id": which, "value": which, "type": PREFIX + why}
    return told | more


def why_gone(post):
    post.refresh_from_db()
    return post.gone_reason


# --- what a page says -------------------------------------------------------------------------------


def test_posts_and_users_that_x_names_as_errors_are_read():
    body = {
        "meta": {},
        "errors": [
            error("5"),
            error("6", "post", "not-authorized-for-resource"),
            error("7", "user"),
            error("8", why="field-unauthorized"),
            error("9", "list"),
            error("no number"),
            error(None, value=None),
            "not an object",
            {"message": "something else", "type": 7},
        ],
    }
    page = parse_page(body)
    assert page.unseen == {"5": "resource-not-found", "6": "not-authorized-for-resource"}
    assert page.unseen_users == {"7": "resource-not-found"}


def test_users_who_protect_their_posts_are_read():
    users = [
        {"id": "5", "protected": True},
        {"id": "6", "protected": False},
        {"id": "7", "protected": "yes"},
        {"id": "8"},
        {"protected": True},
    ]
    assert parse_page({"meta": {}, "includes": {"users": users}}).protected == {"5"}


# --- what is marked ---------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_a_post_is_gone_in_every_workspace_that_has_it():
    here, there = SourcePostFactory(x_post_id="5"), SourcePostFactory(x_post_id="5")
    other = SourcePostFactory(workspace=here.workspace)
    assert note_what_is_gone([Page((), "", unseen={"5": "resource-not-found"})], now=NOW) == 2
    assert [why_gone(post) for post in (here, there, other)] == ["not_found", "not_found", ""]
    assert here.gone_at == NOW


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("page", "reason"),
    [
        (Page((), "", unseen_users={"77": "resource-not-found"}), "author_gone"),
        (Page((), "", protected=frozenset({"77"})), "author_protected"),
    ],
)
def test_all_that_an_author_said_is_gone_in_every_workspace(page, reason, monkeypatch):
    monkeypatch.setattr(gone, "_CHUNK", 2)
    posts = SourcePostFactory.create_batch(5, author_id="77")
    other = SourcePostFactory(author_id="78")
    assert note_what_is_gone([page], now=NOW) == 5
    assert {why_gone(post) for post in posts} == {reason}
    assert why_gone(other) == ""


@pytest.mark.django_db(transaction=True)
def test_our_own_account_does_not_vanish_with_a_word():
    account = XAccountFactory(x_user_id="77")
    ours = SourcePostFactory(workspace=account.workspace, author_id="77", x_post_id="5")
    note_what_is_gone([Page((), "", protected=frozenset({"77"}))], now=NOW)
    assert why_gone(ours) == ""
    note_what_is_gone([Page((), "", unseen={"5": "resource-not-found"})], now=NOW)
    assert why_gone(ours) == "not_found"


@pytest.mark.django_db(transaction=True)
def test_the_first_signal_counts():
    post = SourcePostFactory(x_post_id="5")
    page = Page((), "", unseen={"5": "resource-not-found"})
    note_what_is_gone([page], now=NOW)
    assert note_what_is_gone([page], now=NOW + timedelta(hours=1)) == 0
    post.refresh_from_db()
    assert post.gone_at == NOW


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"gone_at": NOW}, "gone_has_reason"),
        ({"gone_reason": "not_found"}, "gone_has_reason"),
        ({"forgotten_at": NOW, "text": "", "author_username": ""}, "forgotten_is_blank"),
        *(
            (
                {"gone_at": NOW, "gone_reason": "not_found", "forgotten_at": NOW}
                | {"text": "", "author_username": "", "payload": {}}
                | said,
                "forgotten_is_blank",
            )
            for said in ({"text": "hi"}, {"author_username": "lia"}, {"payload": {"text": "hi"}})
        ),
    ],
)
def test_the_database_keeps_no_words_of_what_is_forgotten(fields, name):
    with pytest.raises(IntegrityError, match=name), transaction.atomic():
        SourcePostFactory(**fields)


# --- how it is heard of -----------------------------------------------------------------------------


@pytest.mark.parametrize("dialect", ["legacy", "new"])
def test_a_page_of_mentions_tells_that_what_they_answer_is_gone(x, cafe, settings, dialect):
    settings.X_FIELD_DIALECT = dialect
    first = x.mention(cafe, by="lia")
    x.ingest(cafe)
    x.simulator.make_user("bob")
    x.simulator.say("bob", "@cafe me too", in_reply_to=first["id"])
    x.simulator.take_down(first["id"])
    assert x.ingest(cafe) == 1
    assert SourcePost.objects.get(x_post_id=first["id"]).gone_reason == "not_found"


def test_what_is_gone_does_not_come_back_when_x_shows_it_again(x, cafe):
    x.mention(cafe, "@cafe hello")
    x.ingest(cafe)
    SourcePost.objects.update(
        gone_at=NOW,
        gone_reason="author_protected",
        forgotten_at=NOW,
        text="",
        author_username="",
        payload={},
    )
    assert x.ingest(cafe) == 0
    post = SourcePost.objects.get()
    assert (post.text, post.author_username, post.payload, post.gone_at) == ("", "", {}, NOW)


def test_what_is_gone_is_not_written_to_before_it_is_forgotten_either(x, cafe):
    x.mention(cafe, "@cafe hello")
    x.ingest(cafe)
    SourcePost.objects.update(gone_at=NOW, gone_reason="not_found", payload={"old": True})
    x.ingest(cafe)
    assert SourcePost.objects.get().payload == {"old": True}


def protected_page(post_id):
    """A page on which X shows a post of somebody who protects what they say."""
    post = {"id": post_id, "text": "@cafe psst", "author_id": "77"}
    post["created_at"] = "2026-11-01T12:00:00.000Z"
    users = [{"id": "77", "username": "lia", "protected": True}]
    return {"data": [post], "includes": {"users": users}, "meta": {"result_count": 1}}


def test_what_a_protected_author_says_is_not_stored_and_what_was_is_gone(x, cafe):
    before = SourcePostFactory(workspace=cafe, author_id="77")
    x.fault(
        "status", method="GET", path="/2/users/{id}/mentions", status=200, body=protected_page("5")
    )
    assert x.ingest(cafe) == 0
    assert SourcePost.objects.get() == before
    assert why_gone(before) == "author_protected"


def test_a_post_of_a_protected_author_is_no_target(x, cafe):
    x.fault("status", method="GET", path="/2/tweets", status=200, body=protected_page("5"))
    assert find_target(cafe, "5", x=XClient(), actor=WORKER, now=NOW) is None


# --- the look by id ---------------------------------------------------------------------------------


def look(workspace, **more):
    account = XAccount.objects.select_related("workspace").get(workspace=workspace)
    posts = list(SourcePost.objects.filter(workspace=workspace).order_by("pk"))
    now = timezone.now()
    return look_again(account, posts, x=XClient(), actor=WORKER, now=now, **more)


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        (lambda x, post: x.simulator.take_down(post.x_post_id), "not_found"),
        (lambda x, post: x.simulator.make_user("lia", suspended=True), "not_found"),
        (lambda x, post: x.simulator.make_user("lia", protected=True), "not_authorized"),
    ],
    ids=["deleted", "suspended", "protected"],
)
def test_a_look_by_id_finds_what_became_of_a_post(x, cafe, what, reason):
    post, other = x.heard(cafe, by="lia"), x.heard(cafe, by="bob")
    what(x, post)
    assert look(cafe) == 1
    assert (why_gone(post), why_gone(other)) == (reason, "")
    assert (post.looked_at, other.looked_at) != (None, None)


def test_a_look_asks_for_no_more_than_may_be_spent(x, cafe):
    for name in ("lia", "bob", "eve"):
        x.heard(cafe, by=name)
    look(cafe, usd=Decimal("0.010"))
    assert SourcePost.objects.exclude(looked_at=None).count() == 2
    assert len(x.calls("GET", "/2/tweets")) == 1


def test_nobody_looks_while_the_rate_limit_is_spent(x, cafe):
    x.heard(cafe, by="lia")
    RateWindow.objects.create(
        account=cafe.x_account,
        endpoint="GET /2/tweets",
        limit=15,
        remaining=0,
        reset_at=timezone.now() + timedelta(minutes=9),
        seen_at=NOW,
    )
    assert look(cafe) == 0
    assert x.calls("GET", "/2/tweets") == []

"""What X shows no longer is forgotten: nowhere a word of it, and what was published stays proved."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.models import F
from django.utils import timezone

from publishing.errors import Blocked, WrongState
from publishing.models import Approval, Candidate, OptOut, PublishAttempt, QueueItem
from publishing.proposers import Proposal
from publishing.services import (
    approve_item,
    candidates,
    claim_item,
    compare_workspace,
    edit_item,
    forget_what_is_gone,
    forgetting,
    give_up_item,
    hand_off_item,
    look_for_what_is_gone,
    opt_out_author,
    propose_anyway,
    propose_item,
    propose_replies,
    publish_directly,
    resend_item,
    retry_item,
)
from publishing.services.forgetting import LOOKED_AT_A_DAY, posts_that_matter
from publishing.states import State
from tests.books import check_books
from tests.factories import QueueItemFactory, SourcePostFactory, XAccountFactory
from tests.tables import our_tables
from tests.worlds import WORKER, operator
from workspaces.models import AuditEvent
from x_integration.client import XClient
from x_integration.models import SourcePost, Spend
from x_integration.payloads import Page
from x_integration.services import note_what_is_gone

CANARY = "canary7c1f"
DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)
LATER = timedelta(minutes=11)


def where_it_is_said(word=CANARY):
    """The tables of which any column holds the word."""
    with connection.cursor() as cursor:
        found = []
        for table in our_tables():
            said = f"SELECT EXISTS (SELECT FROM {table} t WHERE t::text LIKE %s)"  # noqa: S608 - our own names
            cursor.execute(said, [f"%{word}%"])
            found += [table.strip('"')] if cursor.fetchone()[0] else []
    return found


@pytest.fixture
def cafe(x):
    """A connected workspace."""
    return x.connected("cafe")


@pytest.fixture
def quoting(x, cafe):
    """An approved item that quotes what it answers."""
    post = x.heard(cafe, by="lia")
    SourcePost.objects.update(text=f"{CANARY}?", payload={"text": CANARY}, author_username=CANARY)
    post.refresh_from_db()
    text = f"You said {CANARY}, and we agree."
    item = propose_item(cafe, text=text, source_post=post, actor=WORKER, now=timezone.now())
    approve_item(item.pk, version=1, actor=operator(cafe), now=timezone.now())
    item.refresh_from_db()
    return item


def goes(item, why="not_found"):
    """X has let us know that the item's target is gone."""
    SourcePost.objects.filter(pk=item.source_post_id).update(
        gone_at=timezone.now(), gone_reason=why
    )


def shown(item):
    item.refresh_from_db()
    return item


def audited(workspace, type_):
    rows = AuditEvent.objects.filter(chain=str(workspace.pk), type=type_).order_by("seq")
    return list(rows.values_list("data", flat=True))


# --- everywhere --------------------------------------------------------------------------------------


def test_the_words_are_somewhere_before(quoting):
    tables = {"publishing_approval", "publishing_queueitem", "x_integration_sourcepost"}
    assert tables <= set(where_it_is_said())


def test_an_approved_answer_expires_and_no_word_is_left_after_the_next_sweep(x, cafe, quoting):
    goes(quoting)
    swept = x.sweep(after=MINUTE)
    assert (swept.expired, swept.forgotten) == (1, 1)
    assert where_it_is_said() == []
    assert (shown(quoting).state, quoting.text) == (State.EXPIRED, "")
    assert audited(cafe, "item.expire") == [{"reason": "target_gone"}]
    told = {"reason": "not_found", "posts": [quoting.source_post_id]}
    assert audited(cafe, "post.forget") == [told]
    assert SourcePost.objects.filter(forgotten_at__lt=F("gone_at") + DAY).exists()


def test_what_was_published_is_forgotten_and_stays_proved_by_its_hash(x, cafe, quoting):
    x.publish(quoting)
    kept = Approval.objects.get().content_hash
    goes(quoting)
    x.sweep(after=MINUTE)
    assert where_it_is_said() == []
    approval, attempt = Approval.objects.get(), PublishAttempt.objects.get()
    assert (approval.content_hash, attempt.content_hash) == (kept, kept)
    assert audited(cafe, "item.confirm")[0]["content_hash"] == kept
    target = quoting.source_post.x_post_id
    assert (attempt.target, attempt.snapshot["target"], attempt.author_id) == (
        target,
        target,
        quoting.source_post.author_id,
    )
    assert compare_workspace(cafe, x=XClient()).differences == ()


def test_an_item_that_is_pending_is_expired_and_one_of_another_post_is_not(x, cafe):
    gone, stays = x.pending(cafe, by="lia"), x.pending(cafe, by="bob")
    goes(gone)
    x.sweep()
    assert (shown(gone).state, shown(stays).state) == (State.EXPIRED, State.PENDING)
    assert (gone.text, bool(stays.text)) == ("", True)


def test_a_second_sweep_has_nothing_to_forget(x, cafe, quoting):
    goes(quoting)
    assert [x.sweep().forgotten, x.sweep().forgotten] == [1, 0]
    assert len(audited(cafe, "post.forget")) == 1


def test_an_answer_that_was_written_in_that_moment_is_forgotten_too(x, cafe, quoting):
    goes(quoting)
    x.sweep()
    QueueItem.objects.update(text=f"{CANARY} again")
    assert x.sweep().forgotten == 1
    assert where_it_is_said() == []


def test_who_asked_to_be_left_alone_is_left_alone_without_a_name(x, cafe, quoting):
    opt_out_author(quoting.source_post, actor=WORKER, now=timezone.now())
    goes(quoting, "author_protected")
    x.sweep()
    assert where_it_is_said() == []
    left = OptOut.objects.get()
    assert (left.author_id, left.author_username) == (quoting.source_post.author_id, "")


def test_one_workspace_that_cannot_be_written_keeps_no_other_waiting(x, cafe, quoting, monkeypatch):
    other = SourcePostFactory(text="Hello", gone_at=timezone.now(), gone_reason="not_found")
    goes(quoting)
    QueueItem.objects.update(state=State.REJECTED)
    Approval.objects.update(snapshot=[])  # no object: its text cannot be taken out
    forget_what_is_gone(actor=WORKER, now=timezone.now())
    other.refresh_from_db()
    assert other.forgotten_at is not None


@pytest.mark.django_db(transaction=True)
def test_each_workspace_has_its_own_row_of_what_it_forgot():
    gone = {"gone_at": timezone.now(), "gone_reason": "not_found"}
    posts = [SourcePostFactory(**gone), SourcePostFactory(**gone)]
    assert forget_what_is_gone(actor=WORKER, now=timezone.now()) == 2
    for post in posts:
        told = {"reason": "not_found", "posts": [post.pk]}
        assert audited(post.workspace, "post.forget") == [told]


# --- what is under way -------------------------------------------------------------------------------


def test_what_is_under_way_is_forgotten_when_it_is_settled(x, cafe, quoting):
    claim_item(quoting.pk, actor=WORKER, now=timezone.now())
    goes(quoting)
    assert x.sweep().forgotten == 0
    assert PublishAttempt.objects.get().snapshot["text"]
    assert x.sweep(after=timedelta(minutes=3)).forgotten == 1  # it was stranded, and is a doubt now
    assert where_it_is_said() == []


def test_a_doubt_whose_words_are_forgotten_is_settled_all_the_same(x, cafe, quoting):
    x.fault("lost_answer")
    x.publish(quoting)
    goes(quoting)
    assert x.sweep().forgotten == 1
    assert where_it_is_said() == []
    assert x.sweep(after=LATER).confirmed == 1
    assert (shown(quoting).state, len(x.machine_posts())) == (State.PUBLISHED, 1)
    check_books(x, [cafe])


def test_a_doubt_whose_words_are_forgotten_is_not_settled_by_other_words(x, cafe, quoting):
    x.fault("status", status=500)
    x.publish(quoting)
    x.simulator.say("cafe", "Other words", in_reply_to=quoting.source_post.x_post_id)
    goes(quoting)
    x.sweep()
    assert x.sweep(after=LATER).not_found == 1
    assert shown(quoting).state == State.UNCONFIRMED


def test_a_try_without_a_hash_gets_one_before_its_words_go(x, cafe, quoting):
    x.fault("lost_answer")
    x.publish(quoting)
    PublishAttempt.objects.update(text_hash="")
    goes(quoting)
    x.sweep()
    assert x.sweep(after=LATER).confirmed == 1


def test_what_stands_by_a_forgotten_doubt_is_no_difference(x, cafe, quoting):
    x.fault("lost_answer")
    x.publish(quoting)
    goes(quoting)
    x.sweep()
    assert compare_workspace(cafe, x=XClient()).differences == ()


def test_a_hand_off_whose_words_are_forgotten_is_found(x, cafe, quoting):
    by, now = operator(cafe), timezone.now()
    item = hand_off_item(quoting.pk, version=1, actor=by, now=now)
    target = SourcePost.objects.get().x_post_id
    x.simulator.say("cafe", item.text, in_reply_to=target, source="web")
    goes(quoting)
    assert x.sweep().forgotten == 1
    assert x.sweep(after=LATER).confirmed == 1


# --- nothing is said to what is gone ------------------------------------------------------------------


def test_the_gate_holds_back_an_answer_to_what_is_gone(x, cafe, quoting):
    goes(quoting)
    assert claim_item(quoting.pk, actor=WORKER, now=timezone.now()) is None
    assert shown(quoting).blocked_reason == "target_not_eligible"


def test_no_decision_brings_an_answer_to_what_is_gone_back(x, cafe):
    by: dict[str, Any] = {"version": 1, "actor": operator(cafe), "now": timezone.now()}
    pending, failed = x.pending(cafe, by="lia"), x.pending(cafe, by="bob")
    QueueItem.objects.filter(pk=failed.pk).update(state=State.FAILED)
    goes(pending)
    goes(failed)
    for decide, item in (
        (approve_item, pending),
        (hand_off_item, pending),
        (retry_item, failed),
        (hand_off_item, failed),
    ):
        with pytest.raises(WrongState, match="X shows no longer"):
            decide(item.pk, **by)
    assert (shown(pending).state, shown(failed).state) == (State.PENDING, State.FAILED)


def test_a_doubt_about_what_is_gone_is_given_up_and_not_sent_again(x, cafe, quoting):
    x.fault("status", status=500)
    x.publish(quoting)
    for minutes in (1, 3, 11):
        x.sweep(after=timedelta(minutes=minutes))
    goes(quoting)
    x.sweep()
    by: dict[str, Any] = {
        "version": 1,
        "reason": "it is gone",
        "actor": operator(cafe),
        "now": timezone.now(),
    }
    with pytest.raises(WrongState, match="X shows no longer"):
        resend_item(quoting.pk, **by)
    assert give_up_item(quoting.pk, **by).state == State.FAILED


def test_nothing_is_proposed_or_sent_directly_to_what_is_gone(x, cafe, settings):
    settings.X_ACCESS_TIER = "enterprise"  # which may answer everybody else
    post = x.heard(cafe, by="lia")
    SourcePost.objects.update(gone_at=timezone.now(), gone_reason="not_found")
    post.refresh_from_db()
    assert propose_replies(cafe, actor=WORKER, now=timezone.now()) == []
    with pytest.raises(Blocked, match="target not eligible"):
        propose_item(cafe, text="Hi", source_post=post, actor=WORKER, now=timezone.now())
    with pytest.raises(Blocked, match="target not eligible"):
        publish_directly(
            cafe,
            text="Hello",
            in_reply_to=post.x_post_id,
            actor=operator(cafe),
            x=XClient(),
            clock=timezone.now,
        )


def test_no_person_proposes_an_answer_to_what_is_gone(x, cafe):
    post = x.heard(cafe, by="lia", text="@cafe lovely!")
    candidate = Candidate.objects.create(
        source_post=post,
        workspace=cafe,
        state="skipped",
        reason="no_text",
        score=0,
        parts={},
        found_at=timezone.now(),
        looked_at=timezone.now(),
    )
    SourcePost.objects.update(gone_at=timezone.now(), gone_reason="not_found")
    post.refresh_from_db()
    by: dict[str, Any] = {"actor": operator(cafe), "now": timezone.now()}
    for propose in (
        lambda: propose_item(cafe, text="Thank you!", source_post=post, **by),
        lambda: propose_anyway(Candidate.objects.get(pk=candidate.pk), **by),
    ):
        with pytest.raises(Blocked, match="target not eligible"):
            propose()
    assert QueueItem.objects.count() == 0


def test_what_was_said_to_an_author_is_not_said_again_when_it_is_forgotten(x, cafe, monkeypatch):
    class Parrot:
        name = "parrot"

        def rules(self):
            return ""

        def propose(self, asked):
            yield Proposal("Thank you so much!", "one")
            yield Proposal("How kind of you!", "two")

    monkeypatch.setattr(candidates, "proposers", lambda: [Parrot()])
    first = x.approved(cafe, by="lia")
    x.publish(first)
    goes(first)
    x.sweep()
    assert (shown(first).state, first.text) == (State.PUBLISHED, "")
    QueueItem.objects.update(template="")  # the template's turn came long ago
    assert x.pending(cafe, by="lia").text == "How kind of you!"


def test_an_edit_that_quotes_it_meanwhile_is_expired_and_forgotten(x, cafe, quoting):
    goes(quoting)
    edit_item(quoting.pk, version=1, text=f"So {CANARY}.", actor=operator(cafe), now=timezone.now())
    x.sweep()
    assert (shown(quoting).state, where_it_is_said()) == (State.EXPIRED, [])


# --- signals of publishing ----------------------------------------------------------------------------


def test_x_refuses_a_reply_because_its_target_is_gone(x, cafe, quoting):
    x.simulator.take_down(quoting.source_post.x_post_id)
    x.publish(quoting)
    post = SourcePost.objects.get()
    assert (shown(quoting).last_error, post.gone_reason) == ("target_gone", "refused")
    assert x.sweep().forgotten == 1
    assert where_it_is_said() == []


def test_any_other_refusal_makes_nothing_gone(x, cafe, quoting):
    x.fault("status", status=400, body={"title": "No", "status": 400, "type": "about:x"})
    x.publish(quoting)
    assert (shown(quoting).state, SourcePost.objects.get().gone_at) == (State.FAILED, None)


def test_a_look_at_our_own_timeline_shows_that_a_target_is_gone(x, cafe, quoting):
    x.fault("lost_answer")
    x.publish(quoting)
    x.simulator.take_down(quoting.source_post.x_post_id)
    assert x.sweep(after=LATER).confirmed == 1
    assert SourcePost.objects.get().gone_reason == "not_found"
    x.sweep(after=LATER + MINUTE)
    assert where_it_is_said() == []


def test_the_daily_look_finds_what_was_taken_down_behind_a_live_item(x, cafe, quoting):
    x.simulator.take_down(quoting.source_post.x_post_id)
    tomorrow = timezone.now() + DAY - MINUTE
    assert look_for_what_is_gone(actor=WORKER, clock=lambda: tomorrow) == 1
    assert x.sweep(after=DAY).forgotten == 1
    assert where_it_is_said() == []


def test_the_daily_look_is_one_call_of_a_workspace_that_is_charged_and_audited(x, cafe):
    item = x.pending(cafe)
    now = timezone.now() + DAY
    calls = [look_for_what_is_gone(actor=WORKER, clock=lambda: now) for _ in range(2)]
    assert (calls, len(x.calls("GET", "/2/tweets"))) == ([1, 0], 1)
    assert SourcePost.objects.get(pk=item.source_post_id).looked_at == now
    assert Spend.objects.get(day=now.date()).usd == Spend.objects.exclude(day=now.date()).get().usd
    assert audited(cafe, "posts.look_again") == [{"shown": 1, "spend": "post_read", "usd": "0.005"}]
    check_books(x, [cafe])


def test_the_daily_look_asks_no_more_than_the_budget_pays_for(x, cafe):
    x.pending(cafe)
    type(cafe).objects.update(daily_budget_usd=0)
    now = timezone.now() + DAY
    look_for_what_is_gone(actor=WORKER, clock=lambda: now)
    assert x.calls("GET", "/2/tweets") == []


def test_where_there_is_nothing_to_look_for_no_money_is_kept_for_it(x, cafe, monkeypatch):
    kept: list[object] = []
    monkeypatch.setattr(forgetting, "reserved_for_reading", lambda *_, **__: kept.append(1))
    look_for_what_is_gone(actor=WORKER, clock=timezone.now)
    assert kept == []


@pytest.mark.django_db
def test_live_items_come_first_and_the_day_has_an_end():
    workspace, now = XAccountFactory().workspace, timezone.now()
    of = {"workspace": workspace, "ingested_at": now - DAY, "posted_at": now - DAY}
    SourcePostFactory.create_batch(LOOKED_AT_A_DAY, **of)
    SourcePostFactory(**of | {"posted_at": now - 3 * DAY})
    told = SourcePostFactory(**of, looked_at=now)
    live = QueueItemFactory(workspace=workspace, source_post=SourcePostFactory(**of))
    rejected = QueueItemFactory(
        workspace=workspace, source_post=SourcePostFactory(**of), state=State.REJECTED
    )
    found = posts_that_matter(workspace, now=now)
    assert (len(found), found[0]) == (LOOKED_AT_A_DAY, live.source_post)
    assert told not in found
    assert rejected.source_post not in found


def test_forgetting_a_busy_author_goes_on_with_the_next_sweep(x, cafe, monkeypatch):
    monkeypatch.setattr("publishing.services.forgetting._AT_ONCE", 2)
    SourcePostFactory.create_batch(3, workspace=cafe, author_id="77")
    pages = [Page((), "", protected=frozenset({"77"}))]
    assert note_what_is_gone(pages, now=timezone.now()) == 3
    assert [x.sweep().forgotten for _ in range(3)] == [2, 1, 0]

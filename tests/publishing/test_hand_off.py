"""Hand-offs: a person posts through X's own page; what they may be given, and how it is taken back."""

from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from publishing.errors import AlreadyPosted, Blocked, CouldNotLook, FourEyes
from publishing.models import Approval, PublishAttempt, QueueItem
from publishing.services import (
    edit_item,
    hand_off_item,
    look_for_attempt,
    opt_out_author,
    reject_item,
    settle_attempt,
    take_back_item,
    web_intent,
)
from publishing.states import Outcome, State
from tests.factories import MembershipFactory, QueueItemFactory
from tests.worlds import WORKER, attempts, operator
from workspaces.models import AuditEvent, Counter, User
from x_integration.client import XClient
from x_integration.models import Spend


@pytest.fixture
def item(x):
    """A pending reply."""
    return x.pending(x.connected())


@pytest.fixture
def handed(item):
    """A reply that a person has in hand."""
    return hand_off(item)


def hand_off(item: QueueItem) -> QueueItem:
    item.refresh_from_db()
    now = timezone.now()
    hand_off_item(item.pk, version=item.version, actor=operator(item.workspace), now=now)
    item.refresh_from_db()
    return item


def take_back(item: QueueItem) -> QueueItem:
    who = operator(item.workspace)
    return take_back_item(item.pk, version=item.version, x=XClient(), actor=who, clock=timezone.now)


def press(item: QueueItem, decision: str) -> str:
    """Press a button of the item's page; the page that follows."""
    client = Client()
    client.force_login(User.objects.get(memberships__workspace=item.workspace))
    address = reverse("admin:publishing_queueitem_change", args=[item.pk])
    form = {"decision": decision, f"version-{item.pk}": str(item.version)}
    page = client.post(address, form, follow=True).content.decode()
    item.refresh_from_db()
    return page


def posted_by_hand(x, item):
    target = item.source_post.x_post_id
    return x.simulator.say("cafe", item.text, in_reply_to=target, source="web")["id"]


def timeline(item: QueueItem) -> str:
    return f"/2/users/{item.workspace.x_account.x_user_id}/tweets"


# --- X's page --------------------------------------------------------------------------------------

TEXTS = [
    "Thank you, Lia!",
    "tea & cake = 100% + #joy?",
    "two\nlines\n\nand more",
    "\U0001f468\u200d\U0001f373 ol\xe9 \u65e5\u672c",
    "a/b; c:d @e 'f' \"g\" <h>",
    "%20 is + or not",
]


@pytest.mark.parametrize("text", TEXTS)
def test_the_address_of_xs_page_brings_the_text_as_it_is(text):
    item = QueueItemFactory.build(text=text)
    address = web_intent(item)
    assert "+" not in address
    assert " " not in address
    asked = urlsplit(address)
    assert (asked.path, asked.fragment) == ("/intent/tweet", "")
    assert parse_qs(asked.query, strict_parsing=True) == {
        "in_reply_to": [item.source_post.x_post_id],
        "text": [text],
    }


def test_a_blank_is_written_so_that_every_reader_takes_it_for_one():
    assert web_intent(QueueItemFactory.build(text="a b")).endswith("text=a%20b")


def test_a_post_of_our_own_answers_nobody(settings):
    settings.X_WEB_BASE_URL = "https://x.example"
    item = QueueItemFactory.build(kind="post", source_post=None, text="Open!")
    assert web_intent(item) == "https://x.example/intent/tweet?text=Open%21"


# --- What may be handed off ------------------------------------------------------------------------


def opted_out(item):
    who = operator(item.workspace)
    opt_out_author(item.source_post, actor=who, now=timezone.now())


@pytest.mark.parametrize("state", ["pending", "approved", "failed"])
def test_whoever_wants_no_answer_gets_none_by_hand_either(x, state):
    cafe = x.connected()
    item = x.pending(cafe) if state == "pending" else x.approved(cafe)
    if state == "failed":
        x.fault("status", status=400)
        x.publish(item)
    opted_out(item)
    with pytest.raises(Blocked) as refused:
        hand_off(item)
    assert refused.value.code == "author_opted_out"
    item.refresh_from_db()
    assert item.state == state
    assert not item.attempts.filter(by_hand=True).exists()
    assert not AuditEvent.objects.filter(type="item.hand_off").exists()


def test_the_page_says_why_it_is_not_handed_off(item):
    opted_out(item)
    assert "author opted out" in press(item, "hand_off")
    assert item.state == State.PENDING


def test_somebody_else_s_wish_is_not_theirs(x, item):
    opted_out(x.pending(item.workspace, by="rui"))
    assert hand_off(item).state == State.HANDED_OFF


@pytest.mark.parametrize(
    "outcome", [Outcome.IN_FLIGHT, Outcome.UNKNOWN, Outcome.SUCCEEDED], ids=str
)
def test_what_was_answered_or_may_have_been_is_not_answered_by_hand(x, item, outcome):
    """By another item, which somebody rejected: nothing but its attempt tells of it."""
    first = x.publish(x.approved(item.workspace, by="rui"))
    row = PublishAttempt.objects.filter(item=first)
    columns: dict[str, dict[str, Any]] = {
        Outcome.IN_FLIGHT: {"x_post_id": "", "settled_at": None},
        Outcome.UNKNOWN: {"x_post_id": ""},
    }
    row.update(target=item.source_post.x_post_id, outcome=outcome, **columns.get(outcome, {}))
    with pytest.raises(Blocked) as refused:
        hand_off(item)
    assert refused.value.code == "duplicate"
    item.refresh_from_db()
    assert item.state == State.PENDING


def test_what_is_open_for_the_item_itself_is_a_duplicate_too(x):
    """A state that was set by no service: the attempts are asked, not the state alone."""
    item = x.approved(x.connected())
    x.fault("status", status=500)
    x.publish(item)
    QueueItem.objects.update(state=State.FAILED)
    with pytest.raises(Blocked, match="duplicate"):
        hand_off(item)


def test_what_was_refused_may_be_handed_off(x):
    item = x.approved(x.connected())
    x.fault("status", status=400)
    x.publish(item)
    assert hand_off(item).state == State.HANDED_OFF
    assert attempts(item) == ["refused", "handed_off"]


def test_four_eyes_look_at_a_hand_off(item):
    MembershipFactory(workspace=item.workspace, role="admin")
    QueueItem.objects.update(written_by=operator(item.workspace).user)
    with pytest.raises(FourEyes):
        hand_off(item)


# --- What comes of it ------------------------------------------------------------------------------


def test_what_a_person_posted_is_found_and_counted_apart(x, handed):
    post = posted_by_hand(x, handed)
    x.sweep(after=timedelta(minutes=5))
    handed.refresh_from_db()
    assert (handed.state, handed.x_post_id) == (State.PUBLISHED, post)
    counted = set(Counter.objects.values_list("name", flat=True))
    assert "handed_off_published_total" in counted
    assert "replies_published_total" not in counted
    assert not Spend.objects.exclude(kind="post_read").exists()
    assert Approval.objects.get().used_at


def test_it_is_looked_for_from_five_minutes_to_three_days_after(x, handed):
    begun, due = handed.attempts.get().started_at, []
    while at := handed.attempts.get().next_look_at:
        due.append((at - begun).total_seconds() / 60)
        x.sweep(after=at - timezone.now() + timedelta(seconds=1))
    assert due == [5, 15, 60, 240, 1440, 4320]


def test_what_was_never_found_waits_for_a_person_who_takes_it_back(x, handed):
    while at := handed.attempts.get().next_look_at:
        handed.refresh_from_db()
        assert not handed.needs_person
        x.sweep(after=at - timezone.now() + timedelta(seconds=1))
    handed.refresh_from_db()
    assert (handed.state, handed.needs_person) == (State.HANDED_OFF, True)
    assert not take_back(handed).needs_person


def test_nobody_posted_it_and_it_comes_back_as_a_new_version(x, handed):
    assert take_back(handed).version == 2
    handed.refresh_from_db()
    assert (handed.state, attempts(handed)) == (State.PENDING, ["abandoned"])
    assert not handed.approvals.filter(voided_at=None).exists()
    assert len(x.calls("GET", timeline(handed))) == 1


def test_what_is_found_on_the_way_back_is_published_and_said(x, handed):
    post = posted_by_hand(x, handed)
    with pytest.raises(AlreadyPosted) as said:
        take_back(handed)
    assert str(said.value) == f"#1 stands on X already, as post {post}: it is published."
    handed.refresh_from_db()
    assert (handed.state, handed.x_post_id) == (State.PUBLISHED, post)


def test_what_somebody_else_finds_at_the_same_moment_is_said_too(x, handed, monkeypatch):
    """The sweep is quicker than our own look: that is no reason to say that nobody could look."""
    post = posted_by_hand(x, handed)

    def look(attempt, **given):
        settle_attempt(
            attempt.pk, "confirm", actor=WORKER, now=timezone.now(), x_post_id=post, reconciled=True
        )
        return look_for_attempt(attempt, **given)

    monkeypatch.setattr("publishing.services.hand_off.look_for_attempt", look)
    with pytest.raises(AlreadyPosted, match="as post"):
        take_back(handed)


@pytest.mark.parametrize(
    "trouble", [{"kind": "status", "status": 503}, {"kind": "drop"}, {"kind": "truncate"}]
)
def test_without_a_look_nothing_is_taken_back(x, handed, trouble):
    posted_by_hand(x, handed)
    x.fault(**trouble, method="GET", path=timeline(handed))
    with pytest.raises(CouldNotLook):
        take_back(handed)
    handed.refresh_from_db()
    assert (handed.state, handed.version) == (State.HANDED_OFF, 1)
    assert attempts(handed) == ["handed_off"]


def test_the_page_takes_it_back(handed):
    press(handed, "take_back")
    assert (handed.state, handed.version) == (State.PENDING, 2)


def test_the_page_says_that_it_was_posted(x, handed):
    post = posted_by_hand(x, handed)
    assert f"stands on X already, as post {post}: it is published" in press(handed, "take_back")
    assert handed.state == State.PUBLISHED


def test_the_page_says_that_nobody_could_look(x, handed):
    x.fault("status", method="GET", path=timeline(handed), status=503)
    assert "The timeline could not be read" in press(handed, "take_back")
    assert handed.state == State.HANDED_OFF


# --- An approval that becomes void ----------------------------------------------------------------


VOIDS = {
    "item.edit": lambda x, item: _edit(item),
    "item.confirm_by_hand": lambda x, item: _late(x, item),
    "item.reject": lambda x, item: _reject(item),
    "item.expire": lambda x, item: x.sweep(after=timedelta(hours=25)),
    "item.hand_off": lambda x, item: hand_off(item),
    "item.fail": lambda x, item: (x.fault("status", status=400), x.publish(item)),
}


def _late(x, item):
    """A hand-off that was taken back is found while the item is approved again."""
    approval = item.approvals.get()
    Approval.objects.filter(pk=approval.pk).update(voided_at=timezone.now())
    hand_off(item)
    take_back(item)
    Approval.objects.filter(pk=approval.pk).update(voided_at=None)
    QueueItem.objects.update(state=State.APPROVED)
    posted_by_hand(x, item)
    x.sweep(after=timedelta(hours=2))


def _edit(item):
    who, now = operator(item.workspace), timezone.now()
    edit_item(item.pk, version=1, text="Other words", actor=who, now=now)


def _reject(item):
    who, now = operator(item.workspace), timezone.now()
    reject_item(item.pk, version=1, reason="No", actor=who, now=now)


@pytest.mark.parametrize("type_", VOIDS)
def test_an_approval_becomes_void_beside_an_audit_row_that_says_so(x, type_):
    item = x.approved(x.connected())
    approval = item.approvals.get()
    VOIDS[type_](x, item)
    approval.refresh_from_db()
    row = AuditEvent.objects.get(type=type_, subject=item.subject)
    assert approval.voided_at == row.at

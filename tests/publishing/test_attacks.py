"""What was tried against the promises, and has to stay without effect."""

from datetime import timedelta
from threading import Thread

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from publishing.errors import ItemNotFound
from publishing.models import Approval, PublishAttempt, QueueItem
from publishing.services import (
    approve_item,
    edit_item,
    propose_item,
    propose_replies,
    reconcile,
    settle,
)
from publishing.services.publish import publish_item
from publishing.states import State
from tests.factories import MembershipFactory, SourcePostFactory, WorkspaceFactory, XAccountFactory
from tests.worlds import WORKER, attempts, operator
from workspaces.models import SystemHold
from x_integration.answers import Problem
from x_integration.client import XClient
from x_integration.models import XAccount

LIST = reverse("admin:publishing_queueitem_changelist")


@pytest.mark.parametrize("approve_again", [False, True])
def test_what_was_edited_since_the_sweep_listed_it_does_not_expire(x, approve_again):
    item = x.approved(x.connected())
    late = timezone.now() + timedelta(hours=25)
    listed = list(reconcile._overdue(late))
    who = operator(item.workspace)
    edit_item(item.pk, version=1, text="Better", actor=who, now=late)
    if approve_again:
        approve_item(item.pk, version=2, actor=who, now=late)
    assert [reconcile._expire(each, actor=WORKER, now=late) for each in listed] == [False]
    item.refresh_from_db()
    assert item.state == (State.APPROVED if approve_again else State.PENDING)
    assert Approval.objects.filter(voided_at=None).exists() is approve_again


@pytest.mark.django_db(transaction=True)
def test_a_flood_of_posts_that_want_no_answer_keeps_nobody_else_waiting():
    workspace = XAccountFactory().workspace
    for _ in range(120):
        SourcePostFactory(workspace=workspace, text="please stop")
    SourcePostFactory(workspace=workspace, text="Lovely!")
    assert len(propose_replies(workspace, actor=WORKER, now=timezone.now())) == 1


@pytest.mark.django_db(transaction=True)
def test_a_post_of_last_month_is_not_answered_any_more():
    workspace = XAccountFactory().workspace
    SourcePostFactory(workspace=workspace, posted_at=timezone.now() - timedelta(days=30))
    assert propose_replies(workspace, actor=WORKER, now=timezone.now()) == []


@pytest.mark.django_db(transaction=True)
def test_another_workspaces_post_cannot_be_answered():
    workspace, post = WorkspaceFactory(), SourcePostFactory()
    with pytest.raises(ItemNotFound):
        propose_item(workspace, text="Hi", source_post=post, actor=WORKER, now=timezone.now())


@pytest.mark.parametrize(
    ("status", "state"), [(402, "approved"), (400, "failed"), (500, "unconfirmed")]
)
def test_words_that_no_database_can_hold_do_not_keep_an_answer_from_being_settled(x, status, state):
    item = x.approved(x.connected())
    x.fault(
        "status", status=status, body={"title": "No", "detail": "a\x00b", "type": "about:blank"}
    )
    item = x.publish(item)
    assert item.state == state
    assert SystemHold.objects.exists() is (status == 402)


def test_half_a_character_in_xs_words_is_replaced():
    assert Problem.of(400, {"detail": "\ud800"}, {}, b"").words == "?"


def test_a_look_and_a_slow_confirm_at_once_do_not_block_each_other(x, monkeypatch):
    item = x.approved(x.connected())
    x.fault("lost_answer")
    x.publish(item)
    attempt = PublishAttempt.objects.get()
    close = settle._close_attempt

    def look_meanwhile(*args, **kwargs):
        look.start()
        look.join(timeout=1)  # it waits for the item, which is ours until we commit
        close(*args, **kwargs)

    def look_in_vain():
        settle.note_look(attempt, found_nothing=True, now=timezone.now() + timedelta(days=2))
        connection.close()

    look = Thread(target=look_in_vain)
    monkeypatch.setattr(settle, "_close_attempt", look_meanwhile)
    post = x.machine_posts()[0]["id"]
    settle.settle_attempt(
        attempt.pk, "confirm", actor=WORKER, now=timezone.now(), x_post_id=post, reconciled=True
    )
    look.join(timeout=10)
    item.refresh_from_db()
    assert (item.state, item.needs_person, attempts(item)) == ("published", False, ["succeeded"])


def test_a_grant_that_x_refuses_to_renew_after_a_401_holds_the_account(x):
    item = x.approved(x.connected())
    x.fault("status", status=401, times=50)
    dead = {
        "error": "invalid_request",
        "error_description": "Value passed for the token was invalid.",
    }
    x.fault("status", path="/2/oauth2/token", status=400, body=dead)
    for _ in range(3):
        QueueItem.objects.update(not_before=None)
        x.publish(item)
    assert XAccount.objects.get().held_reason == "x_unauthorized"
    assert len(x.calls("POST", "/2/tweets")) == 1


def test_a_renewal_that_took_long_leaves_the_call_to_the_next_round(x, monkeypatch):
    item = x.approved(x.connected(expires_at=timezone.now()))
    monkeypatch.setattr("revfirst.batch.Patience.__init__.__defaults__", (0,))
    publish_item(item.pk, x=XClient(), actor=WORKER, clock=timezone.now)
    assert x.calls("POST", "/2/tweets") == []
    assert attempts(item) == []
    monkeypatch.undo()
    assert QueueItem.objects.due(timezone.now()).get() == item


def test_a_failed_item_leaves_no_live_approval_behind(x):
    item = x.approved(x.connected())
    x.fault("status", status=400)
    assert x.publish(item).state == State.FAILED
    assert Approval.objects.get().voided_at


@pytest.fixture
def member(db):
    """The browser of somebody who belongs to one workspace."""
    client = Client()
    client.force_login(MembershipFactory(workspace__slug="mine").user)
    return client


def test_the_filter_names_no_workspace_of_others(member):
    WorkspaceFactory(slug="theirs")
    MembershipFactory(
        workspace=WorkspaceFactory(slug="also-mine"), user_id=member.session["_auth_user_id"]
    )
    page = member.get(LIST).content.decode()
    assert "also-mine" in page
    assert "theirs" not in page


@pytest.mark.parametrize(
    "query",
    [
        "text__regex=(",
        "text=%00",
        "created_at__year=99999999",
        "source_post__eligibility__exact=%00",
        "state__exact=%00",
        "source_post__text__icontains=a",
        "approvals__approved_by__password__startswith=p",
    ],
)
def test_a_lookup_that_no_filter_offers_is_refused_and_never_a_failure(member, query):
    assert member.get(f"{LIST}?{query}").status_code in (302, 400)

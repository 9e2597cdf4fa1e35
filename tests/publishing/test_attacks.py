"""What was tried against the promises, and has to stay without effect."""

from datetime import timedelta
from functools import partial
from threading import Thread

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from publishing.errors import ItemNotFound, WrongState
from publishing.models import Approval, PublishAttempt, QueueItem
from publishing.services import (
    approve_item,
    claim_item,
    edit_item,
    look_for_attempt,
    looks,
    propose_item,
    propose_replies,
    retry_item,
    settle,
    sweeping,
)
from publishing.services.publish import publish_item
from publishing.states import State
from tests.concurrency import run_together
from tests.factories import MembershipFactory, SourcePostFactory, WorkspaceFactory, XAccountFactory
from tests.worlds import WORKER, attempts, operator
from workspaces.actors import Actor
from workspaces.models import SystemHold, Workspace
from workspaces.services import set_kill_switch
from x_integration.answers import Problem
from x_integration.client import XClient
from x_integration.models import XAccount

LIST = reverse("admin:publishing_queueitem_changelist")


@pytest.mark.parametrize("approve_again", [False, True])
def test_what_was_edited_since_the_sweep_listed_it_does_not_expire(x, approve_again):
    item = x.approved(x.connected())
    late = timezone.now() + timedelta(hours=25)
    listed = list(sweeping._overdue(late))
    who = operator(item.workspace)
    edit_item(item.pk, version=1, text="Better", actor=who, now=late)
    if approve_again:
        approve_item(item.pk, version=2, actor=who, now=late)
    assert [sweeping._expire(each, actor=WORKER, now=late) for each in listed] == [False]
    item.refresh_from_db()
    assert item.state == (State.APPROVED if approve_again else State.PENDING)
    assert Approval.objects.filter(voided_at=None).exists() is approve_again


def test_what_was_expired_and_approved_anew_since_the_sweep_listed_it_does_not_expire(x):
    """Another sweep was first, and the version is the same."""
    item = x.approved(x.connected())
    QueueItem.objects.update(relevant_until=None)
    late = timezone.now() + timedelta(hours=25)
    (listed,) = sweeping._overdue(late)
    who = operator(item.workspace)
    assert sweeping._expire(item, actor=WORKER, now=late)
    retry_item(item.pk, version=1, actor=who, now=late)
    approve_item(item.pk, version=1, actor=who, now=late)
    assert not sweeping._expire(listed, actor=WORKER, now=late)
    item.refresh_from_db()
    assert item.state == State.APPROVED


@pytest.mark.django_db(transaction=True)
def test_a_flood_of_posts_that_want_no_answer_keeps_nobody_else_waiting():
    workspace = XAccountFactory().workspace
    for _ in range(120):
        SourcePostFactory(workspace=workspace, text="please stop")
    SourcePostFactory(workspace=workspace, text="Lovely!", author_id="78")
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
    assert Problem.of(400, {"detail": "\ud800"}, {}).words == "?"


def test_a_look_and_a_slow_confirm_at_once_do_not_block_each_other(x, monkeypatch):
    item = x.approved(x.connected())
    x.fault("lost_answer")
    x.publish(item)
    attempt = PublishAttempt.objects.get()
    close = settle._close

    def look_meanwhile(*args, **kwargs):
        look.start()
        look.join(timeout=1)  # it waits for the item, which is ours until we commit
        close(*args, **kwargs)

    def look_in_vain():
        looks.note_look(attempt, found_nothing=True, now=timezone.now() + timedelta(days=2))
        connection.close()

    look = Thread(target=look_in_vain)
    monkeypatch.setattr(settle, "_close", look_meanwhile)
    post = x.machine_posts()[0]["id"]
    settle.settle_attempt(
        attempt.pk, "confirm", actor=WORKER, now=timezone.now(), x_post_id=post, reconciled=True
    )
    look.join(timeout=10)
    item.refresh_from_db()
    assert (item.state, item.needs_person, attempts(item)) == ("published", False, ["succeeded"])


def test_a_grant_that_x_refuses_to_renew_after_a_401_is_not_tried_again(x):
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
    assert XAccount.objects.get().connected_reason(timezone.now()) == "reauthorization_required"
    item.refresh_from_db()
    assert (item.state, item.blocked_reason) == ("approved", "account_not_ready")
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


def test_one_workspaces_trouble_does_not_stop_the_sweep_for_the_others(x):
    stuck = x.approved(x.connected("stuck"))
    claim_item(stuck.pk, actor=WORKER, now=timezone.now() - timedelta(minutes=5))
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        cursor.execute(
            "DELETE FROM workspaces_auditchain WHERE name = %s", [str(stuck.workspace_id)]
        )
        cursor.execute("SET session_replication_role = origin")
    doubt = x.approved(x.connected("well"))
    x.fault("lost_answer")
    x.publish(doubt)
    assert x.sweep(after=timedelta(seconds=20)).confirmed == 1
    doubt.refresh_from_db()
    assert doubt.state == State.PUBLISHED


def test_a_claim_that_ran_out_again_and_again_fails_nothing(x, monkeypatch):
    """Our own slowness is no refusal of X's."""
    item = x.approved(x.connected())
    monkeypatch.setattr("publishing.services.publish.SEND_WINDOW_SECONDS", 0)
    for _ in range(7):
        QueueItem.objects.update(not_before=None)
        item = x.publish(item)
    assert (item.state, item.tries, item.last_error) == (State.APPROVED, 0, "claim_ran_out")
    monkeypatch.undo()
    QueueItem.objects.update(not_before=None)
    assert x.publish(item).state == State.PUBLISHED
    assert len(x.machine_posts()) == 1


def test_an_id_that_belongs_to_another_item_is_a_doubt(x):
    workspace = x.connected()
    first = x.publish(x.approved(workspace))
    second = x.approved(workspace, by="rui")
    x.fault("status", status=201, body={"data": {"id": first.x_post_id, "text": "hm"}})
    second = x.publish(second)
    assert (second.state, second.last_error) == (State.UNCONFIRMED, "post_taken")


def test_two_doubts_about_one_post_leave_one_of_them_published(x):
    workspace = x.connected()
    items = [
        propose_item(workspace, text="Good day", actor=operator(workspace), now=timezone.now())
    ]
    items.append(
        propose_item(workspace, text="Good day", actor=operator(workspace), now=timezone.now())
    )
    for item in items:
        approve_item(item.pk, version=1, actor=operator(workspace), now=timezone.now())
    x.fault("lost_answer")
    x.publish(items[0])
    PublishAttempt.objects.update(text_hash="")  # so that the gate lets the same words pass
    x.fault("status", status=500)
    x.publish(items[1])
    both = list(PublishAttempt.objects.select_related("item__workspace"))
    late = timezone.now() + timedelta(seconds=20)
    run_together(
        *[
            partial(look_for_attempt, attempt, x=XClient(), actor=WORKER, now=late)
            for attempt in both
        ]
    )
    states = sorted(QueueItem.objects.values_list("state", flat=True))
    assert states == [State.PUBLISHED, State.UNCONFIRMED]


def test_a_402_that_comes_after_the_sweeps_doubt_still_stops_everybody(x, monkeypatch):
    item = x.approved(x.connected())
    x.fault("status", status=402)
    create = XClient.create_post

    def slow(*args, **kwargs):
        try:
            return create(*args, **kwargs)
        finally:
            x.sweep(after=timedelta(minutes=3))

    monkeypatch.setattr(XClient, "create_post", slow)
    with pytest.raises(WrongState):
        x.publish(item)
    assert SystemHold.objects.filter(kind="no_credits", lifted_at=None).exists()


def test_the_kill_switch_is_named_before_an_account_without_a_token(x):
    item = x.approved(x.connected())
    XAccount.objects.update(expires_at=timezone.now(), refresh_token=None)
    set_kill_switch(True, reason="test", actor=Actor.command(), now=timezone.now(), wait=False)
    assert x.publish(item).blocked_reason == "kill_switch"


def test_an_account_without_a_token_is_named_before_what_ranks_behind_it(x):
    """The thread's cooldown would be over some time; the account's trouble is not."""
    item = x.approved(x.connected())
    XAccount.objects.update(expires_at=timezone.now() - timedelta(hours=1))
    Workspace.objects.update(max_replies_per_hour=0)
    x.fault("status", path="/2/oauth2/token", status=500)
    assert x.publish(item).blocked_reason == "account_not_ready"


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

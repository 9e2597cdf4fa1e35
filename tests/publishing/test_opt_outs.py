"""People who asked to be left alone: by whose word, in which workspace, and what the log keeps of them."""

from datetime import timedelta

import pytest
from django.utils import timezone

from publishing.models import OptOut, QueueItem
from publishing.services import honour_plea, opt_in_author, opt_out_author, propose_replies
from publishing.states import State
from tests.factories import (
    MembershipFactory,
    QueueItemFactory,
    SourcePostFactory,
    XAccountFactory,
)
from tests.worlds import WORKER
from workspaces.actors import Actor
from workspaces.errors import NotAllowed, WorkspaceNotFound
from workspaces.models import AuditEvent
from x_integration.models import SourcePost

pytestmark = pytest.mark.django_db(transaction=True)
NOW = timezone.now()


@pytest.fixture
def post():
    """What somebody said to a connected workspace."""
    return SourcePostFactory(workspace=XAccountFactory().workspace, text="Lovely!")


def person(workspace, role: str) -> Actor:
    return Actor.operator(MembershipFactory(workspace=workspace, role=role).user, door="admin")


def test_nobody_but_an_operator_changes_who_is_left_alone(post):
    member = person(post.workspace, "member")
    stranger = Actor.operator(MembershipFactory(role="owner").user, door="admin")
    for error, actor in ((NotAllowed, member), (WorkspaceNotFound, stranger)):
        with pytest.raises(error):
            opt_out_author(post, actor=actor, now=NOW)
    opt_out_author(post, actor=person(post.workspace, "admin"), now=NOW)
    opt_out = OptOut.objects.get()
    for error, actor in ((NotAllowed, member), (WorkspaceNotFound, stranger)):
        with pytest.raises(error):
            opt_in_author(opt_out, actor=actor, now=NOW)
    assert OptOut.objects.get() == opt_out


def test_each_change_is_one_row_that_names_nobody_on_x(post):
    ana = person(post.workspace, "admin")
    assert opt_out_author(post, actor=ana, now=NOW)
    assert not opt_out_author(post, actor=ana, now=NOW)
    opt_out = OptOut.objects.get()
    assert opt_in_author(opt_out, actor=ana, now=NOW)
    assert not opt_in_author(opt_out, actor=ana, now=NOW)
    rows = AuditEvent.objects.filter(chain=str(post.workspace_id)).order_by("seq")
    assert list(rows.values_list("type", "subject", "data")) == [
        ("author.opt_out", f"author:{opt_out.pk}", {"source_post": post.pk}),
        ("author.opt_in", f"author:{opt_out.pk}", {"source_post": post.pk}),
    ]


def test_who_wants_to_be_left_alone_gets_no_proposal_in_that_workspace(post):
    elsewhere = XAccountFactory().workspace
    SourcePostFactory(workspace=elsewhere, author_id=post.author_id, text="Lovely!")
    opt_out_author(post, actor=WORKER, now=NOW)
    assert propose_replies(post.workspace, actor=WORKER, now=NOW) == []
    assert len(propose_replies(elsewhere, actor=WORKER, now=NOW)) == 1


# --- Who asks in words ----------------------------------------------------------------------------


def plea(post, **fields):
    """The author of the post says stop."""
    given = {"workspace": post.workspace, "author_id": post.author_id, "text": "@cafe stop"}
    return SourcePostFactory(**{**given, "posted_at": NOW, **fields})


def honour(post, *, now=NOW) -> bool:
    return honour_plea(post, actor=WORKER, now=now)


def test_whoever_asks_for_it_is_left_alone_at_once_and_the_log_says_so(post):
    asked = plea(post)
    assert honour(asked)
    assert not honour(asked)
    row = AuditEvent.objects.get(type="author.opt_out")
    assert (row.actor, row.data) == ("worker", {"source_post": asked.pk, "asked": True})
    opt_out = OptOut.objects.get()
    assert (opt_out.author_id, opt_out.noted_by) == (post.author_id, "worker")


@pytest.mark.parametrize(
    "fields",
    [
        {"text": "Lovely!"},
        {"eligibility": SourcePost.Eligibility.NOT_SUMMONED},
        {"eligibility": SourcePost.Eligibility.OWN_THREAD},
    ],
    ids=["other words", "said to somebody else", "said by ourselves"],
)
def test_what_does_not_ask_us_changes_nothing(post, fields):
    assert not honour(plea(post, **fields))
    assert not OptOut.objects.exists()
    assert not AuditEvent.objects.exists()


def test_what_waits_for_a_person_expires_and_what_is_approved_is_left_to_the_gate(post):
    pending = QueueItemFactory(workspace=post.workspace, source_post=post)
    approved = QueueItemFactory(
        workspace=post.workspace, source_post=plea(post, text="Hi"), state=State.APPROVED
    )
    somebody_s = QueueItemFactory(
        workspace=post.workspace,
        source_post=SourcePostFactory(workspace=post.workspace, author_id="78"),
    )
    elsewhere = QueueItemFactory()
    honour(plea(post))
    states = dict(QueueItem.objects.values_list("pk", "state"))
    assert states.pop(pending.pk) == State.EXPIRED
    assert states == {
        approved.pk: State.APPROVED,
        somebody_s.pk: State.PENDING,
        elsewhere.pk: State.PENDING,
    }
    row = AuditEvent.objects.get(type="item.expire")
    assert (row.subject, row.data) == (pending.subject, {"reason": "author_opted_out"})


def taken_back(post, *, at) -> None:
    """A person left the author alone, and then took it back."""
    ana = person(post.workspace, "admin")
    opt_out_author(post, actor=ana, now=at)
    opt_in_author(OptOut.objects.get(), actor=ana, now=at)


def test_a_plea_from_before_somebody_took_it_back_is_not_honoured_anew(post):
    asked = plea(post)
    honour(asked)
    ana, later = person(post.workspace, "admin"), NOW + timedelta(hours=1)
    opt_in_author(OptOut.objects.get(), actor=ana, now=later)
    for each in (asked, plea(post, posted_at=NOW + timedelta(minutes=59))):
        assert not honour(each, now=later)
    assert not OptOut.objects.exists()


def test_a_plea_from_afterwards_is_honoured(post):
    taken_back(post, at=NOW - timedelta(seconds=1))
    assert honour(plea(post))


def test_what_was_taken_back_for_somebody_else_is_not_theirs(post):
    taken_back(plea(post, author_id="78", text="Hi"), at=NOW + timedelta(hours=1))
    assert honour(plea(post))


def test_a_stop_counts_in_the_workspace_that_it_was_said_to(post):
    elsewhere = plea(post, workspace=XAccountFactory().workspace)
    honour(elsewhere)
    assert [opt_out.workspace for opt_out in OptOut.objects.all()] == [elsewhere.workspace]

"""People who asked to be left alone: by whose word, in which workspace, and what the log keeps of them."""

import pytest
from django.utils import timezone

from publishing.models import OptOut
from publishing.services import opt_in_author, opt_out_author, propose_replies
from tests.factories import MembershipFactory, SourcePostFactory, XAccountFactory
from tests.worlds import WORKER
from workspaces.actors import Actor
from workspaces.errors import NotAllowed, WorkspaceNotFound
from workspaces.models import AuditEvent

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
        ("author.opt_out", f"author:{opt_out.pk}", {}),
        ("author.opt_in", f"author:{opt_out.pk}", {}),
    ]


def test_who_wants_to_be_left_alone_gets_no_proposal_in_that_workspace(post):
    elsewhere = XAccountFactory().workspace
    SourcePostFactory(workspace=elsewhere, author_id=post.author_id, text="Lovely!")
    opt_out_author(post, actor=WORKER, now=NOW)
    assert propose_replies(post.workspace, actor=WORKER, now=NOW) == []
    assert len(propose_replies(elsewhere, actor=WORKER, now=NOW)) == 1

"""The database repeats the promises: each constraint is seen to refuse."""

from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from publishing.models import Approval, PublishAttempt, QueueItem
from publishing.states import State
from tests.factories import QueueItemFactory, UserFactory

pytestmark = pytest.mark.django_db
NOW = timezone.now()


def refuses(name):
    """The constraint with that name says no."""
    return pytest.raises(IntegrityError, match=name)


def approval(item, **fields):
    """An approval as the service would freeze it."""
    return Approval.objects.create(
        **{
            "item": item,
            "version": 1,
            "snapshot": {},
            "content_hash": "0" * 64,
            "approved_by": UserFactory(),
            "door": "admin",
            "approved_at": NOW,
            "expires_at": NOW + timedelta(hours=1),
            **fields,
        }
    )


def attempt(item, number=1, **fields):
    """An attempt on the item."""
    frozen = item.approvals.first() or approval(item)
    return PublishAttempt.objects.create(
        **{
            "workspace": item.workspace,
            "item": item,
            "kind": item.kind,
            "number": number,
            "approval": frozen,
            "snapshot": {},
            "content_hash": "0" * 64,
            "started_at": NOW,
            **fields,
        }
    )


def test_a_number_is_given_once_per_workspace():
    item = QueueItemFactory()
    with refuses("item_number_once"), transaction.atomic():
        QueueItemFactory(workspace=item.workspace, number=item.number)


@pytest.mark.parametrize(
    "state", ["pending", "approved", "publishing", "unconfirmed", "handed_off", "published"]
)
def test_a_post_has_one_live_reply(state):
    first = QueueItemFactory(state=state, x_post_id="1" if state == "published" else "")
    with refuses("item_one_live_reply_per_post"), transaction.atomic():
        QueueItemFactory(workspace=first.workspace, source_post=first.source_post)


def test_a_post_on_x_belongs_to_one_item():
    first = QueueItemFactory(state=State.PUBLISHED, x_post_id="7")
    with refuses("item_x_post_id_once"), transaction.atomic():
        QueueItemFactory(workspace=first.workspace, state=State.PUBLISHED, x_post_id="7")


@pytest.mark.parametrize(("state", "post"), [("published", ""), ("pending", "7")])
def test_published_and_a_post_id_go_together(state, post):
    with refuses("item_published_has_post_id"), transaction.atomic():
        QueueItemFactory(state=state, x_post_id=post)


def test_a_reply_answers_a_post():
    with refuses("item_reply_has_source_post"), transaction.atomic():
        QueueItemFactory(source_post=None)


def test_a_state_is_one_of_the_table():
    item = QueueItemFactory()
    with refuses("item_state_known"), transaction.atomic():
        QueueItem.objects.filter(pk=item.pk).update(state="sent")


def test_an_approval_does_not_end_before_it_began():
    with refuses("approval_lives_forward"), transaction.atomic():
        approval(QueueItemFactory(), expires_at=NOW)


@pytest.mark.parametrize("outcome", ["in_flight", "unknown", "succeeded"])
def test_an_item_has_one_open_attempt(outcome):
    item = QueueItemFactory()
    closed = {} if outcome == "in_flight" else {"settled_at": NOW}
    attempt(item, outcome=outcome, x_post_id="7" if outcome == "succeeded" else "", **closed)
    with refuses("attempt_one_open_per_item"), transaction.atomic():
        attempt(item, number=2)


@pytest.mark.parametrize(
    ("outcome", "post"), [("succeeded", ""), ("unknown", "7"), ("refused", "7")]
)
def test_success_and_a_post_id_go_together(outcome, post):
    with refuses("attempt_success_has_post_id"), transaction.atomic():
        attempt(QueueItemFactory(), outcome=outcome, x_post_id=post, settled_at=NOW)


@pytest.mark.parametrize(("outcome", "settled"), [("in_flight", NOW), ("unknown", None)])
def test_an_attempt_is_settled_unless_it_is_in_flight(outcome, settled):
    with refuses("attempt_settled_unless_in_flight"), transaction.atomic():
        attempt(QueueItemFactory(), outcome=outcome, settled_at=settled)


def test_attempts_are_numbered():
    item = QueueItemFactory()
    attempt(item, outcome="refused", settled_at=NOW)
    with refuses("attempt_number_once"), transaction.atomic():
        attempt(item)

"""Claim, call, settle, over real HTTP: one post, and every kind of answer in its place."""

from django.utils import timezone

from publishing.services import publish_item
from publishing.states import State
from tests.worlds import WORKER, attempts, operator
from workspaces.models import AuditEvent, Counter
from x_integration.client import XClient


def test_an_approved_reply_stands_on_x_under_the_post_it_answers(x):
    workspace = x.connected()
    item = x.publish(x.approved(workspace))
    (post,) = x.machine_posts()
    assert item.state == State.PUBLISHED
    assert (post["id"], post["text"]) == (item.x_post_id, item.text)
    assert post["in_reply_to"] == item.source_post.x_post_id


def test_publishing_writes_attempt_audit_and_counter_together(x):
    workspace = x.connected()
    item = x.publish(x.approved(workspace))
    counter = Counter.objects.get(chain=str(workspace.pk), name="replies_published_total")
    confirmed = AuditEvent.objects.get(type="item.confirm")
    assert attempts(item) == ["succeeded"]
    assert counter.value == 1
    assert confirmed.data["x_post_id"] == item.x_post_id


def test_every_step_of_a_publication_is_a_row_of_the_log(x):
    item = x.publish(x.approved(x.connected()))
    rows = AuditEvent.objects.filter(subject=item.subject).order_by("seq")
    assert list(rows.values_list("type", "actor", "door")) == [
        ("item.propose", "worker", "worker"),
        ("item.approve", str(operator(item.workspace)), "admin"),
        ("item.claim", "worker", "worker"),
        ("item.confirm", "worker", "worker"),
    ]
    claim = rows.get(type="item.claim").data
    yes = item.approvals.get()
    assert claim["approved_by"] == f"user:{yes.approved_by_id}"
    assert claim["content_hash"] == rows.get(type="item.approve").data["content_hash"]


def test_a_pending_item_is_never_sent(x):
    item = x.pending(x.connected())
    publish_item(item.pk, x=XClient(), actor=WORKER, clock=timezone.now)
    assert x.calls("POST", "/2/tweets") == []

"""What the first landed version left in the database is taken over, in every state, and goes back again."""

from datetime import timedelta

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from publishing.models import PublishAttempt, QueueItem
from publishing.services import compare_counters
from publishing.states import State
from tests.worlds import operator

BEFORE = [
    ("publishing", "0001_initial"),
    ("x_integration", "0002_renewal_patience"),
    ("workspaces", "0004_alarms"),
]
OUTCOMES = {
    State.PUBLISHING: "in_flight",
    State.UNCONFIRMED: "unknown",
    State.PUBLISHED: "succeeded",
    State.FAILED: "refused",
    State.APPROVED: "not_executed",
}


def migrate(targets):
    executor = MigrationExecutor(connection)
    executor.migrate(targets)
    return executor.loader.project_state(targets).apps


@pytest.fixture
def newest():
    """The schema is as it was, whatever becomes of the test."""
    leaves = MigrationExecutor(connection).loader.graph.leaf_nodes()
    yield leaves
    migrate(leaves)


def fill(old, workspace):
    """An item in each state, with the attempt that brought it there, as the first version wrote it."""
    now, owner = timezone.now(), operator(workspace).user
    assert owner is not None
    item_model = old.get_model("publishing", "QueueItem")
    attempt_model = old.get_model("publishing", "PublishAttempt")
    approval_model = old.get_model("publishing", "Approval")
    for number, state in enumerate(State, start=1):
        post = old.get_model("x_integration", "SourcePost").objects.create(
            workspace_id=workspace.pk,
            x_post_id=str(1_900_000_000_000_000_000 + number),
            author_id=str(number),
            text="Hello",
            conversation_id="77" if number % 2 else "",
            posted_at=now,
            eligibility="summoned",
            eligibility_reason="mentions_us",
            payload={},
            ingested_at=now,
        )
        item = item_model.objects.create(
            workspace_id=workspace.pk,
            number=number,
            kind="reply",
            state=state,
            text=f"Thank you {number}",
            source_post=post,
            origin="template",
            x_post_id="4711" if state == State.PUBLISHED else "",
            created_at=now,
            moved_at=now - timedelta(minutes=10),
        )
        snapshot = {
            "account": workspace.x_account.x_user_id,
            "kind": "reply",
            "text": item.text,
            "target": post.x_post_id,
            "scheduled_for": None,
        }
        approval = approval_model.objects.create(
            item=item,
            version=1,
            snapshot=snapshot,
            content_hash="0" * 64,
            approved_by_id=owner.pk,
            door="admin",
            approved_at=now,
            expires_at=now + timedelta(days=1),
            voided_at=None if state in (State.APPROVED, State.PUBLISHING) else now,
        )
        if outcome := OUTCOMES.get(state):
            attempt_model.objects.create(
                item=item,
                number=1,
                approval=approval,
                snapshot=snapshot,
                content_hash="0" * 64,
                outcome=outcome,
                started_at=now - timedelta(minutes=10),
                settled_at=None if outcome == "in_flight" else now,
                x_post_id=item.x_post_id,
                next_look_at=now if outcome == "unknown" else None,
            )


def test_the_first_version_s_rows_are_taken_over_and_go_back(x, newest):
    workspace = x.connected()
    old = migrate(BEFORE)
    fill(old, workspace)
    migrate(newest)
    workspace.refresh_from_db()
    for attempt in PublishAttempt.objects.select_related("item__source_post"):
        post = attempt.item.source_post
        assert post is not None
        assert attempt.workspace_id == workspace.pk
        assert (attempt.kind, attempt.target) == ("reply", post.x_post_id)
        assert (attempt.thread, attempt.author_id) == (post.thread, post.author_id)
    swept = x.sweep()
    assert (swept.doubted, swept.not_found) == (1, 2)
    assert compare_counters() == []
    migrate(BEFORE)
    assert old.get_model("publishing", "PublishAttempt").objects.count() == len(OUTCOMES)
    migrate(newest)
    assert QueueItem.objects.count() == len(State)

"""Races of separate workers, held up at the moment that decides, and what must come of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.utils import timezone

from publishing.models import Approval, QueueItem
from publishing.services import approve_item, propose_replies
from publishing.services.approvals import freeze
from publishing.states import State
from tests.books import check_books, check_item
from tests.factories import QueueItemFactory, SourcePostFactory
from tests.worlds import WORKER, attempts, operator
from workspaces.actors import Actor
from workspaces.models import AuditEvent, Counter
from workspaces.services import pause_workspace, resume_workspace

if TYPE_CHECKING:
    from tests.mortals import Mortals
    from tests.worlds import World
    from workspaces.models import Workspace

_SURELY, _PERHAPS = 10, 0.5  # seconds


def two_on_one_item(x: World, mortals: Mortals, *, mutant: str = "") -> None:
    """Two workers have asked the gates about one item before either of them claims it."""
    item = x.approved(x.connected())
    first, second = (
        mortals.start("publish_one", item.pk, held_at="claim: gates asked", mutant=mutant)
        for _ in range(2)
    )
    assert mortals.hear(lambda: bool({*first.told, *second.told} & {"held_at"}), seconds=_SURELY)
    first.is_held(seconds=_PERHAPS)  # one of them waits for the other's lock
    second.is_held(seconds=_PERHAPS)
    for worker in (first, second):
        worker.let_go()
    for worker in (first, second):
        worker.wait()
    assert len(x.calls("POST", "/2/tweets")) == 1, "it was sent twice"
    assert [first.raised, second.raised] == ["", ""], "a worker broke on the other's work"
    item.refresh_from_db()
    check_item(x, item)
    assert item.state == State.PUBLISHED
    check_books(x, [item.workspace])


def a_pause_before_the_claim(x: World, mortals: Mortals, *, mutant: str = "") -> None:
    """The workspace is paused when the worker is about to claim; it goes out after the pause."""
    item = x.approved(x.connected())
    workspace, actor = item.workspace, Actor.command()
    worker = mortals.start("publish_one", item.pk, held_at="before the claim", mutant=mutant)
    assert worker.is_held(seconds=_SURELY)
    pause_workspace(workspace, reason="A crisis.", actor=actor, now=timezone.now(), wait=False)
    worker.let_go()
    worker.wait()
    rows = AuditEvent.objects.filter(chain=str(workspace.pk))
    pause = rows.get(type="workspace.pause")
    late = rows.filter(type="item.claim", seq__gt=pause.seq)
    assert not late.exists(), "it was claimed after the pause"
    resume_workspace(workspace, actor=actor, now=timezone.now())
    assert mortals.run("go_on", [item.pk]).raised == ""
    item.refresh_from_db()
    check_item(x, item)
    check_books(x, [workspace])


def two_replies_to_one_thread(x: World, mortals: Mortals, *, mutant: str = "") -> None:
    """Two people speak in one thread, both are to be answered at once: one of the replies waits."""
    workspace = x.connected()
    first = x.mention(workspace, by="lia")
    x.simulator.make_user("rui")
    x.simulator.say("rui", "@cafe me too!", in_reply_to=first["id"])
    x.ingest(workspace)
    items = propose_replies(workspace, actor=WORKER, now=timezone.now())
    assert len(items) == 2
    for item in items:
        approve_item(item.pk, version=1, actor=operator(workspace), now=timezone.now())
    workers = [
        mortals.start("publish_one", item.pk, held_at="before the claim", mutant=mutant)
        for item in items
    ]
    assert all(worker.is_held(seconds=_SURELY) for worker in workers)
    for worker in workers:
        worker.let_go()
    assert [worker.wait().raised for worker in workers] == ["", ""]
    assert len(x.machine_posts()) == 1, "both went"
    stand = QueueItem.objects.order_by("blocked_reason").values_list("state", "blocked_reason")
    assert list(stand) == [(State.PUBLISHED, ""), (State.APPROVED, "thread_cooldown")]
    blocked = Counter.objects.get(chain=str(workspace.pk), name="publish_blocked_total")
    assert (blocked.labels, blocked.value) == ("reason=thread_cooldown", 1)
    check_books(x, [workspace])


def a_stop_while_a_claim_waits(x: World, mortals: Mortals, stop: str, *, mutant: str = "") -> None:
    """A worker has claimed and is about to call when somebody stops everything, and goes on after
    the stop has answered: it sends nothing any more, and the item goes out later."""
    item = x.approved(x.connected())
    worker = mortals.start("publish_one", item.pk, held_at="claim: after COMMIT", mutant=mutant)
    assert worker.is_held(seconds=_SURELY)
    assert mortals.run(stop, mutant=mutant).raised == ""
    worker.let_go()
    assert worker.wait().raised == ""
    assert x.calls("POST", "/2/tweets") == [], "it began after the answer"
    assert attempts(item) == ["not_executed"]
    assert mortals.run("lift_stops").raised == ""
    assert mortals.run("go_on", [item.pk]).raised == ""
    item.refresh_from_db()
    check_item(x, item)
    assert item.state == State.PUBLISHED
    check_books(x, [item.workspace])


def a_text_changed_after_the_yes(x: World, mortals: Mortals, *, mutant: str = "") -> None:
    """Somebody changed the row past the services: what nobody approved does not go out."""
    item = x.approved(x.connected())
    QueueItem.objects.filter(pk=item.pk).update(text="Nobody has seen this.")
    assert mortals.run("publish_one", item.pk, mutant=mutant).raised == ""
    said = {post["text"] for post in x.machine_posts()}
    yes = set(Approval.objects.filter(item=item).values_list("snapshot__text", flat=True))
    assert said <= yes, "nobody approved this"
    item.refresh_from_db()
    assert (item.state, item.blocked_reason) == (State.APPROVED, "approval_void")


def a_doubt_meets_the_sweep(x: World, mortals: Mortals, *, mutant: str = "") -> None:
    """X posts, and its answer is lost; it is asked once, however often a worker comes by."""
    item = x.approved(x.connected())
    x.fault("lost_answer")
    assert mortals.run("publish_one", item.pk, mutant=mutant).raised == ""
    assert mortals.run("go_on", [item.pk], mutant=mutant).raised == ""
    assert len(x.calls("POST", "/2/tweets")) == 1, "it was sent again"
    item.refresh_from_db()
    check_item(x, item)
    check_books(x, [item.workspace])


def approved_replies(x: World, workspace: Workspace, count: int) -> list[QueueItem]:
    """Approved replies to as many people, written straight into the tables: there may be many."""
    now, owner = timezone.now(), operator(workspace).user
    assert owner is not None
    items: list[Any] = []
    for number in range(count):
        said = x.mention(workspace, by=f"guest{number}")
        post = SourcePostFactory(
            workspace=workspace,
            x_post_id=said["id"],
            author_id=str(number + 1),
            conversation_id=said["conversation_id"],
        )
        item = QueueItemFactory(
            workspace=workspace, source_post=post, state=State.APPROVED, text=f"Welcome, {number}!"
        )
        freeze(item, by=owner, door="admin", now=now)
        items.append(item)
    return items

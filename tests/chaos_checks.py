"""What must hold at the end of a random run: none doubled, none lost, no difference."""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

from django.db.models import Q, Sum

from publishing.models import Approval, PublishAttempt, QueueItem
from publishing.services.late import DECIDED_OTHERWISE, LATE_MATCH, PUBLISHED_TWICE
from publishing.states import Outcome, State
from tests.books import DONE_WITH, check_attempts, check_books, posts_of
from workspaces.models import Alarm, AuditEvent
from x_integration.models import PricedCall
from x_integration.prices import POST_READ

if TYPE_CHECKING:
    from datetime import datetime

    from tests.worlds import World
    from workspaces.models import Workspace

_WAITS_FOR_A_PERSON = (State.PENDING, State.HANDED_OFF)
_LATE = ("item.confirm", "item.confirm_by_hand", "item.late_match")
_HOUR, _COOLDOWN = timedelta(hours=1), timedelta(minutes=45)


def check_run(
    x: World, workspaces: list[Workspace], items: list[QueueItem], *, limits: str
) -> dict[str, int]:
    """Check everything; what was found, by name."""
    beside: set[str] = set()
    for item in items:
        item.refresh_from_db()
        beside |= _check_item(x, item)
    check_books(x, workspaces, beside=beside)
    for workspace in workspaces:
        _check_stops(workspace)
        _check_limits(workspace, limits)
    standing = [post for post in x.simulator.posts(source="api") if not post["deleted"]]
    return {
        "items": len(items),
        "posts": len(standing),
        "beside, by a person's decision, and told": len(beside),
    }


def _check_item(x: World, item: QueueItem) -> set[str]:
    """One post or none, as the item says; returns the machine's posts beside it, which were told."""
    posts = {post["id"]: post for post in posts_of(x, item)}
    beside = posts.keys() - {item.x_post_id}
    if item.state == State.PUBLISHED:
        assert item.x_post_id in posts, f"{item}: published, and it does not stand on X"
        assert not beside or _is_told(item), f"{item}: it stands at X twice, and nobody was told"
    elif item.state in DECIDED_OTHERWISE:
        assert not beside or _is_told(item), (
            f"{item}: {item.state}, and nobody was told of its post"
        )
    elif item.needs_person:  # it may have shown up after the last look: a person sees both
        assert len(beside) <= 1 or _is_told(item), f"{item}: it stands at X twice"
    else:
        assert not posts, f"{item}: it stands on X, and the item is {item.state}"
    _check_rest(item)
    _check_yes(item, [post for post in posts.values() if post["source"] == "api"])
    check_attempts(item)
    if item.needs_person and len(beside) == 1:
        return set()  # the doubt is about this one
    return {post_id for post_id in beside if posts[post_id]["source"] == "api"}


def _is_told(item: QueueItem) -> bool:
    """Whether a person had given a try of it up, and the alarm was raised that one shows up late."""
    given_up = item.attempts.filter(outcome=Outcome.ABANDONED)
    late = AuditEvent.objects.filter(
        chain=str(item.workspace_id), subject=item.subject, type__in=_LATE
    )
    alarms = Alarm.objects.filter(kind__in=(PUBLISHED_TWICE, LATE_MATCH), workspace=item.workspace)
    return (given_up.exists() or late.exists()) and alarms.exists()


def _check_rest(item: QueueItem) -> None:
    """Nobody is forgotten: done with, or waiting for a person; what is decided has no yes left."""
    at_rest = item.state in DONE_WITH or item.state in _WAITS_FOR_A_PERSON or item.needs_person
    assert at_rest, f"{item}: nobody cares for it: {item.state} {item.blocked_reason}"
    live = Approval.objects.filter(item=item, used_at=None, voided_at=None)
    assert live.count() == int(item.state == State.HANDED_OFF), f"{item}: an approval is left over"


def _check_yes(item: QueueItem, posts: list[dict[str, object]]) -> None:
    """What the machine sent has a yes of its own, to exactly those words."""
    yes = [approval.snapshot["text"] for approval in item.approvals.all()]
    for post in posts:
        assert post["text"] in yes, f"{item}: nobody approved what stands on X"
        yes.remove(str(post["text"]))


def _check_stops(workspace: Workspace) -> None:
    """Nothing was claimed between a pause and its end: the chain has the order of the commits."""
    paused = False
    for type_ in (
        AuditEvent.objects.filter(chain=str(workspace.pk))
        .order_by("seq")
        .values_list("type", flat=True)
    ):
        if type_ in ("workspace.pause", "workspace.resume"):
            paused = type_ == "workspace.pause"
        assert not (paused and type_ == "item.claim"), "it was claimed after the pause"


def _check_limits(workspace: Workspace, limits: str) -> None:
    """What went at once keeps its distance; what was found late was not sent under a limit's eye."""
    sent = PublishAttempt.objects.filter(
        workspace=workspace, outcome=Outcome.SUCCEEDED, reconciled=False, by_hand=False
    )
    threads: dict[str, list[datetime]] = defaultdict(list)
    for attempt in sent.exclude(thread="").order_by("started_at"):
        threads[attempt.thread].append(attempt.started_at)
    for starts in threads.values():
        _check_distance(starts, _COOLDOWN)
    if limits == "an hour's quota":
        replies = sent.filter(kind="reply").order_by("started_at")
        _check_distance(list(replies.values_list("started_at", flat=True)), _HOUR)
    if workspace.daily_budget_usd is not None:
        looks = Q(kind=POST_READ) & ~Q(subject__startswith="feed:")  # which nothing keeps back
        calls = PricedCall.objects.filter(workspace=workspace).exclude(looks).values("day")
        spent = calls.annotate(total=Sum("usd")).values_list("total", flat=True)
        assert all(usd <= workspace.daily_budget_usd for usd in spent), "over budget"


def _check_distance(starts: list[datetime], least: timedelta) -> None:
    assert all(later - earlier >= least for earlier, later in pairwise(starts)), "too soon"

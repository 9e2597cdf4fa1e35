"""Posts of our own: when one may be planned, what happens to a missed one, and how it gets another time."""

from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from publishing.errors import FourEyes, NoSlot, NotAPlan, NotATime, SlotTaken, WrongState
from publishing.models import PostingPlan, PublishWindow, QueueItem
from publishing.services import (
    approve_item,
    change_plan,
    edit_item,
    plan_of,
    plan_post,
    propose_item,
    reject_item,
    retry_item,
)
from publishing.states import State
from tests.api import queue_path, send
from tests.concurrency import run_together
from tests.factories import (
    MembershipFactory,
    QueueItemFactory,
    SourcePostFactory,
    UserFactory,
    XAccountFactory,
)
from tests.worlds import WORKER, attempts, operator
from workspaces.actors import Actor
from workspaces.errors import NotAllowed, WorkspaceNotFound
from workspaces.models import AuditEvent
from workspaces.services import pause_workspace, resume_workspace

pytestmark = pytest.mark.django_db(transaction=True)
NOW = datetime(2026, 11, 30, 8, tzinfo=UTC)  # a Monday
NINE = NOW + timedelta(hours=1)
MORNING, EVENING = (540, 720), (1020, 1200)


@pytest.fixture
def cafe():
    """A workspace with an owner, an account, and windows on Mondays."""
    workspace = XAccountFactory().workspace
    MembershipFactory(workspace=workspace, role="owner")
    set_plan(workspace, monday=(MORNING, EVENING))
    return workspace


def set_plan(workspace, **changes):
    """Change the plan as the command line would."""
    return change_plan(workspace, changes=changes, actor=Actor.command(), now=NOW)


def plan(workspace, at=NINE, *, text="Open until ten!", **more):
    """Plan a post as the owner."""
    told = {"actor": operator(workspace), "now": NOW, **more}
    return plan_post(workspace, text=text, at=at, **told)


# --- The plan -----------------------------------------------------------------------------------


def test_a_workspace_begins_with_utc_no_windows_and_no_target():
    found = plan_of(XAccountFactory().workspace)
    assert (found.zone_name, found.windows, found.posts_per_day) == ("UTC", (), 0)
    assert found.late == timedelta(hours=1)


def test_a_change_is_audited_with_what_was_and_what_is(cafe):
    assert set_plan(cafe, time_zone="Africa/Maputo", posts_per_day=2, monday=(MORNING,), friday=())
    event = AuditEvent.objects.filter(type="workspace.posting_plan").latest("seq")
    assert event.data == {
        "time_zone": ["UTC", "Africa/Maputo"],
        "posts_per_day": [0, 2],
        "monday": ["09:00–12:00, 17:00–20:00", "09:00–12:00"],
    }
    assert PostingPlan.objects.get().time_zone == "Africa/Maputo"
    assert PublishWindow.objects.count() == 1


def test_what_is_as_it_was_is_no_change(cafe):
    events = AuditEvent.objects.count()
    assert not set_plan(cafe, monday=(MORNING, EVENING), time_zone="UTC")
    assert AuditEvent.objects.count() == events


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"time_zone": "Mars/Olympus"}, "no time zone Mars/Olympus"),
        ({"posts_per_day": 49}, "a whole number from 0 to 48"),
        ({"posts_per_day": True}, "a whole number"),
        ({"late_minutes": 4}, "a whole number from 5 to 1440"),
        ({"monday": ((600, 540),)}, "Monday: 10:00–09:00 does not close after it opens"),
        ({"monday": ((1380, 1500),)}, "on the same day"),
        ({"monday": ((540, 544),)}, "at least 5 minutes"),
        ({"monday": ((540, 720), (660, 780))}, "09:00–12:00 and 11:00–13:00 overlap"),
        ({"someday": ()}, "no such part"),
    ],
)
def test_a_plan_that_cannot_be_is_refused_in_a_sentence(cafe, changes, sentence):
    with pytest.raises(NotAPlan, match=sentence):
        set_plan(cafe, **changes)


def test_nobody_but_an_operator_changes_the_plan(cafe):
    for user, error in (
        (MembershipFactory(workspace=cafe, role="member").user, NotAllowed),
        (UserFactory(), WorkspaceNotFound),
    ):
        with pytest.raises(error):
            change_plan(
                cafe,
                changes={"posts_per_day": 1},
                actor=Actor.operator(user, door="admin"),
                now=NOW,
            )


def test_the_database_takes_no_window_beyond_its_day(cafe):
    for fields in ({"weekday": 7}, {"closes": 1441}, {"opens": 720}):
        with pytest.raises(IntegrityError), transaction.atomic():
            PublishWindow.objects.filter(opens=540).update(**fields)
    with pytest.raises(IntegrityError), transaction.atomic():
        PostingPlan.objects.update(late_minutes=4)


# --- When it may be -----------------------------------------------------------------------------


def test_a_planned_post_waits_for_approval_and_is_relevant_for_an_hour_or_until_its_window_closes(
    cafe,
):
    item = plan(cafe)
    assert (item.kind, item.state, item.scheduled_for) == ("post", State.PENDING, NINE)
    assert item.relevant_until == NINE + timedelta(hours=1)
    late = plan(cafe, NINE + timedelta(hours=2, minutes=30), text="Last orders at ten.")
    assert late.relevant_until == NINE + timedelta(hours=3)


def test_every_door_has_the_same_rules(cafe):
    item = propose_item(cafe, text="Open!", scheduled_for=NINE, actor=WORKER, now=NOW)
    assert item.relevant_until == NINE + timedelta(hours=1)
    with pytest.raises(NotATime):
        propose_item(cafe, text="No!", scheduled_for=NOW, actor=WORKER, now=NOW)


def test_the_api_has_them_too(cafe, owner):
    monday = datetime(2031, 1, 6, 9, 30, tzinfo=UTC)
    status, code, told = send(
        owner, "post", queue_path(cafe), text="Open!", scheduled_for=monday + timedelta(hours=4)
    )
    assert (status, code) == (422, "not_a_time")
    assert "The next ones: Mon 06 Jan 17:00–20:00" in told["detail"]
    at = monday.isoformat()
    status, _, told = send(owner, "post", queue_path(cafe), text="Open!", scheduled_for=at)
    assert (status, told["scheduled_for"]) == (201, "2031-01-06T09:30:00Z")
    again = send(
        owner, "post", queue_path(cafe), text="Come in, the door is open.", scheduled_for=at
    )
    assert again[:2] == (409, "slot_taken")


def test_the_api_moves_a_post_and_no_reply(cafe, owner):
    item, reply = plan(cafe), QueueItemFactory(workspace=cafe, number=77)
    later = {"version": 1, "text": "Open!", "scheduled_for": "2031-01-06T09:30:00Z"}
    status, _, told = send(owner, "patch", queue_path(cafe, item.number), **later)
    assert (status, told["version"]) == (200, 2)
    assert told["scheduled_for"] == later["scheduled_for"]
    assert send(owner, "patch", queue_path(cafe, reply.number), **later)[:2] == (422, "not_a_time")


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59Z", "now"])
def test_a_time_beyond_all_calendars_is_refused(cafe, owner, at):
    item = plan(cafe)
    moved = {"version": 1, "text": "Open!", "scheduled_for": at}
    assert send(owner, "patch", queue_path(cafe, item.number), **moved)[0] in (400, 422)
    assert send(owner, "post", queue_path(cafe), text="Hi", scheduled_for=at)[0] in (400, 422)


@pytest.mark.parametrize(
    ("at", "sentence"),
    [
        (NOW, "over"),
        (NOW - timedelta(days=1), "over"),
        (NOW + timedelta(minutes=59), r"none of the publish windows.*Mon 30 Nov 09:00–12:00"),
        (
            NINE + timedelta(hours=3),
            r"The next ones: Mon 30 Nov 17:00–20:00, Mon 07 Dec 09:00–12:00",
        ),
        (NOW + timedelta(days=1), "The next ones: Mon 07 Dec"),
        (NOW + timedelta(days=3654), "ten years"),
    ],
)
def test_a_time_that_will_not_do_is_refused_with_what_would(cafe, at, sentence):
    with pytest.raises(NotATime, match=sentence):
        plan(cafe, at)
    assert not QueueItem.objects.exists()


def test_without_windows_any_time_in_the_future_will_do(cafe):
    set_plan(cafe, monday=())
    assert plan(cafe, NOW + timedelta(minutes=1)).scheduled_for


@pytest.mark.parametrize("minutes", [-29, 0, 29])
def test_two_posts_lie_half_an_hour_apart(cafe, minutes):
    first = plan(cafe, NINE + timedelta(hours=1))
    with pytest.raises(SlotTaken, match=f"{first} has its place at Mon 30 Nov 2026 10:00 UTC"):
        plan(cafe, NINE + timedelta(hours=1, minutes=minutes), text="Another one.")
    plan(cafe, NINE + timedelta(minutes=30), text="Half an hour before.")


def test_what_was_rejected_leaves_its_slot(cafe):
    first = plan(cafe)
    reject_item(first.pk, version=1, reason="no", actor=operator(cafe), now=NOW)
    assert plan(cafe, text="Better words.").scheduled_for == NINE


def test_what_went_out_without_a_time_keeps_the_next_post_at_its_distance(cafe):
    first = propose_item(cafe, text="Hello!", actor=WORKER, now=NINE + timedelta(minutes=20))
    second = plan(cafe)  # what waits without a time keeps nobody away
    QueueItem.objects.filter(pk=second.pk).update(state=State.REJECTED)
    QueueItem.objects.filter(pk=first.pk).update(state=State.PUBLISHED, x_post_id="1")
    with pytest.raises(SlotTaken, match=f"{first} has its place"):
        plan(cafe, text="Fresh bread is out.")


def test_two_who_take_one_slot_at_the_same_moment_leave_one_post(cafe):
    both = [partial(plan, cafe, text=text) for text in ("Good morning!", "Fresh bread is out.")]
    assert run_together(*both) == ["SlotTaken", "ok"]


def test_two_who_take_the_next_slot_at_the_same_moment_get_one_each(cafe):
    both = [
        partial(plan, cafe, None, text=text) for text in ("Good morning!", "Fresh bread is out.")
    ]
    assert run_together(*both) == ["ok", "ok"]
    times = set(QueueItem.objects.values_list("scheduled_for", flat=True))
    assert times == {NINE, NINE + timedelta(hours=8)}


def test_without_windows_there_is_no_next_slot(cafe):
    set_plan(cafe, monday=())
    with pytest.raises(NoSlot, match="no publish windows: choose a day and a time"):
        plan(cafe, None)


def test_a_stranger_learns_nothing_of_the_plan(cafe):
    with pytest.raises(WorkspaceNotFound):
        plan(cafe, None, actor=Actor.operator(UserFactory(), door="admin"))


# --- Another time -------------------------------------------------------------------------------


def test_another_time_is_another_version_and_asks_for_a_new_approval(cafe):
    item = plan(cafe, actor=WORKER)
    approve_item(item.pk, version=1, actor=operator(cafe), now=NOW)
    later = NINE + timedelta(hours=1)
    edited = edit_item(
        item.pk, version=1, text=item.text, scheduled_for=later, actor=operator(cafe), now=NOW
    )
    assert (edited.state, edited.version, edited.scheduled_for) == (State.PENDING, 2, later)
    assert edited.relevant_until == later + timedelta(hours=1)
    assert edited.approvals.get().voided_at == NOW
    assert AuditEvent.objects.get(type="item.edit").data["scheduled_for"] == later.isoformat()


def test_a_post_may_move_within_its_own_half_hour(cafe):
    item = plan(cafe)
    near = NINE + timedelta(minutes=10)
    edit_item(item.pk, version=1, text=item.text, scheduled_for=near, actor=operator(cafe), now=NOW)


def test_whoever_wrote_it_does_not_approve_it_because_somebody_moved_it(cafe):
    item = plan(cafe)
    bruno = Actor.operator(MembershipFactory(workspace=cafe).user, door="admin")
    later = NINE + timedelta(hours=1)
    edit_item(item.pk, version=1, text=item.text, scheduled_for=later, actor=bruno, now=NOW)
    with pytest.raises(FourEyes):
        approve_item(item.pk, version=2, actor=operator(cafe), now=NOW)
    approve_item(item.pk, version=2, actor=bruno, now=NOW)


def test_whoever_changes_the_words_too_is_their_writer(cafe):
    item = plan(cafe)
    bruno = MembershipFactory(workspace=cafe).user
    edited = edit_item(
        item.pk,
        version=1,
        text="Open until eleven!",
        scheduled_for=NINE + timedelta(hours=1),
        actor=Actor.operator(bruno, door="admin"),
        now=NOW,
    )
    assert edited.written_by == bruno


def test_an_edit_of_the_text_leaves_the_time_as_it_is(cafe):
    item = plan(cafe)
    edited = edit_item(item.pk, version=1, text="Open!", actor=operator(cafe), now=NOW)
    assert (edited.scheduled_for, edited.relevant_until) == (NINE, item.relevant_until)


def test_a_missed_post_comes_back_with_another_time_alone(cafe):
    item, actor = plan(cafe), operator(cafe)
    QueueItem.objects.update(state=State.EXPIRED)
    after = NINE + timedelta(hours=1)
    with pytest.raises(WrongState, match="too late"):
        retry_item(item.pk, version=1, actor=actor, now=after)
    with pytest.raises(NotATime):
        retry_item(item.pk, version=1, actor=actor, now=after, scheduled_for=after)
    evening = NINE + timedelta(hours=9)
    again = retry_item(item.pk, version=1, actor=actor, now=after, scheduled_for=evening)
    assert (again.state, again.version, again.scheduled_for) == (State.PENDING, 2, evening)


def test_what_failed_does_not_come_back_beside_what_took_its_place(cafe):
    failed, who = plan(cafe), operator(cafe)
    QueueItem.objects.filter(pk=failed.pk).update(state=State.FAILED)
    taken = plan(cafe, NINE + timedelta(minutes=10), text="Something else")
    with pytest.raises(SlotTaken, match=str(taken)):
        retry_item(failed.pk, version=1, actor=who, now=NOW)
    QueueItem.objects.filter(pk=taken.pk).update(state=State.REJECTED)
    assert retry_item(failed.pk, version=1, actor=who, now=NOW).state == State.PENDING


def test_a_reply_is_not_planned_for_a_time(cafe):
    item = QueueItemFactory(workspace=cafe, source_post=SourcePostFactory(workspace=cafe))
    with pytest.raises(NotATime, match="Only a post of our own"):
        edit_item(item.pk, version=1, text="Hi", scheduled_for=NINE, actor=operator(cafe), now=NOW)


# --- Missed is missed ---------------------------------------------------------------------------


def _approved(workspace, *, ago: timedelta) -> QueueItem:
    """A post that was planned for `ago`, and approved in time."""
    at, before = timezone.now() - ago, timezone.now() - ago - timedelta(minutes=30)
    who = operator(workspace)
    item = plan_post(workspace, text="Open until ten!", at=at, actor=who, now=before)
    approve_item(item.pk, version=1, actor=who, now=before)
    return item


def test_a_post_that_was_kept_back_until_its_time_was_over_is_never_sent(x):
    workspace = x.connected()
    who = operator(workspace)
    pause_workspace(workspace, reason="tea", wait=False, actor=who, now=timezone.now())
    item = _approved(workspace, ago=timedelta(minutes=61))
    assert x.publish(item).blocked_reason == "workspace_paused"
    resume_workspace(workspace, actor=who, now=timezone.now())
    QueueItem.objects.update(not_before=None)
    assert x.publish(item).blocked_reason == "too_late"
    assert x.sweep().expired == 1
    item.refresh_from_db()
    assert (item.state, attempts(item), x.machine_posts()) == (State.EXPIRED, [], [])
    assert AuditEvent.objects.get(type="item.expire").data == {"reason": "too_late"}


def test_a_post_that_is_late_by_less_goes_out(x):
    item = _approved(x.connected(), ago=timedelta(minutes=5))
    assert x.publish(item).state == State.PUBLISHED
    assert len(x.machine_posts()) == 1


def test_a_post_that_nobody_approved_in_time_expires(x):
    workspace = x.connected()
    at = timezone.now() + timedelta(minutes=1)
    plan_post(workspace, text="Open!", at=at, actor=operator(workspace), now=timezone.now())
    assert x.sweep(after=timedelta(minutes=60)).expired == 0
    assert x.sweep(after=timedelta(minutes=62)).expired == 1

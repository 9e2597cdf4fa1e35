"""What stops publishing: who may, with which reason, how long the answer takes, and what is kept."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from threading import Event, Thread
from time import monotonic

import pytest
from django.contrib.auth.models import Permission
from django.db import IntegrityError, connection, transaction

from revfirst.wait import wait_out, wait_until
from tests.concurrency import run_together
from tests.factories import MembershipFactory, UserFactory, WorkspaceFactory
from workspaces import audit, services
from workspaces.actors import Actor
from workspaces.errors import (
    Busy,
    NotAllowed,
    NotAudited,
    NotStopped,
    ReasonNeeded,
    WorkspaceNotFound,
)
from workspaces.models import Alarm, AuditChain, AuditEvent, SystemHold, SystemSwitch, Workspace
from workspaces.services import switches

pytestmark = pytest.mark.django_db(transaction=True)
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
LATER = NOON + timedelta(hours=1)
HOST = Actor.command()

BAD_REASONS = ["", "   ", "\n", "x" * 201]


def system_operator() -> Actor:
    """Somebody who may stop everybody."""
    user = UserFactory()
    user.user_permissions.add(Permission.objects.get(codename="system_operator"))
    return Actor.operator(user, door="admin")


def person(role: str, workspace=None) -> Actor:
    """Somebody with a role, or `stranger`."""
    if role == "stranger":
        return Actor.operator(UserFactory(), door="admin")
    workspace = workspace or WorkspaceFactory()
    user = MembershipFactory(workspace=workspace, role=role).user
    return Actor.operator(user, door="admin")


def turn(on: bool, actor: Actor = HOST, *, reason: str = "a fire", wait: bool = False) -> None:
    """Turn the kill switch."""
    services.set_kill_switch(on, reason=reason, actor=actor, now=NOON, wait=wait)


def audited() -> list[str]:
    """The types of what was recorded, in order."""
    return list(AuditEvent.objects.order_by("id").values_list("type", flat=True))


# --- The kill switch ----------------------------------------------------------------------------


def test_nothing_is_stopped_before_anybody_has_turned_the_switch():
    assert services.kill_switch() is None


def test_the_switch_tells_since_when_by_whom_and_why():
    actor = system_operator()
    turn(True, actor)
    switch = services.kill_switch()
    assert switch is not None
    assert (switch.reason, switch.changed_by, switch.changed_at) == ("a fire", str(actor), NOON)
    assert audited() == ["kill_switch.on"]


def test_turned_off_it_stops_nothing_and_says_who_did_it():
    turn(True)
    turn(False, reason="put out")
    assert services.kill_switch() is None
    assert SystemSwitch.objects.get().reason == "put out"
    assert audited() == ["kill_switch.on", "kill_switch.off"]


def test_a_second_press_keeps_who_stopped_it_when_and_why_and_is_audited_beside_it():
    first, second = system_operator(), person("stranger")
    assert second.user
    second.user.user_permissions.add(Permission.objects.get(codename="system_operator"))
    later = NOON + timedelta(hours=1)
    assert services.set_kill_switch(True, reason="a fire", actor=first, now=NOON, wait=False)
    again = Actor.operator(type(second.user).objects.get(pk=second.user.pk), door="admin")
    assert not services.set_kill_switch(True, reason="smoke", actor=again, now=later, wait=False)
    switch = services.kill_switch()
    assert switch is not None
    assert (switch.reason, switch.changed_by, switch.changed_at) == ("a fire", str(first), NOON)
    assert audited() == ["kill_switch.on", "kill_switch.on_again"]
    row = AuditEvent.objects.get(type="kill_switch.on_again")
    assert (row.actor, row.at) == (str(again), later)


def test_a_second_press_too_answers_only_when_nothing_can_begin(monkeypatch):
    """The first one may have been committed a moment ago: its window is not over."""
    waits: list[float] = []
    monkeypatch.setattr(switches, "wait_out", waits.append)
    turn(True, wait=True)
    turn(True, wait=True)
    assert waits == [2.25, 2.25]


def test_two_presses_at_one_moment_are_one_turn_and_both_answer():
    presses = [partial(turn, True, reason=reason) for reason in ("a fire", "smoke")]
    assert run_together(*presses) == ["ok", "ok"]
    assert sorted(audited()) == ["kill_switch.on", "kill_switch.on_again"]
    first = AuditEvent.objects.get(type="kill_switch.on")
    assert first.seq == 1


def test_a_turn_after_it_was_off_is_a_turn_again():
    turn(True)
    turn(False, reason="put out")
    turn(True, reason="another fire")
    assert SystemSwitch.objects.get().reason == "another fire"
    assert audited() == ["kill_switch.on", "kill_switch.off", "kill_switch.on"]


@pytest.mark.parametrize("role", ["owner", "admin", "member", "stranger"])
@pytest.mark.parametrize("on", [True, False])
def test_no_role_in_a_workspace_turns_what_stops_everybody(role, on):
    with pytest.raises(NotAllowed):
        turn(on, person(role))
    assert not SystemSwitch.objects.exists()
    assert audited() == []


def test_an_inactive_system_operator_turns_nothing():
    actor = system_operator()
    assert actor.user
    actor.user.is_active = False
    actor.user.save(update_fields=["is_active"])
    with pytest.raises(NotAllowed):
        turn(True, actor)


@pytest.mark.parametrize("reason", BAD_REASONS)
@pytest.mark.parametrize("on", [True, False])
def test_the_switch_asks_for_a_reason_that_fits(reason, on):
    with pytest.raises(ReasonNeeded, match="at most 200 characters"):
        turn(on, reason=reason)
    assert not SystemSwitch.objects.exists()


def test_a_reason_of_two_hundred_characters_fits():
    turn(True, reason="x" * 200)
    assert services.kill_switch() is not None


def test_it_answers_after_the_window_of_a_claim_and_its_row_stands_from_the_beginning():
    def act() -> None:
        turn(True, wait=True)
        connection.close()

    begun = monotonic()
    switching = Thread(target=act)
    switching.start()
    assert wait_until(lambda: services.kill_switch() is not None, seconds=5, every=0.01)
    committed = monotonic()
    switching.join()
    assert monotonic() - committed > services.SEND_WINDOW_SECONDS
    assert monotonic() - begun < services.SEND_WINDOW_SECONDS + 5


def test_turning_it_off_keeps_nobody_waiting():
    turn(True)
    begun = monotonic()
    turn(False, wait=True)
    assert monotonic() - begun < 1


def _damage(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        cursor.execute(statement)
        cursor.execute("SET session_replication_role = origin")


def test_a_damaged_audit_log_does_not_keep_the_switch_off():
    turn(True)
    turn(False)
    _damage("DELETE FROM workspaces_auditchain")
    with pytest.raises(NotAudited, match="It IS stopped"):
        turn(True)
    assert services.kill_switch() is not None


def test_a_damaged_audit_log_does_not_keep_a_workspace_publishing():
    workspace = WorkspaceFactory()
    services.contain_workspace(workspace, reason="failures", actor=HOST, now=NOON)
    _damage("DELETE FROM workspaces_auditchain")
    with pytest.raises(NotAudited):
        pause(workspace)
    workspace.refresh_from_db()
    assert workspace.paused_at == NOON


def test_an_audit_log_that_somebody_holds_does_not_keep_the_switch_off(monkeypatch):
    monkeypatch.setattr(switches, "_LOCK_SECONDS", 0.2)
    turn(True)
    turn(False)
    held, enough = Event(), Event()

    def hold_the_head() -> None:
        with transaction.atomic():
            AuditChain.objects.select_for_update().get(name=AuditChain.SYSTEM)
            held.set()
            enough.wait(20)
        connection.close()

    holder = Thread(target=hold_the_head)
    holder.start()
    try:
        assert held.wait(10)
        with pytest.raises(NotAudited):
            turn(True)
        assert services.kill_switch() is not None
    finally:
        enough.set()
        holder.join()


def test_a_stop_that_cannot_be_had_says_that_it_is_not_stopped(monkeypatch):
    monkeypatch.setattr(switches, "_LOCK_SECONDS", 0.2)
    workspace = WorkspaceFactory()
    held, enough = Event(), Event()

    def hold_the_row() -> None:
        with transaction.atomic():
            Workspace.objects.select_for_update().get(pk=workspace.pk)
            held.set()
            enough.wait(20)
        connection.close()

    holder = Thread(target=hold_the_row)
    holder.start()
    try:
        assert held.wait(10)
        with pytest.raises(NotStopped, match="is NOT stopped"):
            pause(workspace)
    finally:
        enough.set()
        holder.join()


def test_letting_go_again_is_audited_or_not_done():
    turn(True)
    _damage("DELETE FROM workspaces_auditchain")
    with pytest.raises(IntegrityError):
        turn(False)
    assert services.kill_switch() is not None


@pytest.mark.parametrize("reason", ["manuten\udce7\udce3o", "a\x00b", "  fire  "])
def test_a_reason_in_another_encoding_is_kept_as_well_as_it_can_be(reason):
    turn(True, reason=reason)
    switch = services.kill_switch()
    assert switch is not None
    assert switch.reason in {"manuten??o", "ab", "fire"}


# --- Pause, containment -------------------------------------------------------------------------


def pause(workspace, actor: Actor = HOST, **more) -> bool:
    """Pause without waiting."""
    told = {"reason": "a holiday", "now": NOON, "wait": False, **more}
    return services.pause_workspace(workspace, actor=actor, **told)


def stop(move: str, workspace, actor: Actor = HOST) -> bool:
    """Any of the four moves of a workspace."""
    if move == "pause":
        return pause(workspace, actor)
    if move == "contain":
        return services.contain_workspace(workspace, reason="three failures", actor=actor, now=NOON)
    undo = {"resume": services.resume_workspace, "lift_containment": services.lift_containment}
    return undo[move](workspace, actor=actor, now=NOON)


@pytest.fixture(params=["pause", "resume", "contain", "lift_containment"])
def move(request) -> str:
    """Each move in turn."""
    return str(request.param)


@pytest.fixture
def workspace(request):
    """A workspace where the move would change something."""
    chosen = request.getfixturevalue("move") if "move" in request.fixturenames else ""
    fields = {
        "resume": {"paused_at": NOON, "paused_reason": "a holiday"},
        "lift_containment": {"contained_at": NOON, "contained_reason": "three failures"},
    }
    return WorkspaceFactory(**fields.get(chosen, {}))


@pytest.mark.parametrize("role", ["owner", "admin"])
def test_an_operator_stops_and_starts_the_own_workspace(move, workspace, role):
    assert stop(move, workspace, person(role, workspace))
    assert audited() == [f"workspace.{move}"]


def test_a_member_does_not(move, workspace):
    with pytest.raises(NotAllowed):
        stop(move, workspace, person("member", workspace))
    assert audited() == []


def test_to_an_operator_of_another_workspace_it_is_missing(move, workspace):
    with pytest.raises(WorkspaceNotFound):
        stop(move, workspace, person("owner"))
    assert audited() == []


def test_a_second_time_changes_nothing_and_is_not_audited_again(move, workspace):
    assert [stop(move, workspace) for _ in range(3)] == [True, False, False]
    assert audited() == [f"workspace.{move}"]


def test_of_many_at_once_one_changes_it(move, workspace):
    changed: list[bool] = []
    acts = [lambda: changed.append(stop(move, workspace))] * 4
    assert run_together(*acts) == ["ok"] * 4
    assert sorted(changed) == [False, False, False, True]
    assert audited() == [f"workspace.{move}"]


def test_a_pause_keeps_since_when_and_why_and_a_second_one_does_not_move_it(workspace):
    pause(workspace)
    pause(workspace, reason="another", now=LATER)
    workspace.refresh_from_db()
    assert (workspace.paused_at, workspace.paused_reason) == (NOON, "a holiday")


def test_a_pause_keeps_by_whom_until_it_is_over(workspace):
    actor = person("owner", workspace)
    pause(workspace, actor)
    workspace.refresh_from_db()
    assert workspace.paused_by == str(actor)
    services.resume_workspace(workspace, actor=HOST, now=LATER)
    workspace.refresh_from_db()
    assert workspace.paused_by == ""


def test_a_containment_raises_an_alarm_that_is_over_when_it_is_lifted(workspace):
    services.contain_workspace(workspace, reason="x" * 300, actor=Actor.worker(), now=NOON)
    assert Alarm.objects.get().over_at is None
    services.lift_containment(workspace, reason="mended", actor=HOST, now=LATER)
    assert Alarm.objects.get().over_at == LATER


def test_lifting_a_containment_keeps_when_and_the_log_keeps_why(workspace, caplog):
    services.contain_workspace(workspace, reason="failures", actor=Actor.worker(), now=NOON)
    with caplog.at_level("INFO"):
        services.lift_containment(workspace, reason="mended", actor=HOST, now=LATER)
    workspace.refresh_from_db()
    assert (workspace.containment_lifted_at, workspace.contained_reason) == (LATER, "")
    (line,) = [line for line in caplog.records if line.msg == "containment_lifted"]
    assert vars(line).items() >= {"by": "command", "reason": "mended"}.items()


@pytest.mark.parametrize("reason", BAD_REASONS)
def test_lifting_a_containment_with_a_reason_asks_for_one_that_fits(workspace, reason):
    services.contain_workspace(workspace, reason="failures", actor=Actor.worker(), now=NOON)
    with pytest.raises(ReasonNeeded):
        services.lift_containment(workspace, reason=reason, actor=HOST, now=LATER)
    workspace.refresh_from_db()
    assert workspace.contained_at == NOON


@pytest.mark.parametrize("door", ["admin", "telegram", "api"])
def test_every_door_can_stop_without_waiting(workspace, door):
    owner, user = person("owner", workspace).user, system_operator().user
    assert owner
    assert user
    begun = monotonic()
    assert pause(workspace, Actor.operator(owner, door=door), wait=False)
    turn(True, Actor.operator(user, door=door), wait=False)
    assert monotonic() - begun < switches.SEND_WINDOW_SECONDS
    assert set(AuditEvent.objects.values_list("door", flat=True)) == {door}


# --- A claim that goes on meanwhile -------------------------------------------------------------


@contextmanager
def a_claim_in_progress(workspace, *, for_seconds: float) -> Iterator[list[float]]:
    """Somebody holds the workspace's row as a claim does, and for so long; when it let go."""
    held, let_go = Event(), []

    def claim() -> None:
        with transaction.atomic():
            Workspace.objects.select_for_update(no_key=True).get(pk=workspace.pk)
            held.set()
            wait_out(for_seconds)
            audit.record("item.claim", workspace=workspace, subject="i", actor=HOST, now=NOON)
            let_go.append(monotonic())
        connection.close()

    holder = Thread(target=claim)
    holder.start()
    try:
        assert held.wait(10)
        yield let_go
    finally:
        holder.join()


def test_a_pause_waits_for_the_claim_that_goes_on_and_then_for_its_window(workspace):
    with a_claim_in_progress(workspace, for_seconds=0.5) as let_go:
        assert pause(workspace, wait=True)
        assert monotonic() - let_go[0] > switches.SEND_WINDOW_SECONDS
    assert audited() == ["item.claim", "workspace.pause"]


def test_the_kill_switch_waits_for_no_claim_but_for_the_window_of_each(workspace):
    with a_claim_in_progress(workspace, for_seconds=1) as let_go:
        turn(True, wait=False)
        assert let_go == []


def test_a_pause_gets_its_turn_before_a_claim_that_holds_on_for_as_long_as_it_may(workspace):
    longest = switches.LOCK_SECONDS_OF_OTHERS
    with a_claim_in_progress(workspace, for_seconds=longest):
        assert pause(workspace)


def test_who_lets_go_never_holds_a_stop_up(monkeypatch, workspace):
    """A resume that waits for the audit log gives the row up before the pause gives up."""
    monkeypatch.setattr(switches, "LOCK_SECONDS_OF_OTHERS", 0.3)
    pause(workspace)
    held, enough = Event(), Event()

    def hold_the_head() -> None:
        with transaction.atomic():
            AuditChain.objects.select_for_update().get(name=str(workspace.pk))
            held.set()
            enough.wait(20)
        connection.close()

    holder = Thread(target=hold_the_head)
    holder.start()
    try:
        assert held.wait(10)
        with pytest.raises(Busy):
            services.resume_workspace(workspace, actor=HOST, now=LATER)
    finally:
        enough.set()
        holder.join()
    workspace.refresh_from_db()
    assert workspace.paused_at == NOON


def test_resuming_clears_the_pause_and_nothing_else(workspace):
    pause(workspace)
    services.contain_workspace(workspace, reason="failures", actor=HOST, now=NOON)
    services.resume_workspace(workspace, actor=HOST, now=LATER)
    workspace.refresh_from_db()
    assert (workspace.paused_at, workspace.paused_reason) == (None, "")
    assert (workspace.contained_at, workspace.contained_reason) == (NOON, "failures")


@pytest.mark.parametrize("reason", BAD_REASONS)
def test_a_pause_asks_for_a_reason_that_fits(workspace, reason):
    with pytest.raises(ReasonNeeded):
        pause(workspace, reason=reason)
    assert audited() == []


def test_a_pause_of_one_workspace_leaves_the_others(workspace):
    other = WorkspaceFactory()
    pause(workspace)
    other.refresh_from_db()
    assert other.paused_at is None


@pytest.mark.parametrize("times", [1, 2])
def test_a_pause_answers_after_the_window_even_when_it_stood_already(workspace, monkeypatch, times):
    monkeypatch.setattr(switches, "SEND_WINDOW_SECONDS", 0.2)
    for _ in range(times):
        begun = monotonic()
        pause(workspace, wait=True)
        assert monotonic() - begun > 0.2 + switches._MARGIN_SECONDS


# --- System holds -------------------------------------------------------------------------------


def hold(kind: str = "usage_cap") -> bool:
    """Stop everybody, as the worker does."""
    return services.place_hold(kind, reason="X says so", actor=Actor.worker(), now=NOON)


def lift(kind: str = "usage_cap", actor: Actor = HOST, reason: str = "paid") -> bool:
    """Let go again."""
    return services.lift_hold(kind, reason=reason, actor=actor, now=LATER)


def test_a_hold_stands_once_per_kind_and_is_audited_once():
    assert [hold(), hold(), hold("burst_of_401")] == [True, False, True]
    assert SystemHold.objects.filter(lifted_at=None, placed_by="worker").count() == 2
    assert audited() == ["hold.place", "hold.place"]


def test_many_who_place_the_same_hold_at_once_place_one():
    assert run_together(*[hold] * 6) == ["ok"] * 6
    assert SystemHold.objects.count() == len(audited()) == 1


def test_a_hold_is_lifted_once_and_may_stand_again():
    hold()
    assert [lift(), lift()] == [True, False]
    assert hold()
    assert audited() == ["hold.place", "hold.lift", "hold.place"]


def test_lifting_one_kind_leaves_the_others():
    hold()
    hold("burst_of_401")
    lift()
    assert SystemHold.objects.get(lifted_at=None).kind == "burst_of_401"


def test_a_system_operator_lifts_a_hold():
    hold()
    assert lift(actor=system_operator())


@pytest.mark.parametrize("role", ["owner", "admin", "member", "stranger"])
def test_no_role_in_a_workspace_lifts_a_hold(role):
    hold()
    with pytest.raises(NotAllowed):
        lift(actor=person(role))
    assert SystemHold.objects.filter(lifted_at=None).exists()


@pytest.mark.parametrize("reason", BAD_REASONS)
def test_lifting_asks_for_a_reason_that_fits(reason):
    hold()
    with pytest.raises(ReasonNeeded):
        lift(reason=reason)
    assert SystemHold.objects.filter(lifted_at=None).exists()


def test_who_lifts_and_who_places_at_once_leave_one_truth():
    hold()
    run_together(*[partial(lift), partial(hold)] * 3)
    standing = SystemHold.objects.filter(lifted_at=None).count()
    assert audited().count("hold.place") - audited().count("hold.lift") == standing <= 1

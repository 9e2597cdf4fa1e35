"""Pause and containment: who may, how long the answer takes, and claims that go on meanwhile."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread
from time import monotonic

import pytest
from django.db import connection, transaction

from revfirst.wait import wait_out
from tests.concurrency import run_together
from tests.factories import WorkspaceFactory
from tests.locks import held
from tests.workspaces.stops import (
    BAD_REASONS,
    HOST,
    LATER,
    NOON,
    audited,
    pause,
    person,
    system_operator,
    turn,
)
from workspaces import audit, services
from workspaces.actors import Actor
from workspaces.errors import (
    Busy,
    NotAllowed,
    ReasonNeeded,
    WorkspaceNotFound,
)
from workspaces.models import Alarm, AuditChain, AuditEvent, Workspace
from workspaces.services import switches

pytestmark = pytest.mark.django_db(transaction=True)


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
    begun, let_go = Event(), []

    def claim() -> None:
        with transaction.atomic():
            Workspace.objects.select_for_update(no_key=True).get(pk=workspace.pk)
            begun.set()
            wait_out(for_seconds)
            audit.record("item.claim", workspace=workspace, subject="i", actor=HOST, now=NOON)
            let_go.append(monotonic())
        connection.close()

    holder = Thread(target=claim)
    holder.start()
    try:
        assert begun.wait(10)
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
    with held(AuditChain.objects.get(name=str(workspace.pk))), pytest.raises(Busy):
        services.resume_workspace(workspace, actor=HOST, now=LATER)
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

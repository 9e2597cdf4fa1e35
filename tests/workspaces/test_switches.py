"""The kill switch: who may turn it, with which reason, how long the answer takes, and what is kept."""

from datetime import timedelta
from functools import partial
from threading import Thread
from time import monotonic

import pytest
from django.contrib.auth.models import Permission
from django.db import IntegrityError, connection

from revfirst.wait import wait_until
from tests.concurrency import run_together
from tests.factories import WorkspaceFactory
from tests.locks import held
from tests.workspaces.stops import (
    BAD_REASONS,
    HOST,
    NOON,
    audited,
    pause,
    person,
    system_operator,
    turn,
)
from workspaces import services
from workspaces.actors import Actor
from workspaces.errors import (
    NotAllowed,
    NotAudited,
    NotStopped,
    ReasonNeeded,
)
from workspaces.models import AuditChain, AuditEvent, SystemSwitch
from workspaces.services import switches

pytestmark = pytest.mark.django_db(transaction=True)


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
    with held(AuditChain.objects.get(name=AuditChain.SYSTEM)):
        with pytest.raises(NotAudited):
            turn(True)
        assert services.kill_switch() is not None


def test_a_stop_that_cannot_be_had_says_that_it_is_not_stopped(monkeypatch):
    monkeypatch.setattr(switches, "_LOCK_SECONDS", 0.2)
    workspace = WorkspaceFactory()
    with held(workspace), pytest.raises(NotStopped, match="is NOT stopped"):
        pause(workspace)


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

"""The pages of the kill switch and of system holds: for system operators, and for nobody else."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from tests.factories import MembershipFactory, UserFactory, WorkspaceFactory
from workspaces import services
from workspaces.actors import Actor
from workspaces.errors import NotStopped
from workspaces.models import AuditEvent, SystemHold, SystemSwitch
from workspaces.services import switches

pytestmark = pytest.mark.django_db(transaction=True)
SWITCH = "/admin/workspaces/systemswitch/"
HOLDS = "/admin/workspaces/systemhold/"
OUTSIDERS = ["member", "admin", "owner", "looker"]


@pytest.fixture(autouse=True)
def waits(monkeypatch) -> list[bool]:
    """Nobody waits for the window; whether the switch stood when it would have begun."""
    told: list[bool] = []
    monkeypatch.setattr(
        switches, "wait_out", lambda seconds: told.append(services.kill_switch() is not None)
    )
    return told


def log_in(who: str = "operator") -> Client:
    """A browser of a system operator, a superuser, somebody with a role, or with a look at the rows."""
    user = UserFactory(username=f"the-{who}", is_superuser=who == "superuser")
    names = {"operator": ["system_operator"], "looker": ["view_systemswitch", "view_systemhold"]}
    user.user_permissions.set(Permission.objects.filter(codename__in=names.get(who, [])))
    if who in ("member", "admin", "owner"):
        MembershipFactory(user=user, workspace=WorkspaceFactory(), role=who)
    client = Client()
    client.force_login(user)
    return client


def turned_on(reason: str = "a fire") -> SystemSwitch:
    """The switch, turned by the host."""
    now = timezone.now() - timedelta(minutes=90)
    services.set_kill_switch(True, reason=reason, actor=Actor.command(), now=now, wait=False)
    return SystemSwitch.objects.get()


def held() -> SystemHold:
    """A hold that the worker placed."""
    services.place_hold("no_credits", reason="402", actor=Actor.worker(), now=timezone.now())
    return SystemHold.objects.get()


def damage_the_log() -> None:
    """The head of the system's chain is gone: nothing can be recorded there any more."""
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        cursor.execute("DELETE FROM workspaces_auditchain")
        cursor.execute("SET session_replication_role = origin")


def press(client: Client, path: str, **body: str) -> str:
    """Press a button; what the page that follows says."""
    answer = client.post(path, body, follow=True)
    assert answer.status_code == 200
    return " ".join(answer.content.decode().split())


def seen(switch: SystemSwitch) -> str:
    """What the page brings along, so that it turns what it showed."""
    return switch.changed_at.isoformat()


def is_on() -> bool:
    """Whether nothing may be sent."""
    return services.kill_switch() is not None


# --- The kill switch ----------------------------------------------------------------------------


@pytest.mark.parametrize("who", ["operator", "superuser"])
def test_it_is_turned_on_before_there_is_a_row_and_answers_when_nothing_can_begin(who, waits):
    client = log_in(who)
    assert "OFF: workspaces publish" in client.get(SWITCH).content.decode()
    said = press(client, f"{SWITCH}on/", reason="a fire")
    assert "The kill switch is ON: nothing can begin any more." in said
    assert "ON: nothing is published" in said
    assert waits == [True]
    event = AuditEvent.objects.get()
    assert (event.type, event.door) == ("kill_switch.on", "admin")


def test_the_page_says_since_when_by_whom_and_why():
    press(log_in(), f"{SWITCH}on/", reason="a <fire>")
    page = log_in("superuser").get(SWITCH).content.decode()
    assert "less than a minute ago" in page
    assert "the-operator" in page
    assert "a &lt;fire&gt;" in page


def test_a_second_press_is_told_who_was_first_and_waits_too(waits):
    turned_on("a fire")
    said = press(log_in(), f"{SWITCH}on/", reason="smoke")
    assert "The kill switch was ON already, since" in said
    assert "by a command on the host: a fire" in said
    assert SystemSwitch.objects.get().reason == "a fire"
    assert waits == [True]


def test_turning_it_off_asks_first_and_then_does_it():
    switch, client = turned_on(), log_in()
    asked = press(client, f"{SWITCH}off/", reason="put out", seen=seen(switch))
    assert "Let everybody publish again?" in asked
    assert is_on()
    done = press(client, f"{SWITCH}off/", reason="put out", seen=seen(switch), confirmed="yes")
    assert "The kill switch is off: everybody may publish again." in done
    assert not is_on()
    assert SystemSwitch.objects.get().reason == "put out"


def test_the_question_does_not_promise_what_a_hold_keeps_from_happening():
    held()
    switch = turned_on()
    asked = press(log_in(), f"{SWITCH}off/", reason="put out", seen=seen(switch))
    assert "A system hold stands too: nothing goes out until it is lifted." in asked


def test_the_question_has_no_field_in_which_enter_could_answer_it():
    switch = turned_on()
    asked = log_in().post(f"{SWITCH}off/", {"reason": "put out", "seen": seen(switch)})
    form = asked.content.decode().split('<form method="post">')[1].split("</form>")[0]
    kinds = {part.split('"')[1] for part in form.split(" type=")[1:]}
    assert kinds == {"hidden", "submit"}


def test_what_enter_in_the_reason_sends_turns_nothing_off():
    switch = turned_on()
    press(log_in(), f"{SWITCH}off/", reason="put out", seen=seen(switch))
    assert is_on()


@pytest.mark.parametrize("path", ["on/", "off/"])
@pytest.mark.parametrize("reason", ["", " ", "x" * 201])
def test_it_asks_for_a_reason_that_fits_and_keeps_what_was_typed(path, reason):
    switch = turned_on() if path == "off/" else None
    body = {"reason": reason, "seen": seen(switch) if switch else "", "confirmed": "yes"}
    said = press(log_in(), f"{SWITCH}{path}", **body)
    assert "Say why, in at most 200 characters." in said
    assert f'value="{reason}"' in said
    assert is_on() == (path == "off/")


def test_a_page_that_is_older_than_the_last_turn_turns_nothing_off():
    old = seen(turned_on())
    client = log_in()
    services.set_kill_switch(
        True, reason="another fire", actor=Actor.command(), now=timezone.now(), wait=False
    )
    said = press(client, f"{SWITCH}off/", reason="put out", seen=old, confirmed="yes")
    assert "somebody stopped it, or let go of it, meanwhile" in said
    assert is_on()


def test_turning_off_what_is_off_changes_nothing():
    said = press(log_in(), f"{SWITCH}off/", reason="put out", seen="", confirmed="yes")
    assert "Nothing was changed" in said
    assert not AuditEvent.objects.exists()


@pytest.mark.parametrize("who", OUTSIDERS)
@pytest.mark.parametrize("path", ["on/", "off/"])
def test_without_the_permission_it_is_refused(who, path):
    switch = turned_on() if path == "off/" else None
    body = {"reason": "mine", "confirmed": "yes", "seen": seen(switch) if switch else ""}
    assert log_in(who).post(f"{SWITCH}{path}", body).status_code == 403
    assert is_on() == (path == "off/")


@pytest.mark.parametrize("who", OUTSIDERS)
def test_without_the_permission_it_is_not_offered(who):
    answer = log_in(who).get(SWITCH)
    assert answer.status_code == (200 if who == "looker" else 403)
    assert "Stop all publishing" not in answer.content.decode()


def test_a_look_at_an_address_turns_nothing():
    for path in ("on/", "off/"):
        assert (
            log_in("superuser" if path == "on/" else "operator").get(SWITCH + path).status_code
            == 405
        )
    assert not SystemSwitch.objects.exists()


def test_a_form_without_its_token_is_refused():
    client = Client(enforce_csrf_checks=True)
    client.force_login(UserFactory(is_superuser=True))
    assert client.post(f"{SWITCH}on/", {"reason": "a fire"}).status_code == 403
    assert not is_on()


def test_a_stop_that_could_not_be_audited_is_told_aloud_and_stands():
    turned_on()
    services.set_kill_switch(False, reason="x", actor=Actor.command(), now=timezone.now())
    damage_the_log()
    said = press(log_in(), f"{SWITCH}on/", reason="a fire")
    assert "It IS stopped, but the audit log could not take the row" in said
    assert "ON: nothing is published" in said


def test_a_stop_that_could_not_be_had_is_told_aloud_and_keeps_the_reason(monkeypatch):
    def fail(*args: object, **kwargs: object) -> None:
        raise NotStopped

    monkeypatch.setattr(services, "set_kill_switch", fail)
    said = press(log_in(), f"{SWITCH}on/", reason="a fire")
    assert "It is NOT stopped" in said
    assert 'value="a fire"' in said
    assert "OFF: workspaces publish" in said


def test_letting_go_that_cannot_be_audited_is_told_and_not_done():
    switch = turned_on()
    damage_the_log()
    body = {"reason": "put out", "seen": seen(switch), "confirmed": "yes"}
    assert "Nothing was changed: the database or the audit log" in press(
        log_in(), f"{SWITCH}off/", **body
    )
    assert is_on()


def test_an_off_switch_beside_a_hold_does_not_say_that_workspaces_publish():
    held()
    page = log_in().get(SWITCH).content.decode()
    assert "OFF, but nothing is published" in page
    assert "no_credits" in page


def test_a_system_operator_without_a_workspace_finds_switch_and_holds_in_the_index():
    page = log_in().get(reverse("admin:index")).content.decode()
    assert SWITCH in page
    assert HOLDS in page


# --- System holds -------------------------------------------------------------------------------


def test_the_list_tells_what_stands_first_then_what_was_lifted():
    held()
    services.lift_hold("no_credits", reason="paid", actor=Actor.command(), now=timezone.now())
    services.place_hold("mass_401", reason="burst", actor=Actor.worker(), now=timezone.now())
    page = log_in().get(HOLDS).content.decode()
    assert page.index(">mass_401<") < page.index(">no_credits<")
    assert "by the worker" in page
    assert "by a command on the host: paid" in page


@pytest.mark.parametrize("who", ["operator", "superuser"])
def test_a_system_operator_lifts_a_hold_with_a_reason_after_being_asked(who):
    hold, client = held(), log_in(who)
    page = client.get(f"{HOLDS}{hold.pk}/change/").content.decode()
    assert "Lift it …" in page
    assert "Lift the hold no_credits?" in press(client, f"{HOLDS}{hold.pk}/lift/", reason="paid")
    hold.refresh_from_db()
    assert hold.lifted_at is None
    said = press(client, f"{HOLDS}{hold.pk}/lift/", reason="paid", confirmed="yes")
    assert "The hold is lifted." in said
    hold.refresh_from_db()
    assert hold.lifted_reason == "paid"
    assert hold.lifted_by.startswith("user:")


def test_a_hold_is_not_lifted_without_a_reason():
    hold = held()
    assert "Say why" in press(log_in(), f"{HOLDS}{hold.pk}/lift/", confirmed="yes")
    assert SystemHold.objects.filter(lifted_at=None).exists()


def test_a_hold_that_was_lifted_is_not_lifted_again_nor_another_in_its_place():
    hold, client = held(), log_in()
    services.lift_hold("no_credits", reason="paid", actor=Actor.command(), now=timezone.now())
    services.place_hold("no_credits", reason="again", actor=Actor.worker(), now=timezone.now())
    said = press(client, f"{HOLDS}{hold.pk}/lift/", reason="paid", confirmed="yes")
    assert "It was lifted before." in said
    assert SystemHold.objects.filter(lifted_at=None).count() == 1


@pytest.mark.parametrize("who", OUTSIDERS)
def test_without_the_permission_no_hold_is_lifted(who):
    hold = held()
    body = {"reason": "mine", "confirmed": "yes"}
    assert log_in(who).post(f"{HOLDS}{hold.pk}/lift/", body).status_code == 403
    assert SystemHold.objects.filter(lifted_at=None).exists()


@pytest.mark.parametrize("who", OUTSIDERS)
def test_without_the_permission_lifting_is_not_offered(who):
    answer = log_in(who).get(f"{HOLDS}{held().pk}/change/")
    assert answer.status_code == (200 if who == "looker" else 403)
    assert "Lift it" not in answer.content.decode()

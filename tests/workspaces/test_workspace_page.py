"""A workspace's page: how it stands, and what its operators may do there."""

import pytest
from django.test import Client
from django.utils import timezone

from tests.factories import MembershipFactory, UserFactory, WorkspaceFactory
from workspaces import services
from workspaces.actors import Actor
from workspaces.models import AuditEvent, Workspace
from workspaces.services import switches
from workspaces.services.policy import LIMITS

pytestmark = pytest.mark.django_db(transaction=True)
ACTS = ["pause", "resume", "lift-containment", "policy"]


@pytest.fixture(autouse=True)
def waits(monkeypatch) -> list[float]:
    """Nobody waits for the window; how often they would have."""
    told: list[float] = []
    monkeypatch.setattr(switches, "wait_out", told.append)
    return told


@pytest.fixture
def team() -> Workspace:
    """A workspace."""
    return WorkspaceFactory(slug="cafe")


def log_in(team: Workspace | None = None, role: str = "admin", **user: object) -> Client:
    """A browser of somebody with that role there, or with none."""
    person = UserFactory(username=f"the-{role}", **user)
    if team:
        MembershipFactory(user=person, workspace=team, role=role)
    client = Client()
    client.force_login(person)
    return client


def address(team: Workspace, act: str = "change") -> str:
    """The page, or one of its buttons."""
    return f"/admin/workspaces/workspace/{team.pk}/{act}/"


def shown(client: Client, team: Workspace) -> str:
    """What the page says."""
    answer = client.get(address(team))
    assert answer.status_code == 200
    return " ".join(answer.content.decode().split())


def press(client: Client, team: Workspace, act: str, **body: object) -> str:
    """Press a button; what the page that follows says."""
    answer = client.post(address(team, act), body, follow=True)
    assert answer.status_code == 200
    return " ".join(answer.content.decode().split())


def policy(**changed: object) -> dict[str, object]:
    """What a browser sends of a policy that was blank when it was shown."""
    body: dict[str, object] = {"policy-four_eyes": "on", "initial-policy-four_eyes": "True"}
    for name in LIMITS:
        body |= {f"policy-{name}": changed.get(name, ""), f"initial-policy-{name}": ""}
    return body


def contained(team: Workspace) -> None:
    """The worker contains it."""
    now = timezone.now()
    services.contain_workspace(team, reason="3 failures", actor=Actor.worker(), now=now)


def types() -> list[str]:
    """What was recorded, in order."""
    return list(AuditEvent.objects.order_by("id").values_list("type", flat=True))


# --- Pause, resume, containment -----------------------------------------------------------------


def test_an_operator_pauses_with_a_reason_and_the_page_answers_after_the_window(team, waits):
    client = log_in(team)
    assert "Paused: nothing of cafe can begin any more." in press(
        client, team, "pause", reason="a holiday"
    )
    assert waits == [2.25]
    page = shown(client, team)
    assert "by the-admin: a holiday" in page
    assert "Resume publishing" in page


def test_a_pause_without_a_reason_changes_nothing(team):
    assert "Say why" in press(log_in(team), team, "pause", reason="  ")
    assert types() == []


def test_a_second_pause_says_that_it_stood_before(team):
    client = log_in(team)
    press(client, team, "pause", reason="a holiday")
    assert "It was paused before." in press(client, team, "pause", reason="another")
    assert Workspace.objects.get().paused_reason == "a holiday"


def test_an_operator_resumes(team):
    client = log_in(team)
    press(client, team, "pause", reason="a holiday")
    assert "It may publish again." in press(client, team, "resume")
    assert types() == ["workspace.pause", "workspace.resume"]


def test_a_containment_is_shown_and_lifted_with_a_reason_after_being_asked(team):
    contained(team)
    client = log_in(team)
    assert "3 failures" in shown(client, team)
    assert "Lift the containment of cafe?" in press(
        client, team, "lift-containment", reason="mended"
    )
    assert types() == ["workspace.contain"]
    since = Workspace.objects.get().contained_at
    assert since
    answer = {"confirmed": "yes", "seen": since.isoformat()}
    said = press(client, team, "lift-containment", reason="mended", **answer)
    assert "The containment is lifted." in said
    assert "what failed before counts no more" in said
    assert types() == ["workspace.contain", "workspace.lift_containment"]


def test_a_containment_is_not_lifted_without_a_reason(team):
    contained(team)
    said = press(log_in(team), team, "lift-containment", confirmed="yes")
    assert "Say why" in said
    assert types() == ["workspace.contain"]


def test_what_stops_everybody_is_shown_to_a_member(team):
    now, host = timezone.now(), Actor.command()
    services.set_kill_switch(True, reason="a fire", actor=host, now=now, wait=False)
    services.place_hold("no_credits", reason="402", actor=Actor.worker(), now=now)
    page = shown(log_in(team, "member"), team)
    assert "a fire" in page
    assert "hold: no credits" in page


def test_the_list_does_not_hide_what_stops_everybody(team):
    services.place_hold("no_credits", reason="402", actor=Actor.worker(), now=timezone.now())
    client = log_in(team, "member")
    page = client.get("/admin/workspaces/workspace/").content.decode()
    assert "Hold: no credits: Nothing is published in any workspace" in page


# --- Who may ------------------------------------------------------------------------------------


@pytest.mark.parametrize("act", ACTS)
def test_a_member_is_offered_nothing_and_refused(team, act):
    contained(team)
    Workspace.objects.update(paused_at=timezone.now())
    client, before = log_in(team, "member"), Workspace.objects.values().get()
    assert address(team, act) not in shown(client, team)
    body = policy(max_replies_per_hour=1) | {"reason": "mine", "confirmed": "yes"}
    press(client, team, act, **body)
    assert Workspace.objects.values().get() == before


@pytest.mark.parametrize("act", [*ACTS, "change"])
@pytest.mark.parametrize("superuser", [False, True])
def test_to_an_operator_of_another_workspace_it_is_missing(team, act, superuser):
    client = log_in(WorkspaceFactory(), "owner", is_superuser=superuser)
    body = policy(max_replies_per_hour=1) | {"reason": "mine", "confirmed": "yes"}
    answer = client.get(address(team)) if act == "change" else client.post(address(team, act), body)
    assert answer.status_code == 404
    assert types() == []


@pytest.mark.parametrize("act", ACTS)
def test_a_superuser_who_is_no_member_acts_on_nothing(team, act):
    client = log_in(role="superuser", is_superuser=True)
    answer = client.post(address(team, act), {"reason": "mine", "confirmed": "yes"})
    assert answer.status_code in {403, 404}
    assert types() == []


@pytest.mark.parametrize("act", ACTS)
def test_a_look_at_a_button_does_nothing(team, act):
    assert log_in(team).get(address(team, act)).status_code == 405


@pytest.mark.parametrize("act", ACTS)
def test_a_stranger_is_sent_to_log_in(team, act):
    answer = Client().post(address(team, act))
    assert answer.status_code == 302
    assert "/login/" in answer.headers["Location"]


# --- The policy ---------------------------------------------------------------------------------


def test_an_operator_changes_the_policy(team):
    said = press(log_in(team), team, "policy", **policy(max_replies_per_hour=4))
    assert "The policy is changed." in said
    assert "max replies per hour: – → 4" in said
    assert Workspace.objects.get().max_replies_per_hour == 4


def test_what_a_person_did_not_touch_stays_as_somebody_else_made_it(team):
    client = log_in(team)
    services.change_policy(
        team, changes={"max_replies_per_day": 5}, actor=Actor.command(), now=timezone.now()
    )
    press(client, team, "policy", **policy(max_replies_per_hour=4))
    assert Workspace.objects.values_list("max_replies_per_hour", "max_replies_per_day").get() == (
        4,
        5,
    )


def test_a_limit_that_cannot_be_is_said_beside_its_field_and_keeps_what_was_typed(team):
    said = press(log_in(team), team, "policy", **policy(max_replies_per_hour=1_000_000))
    assert "less than or equal to 1000" in said
    assert 'value="1000000"' in said
    assert types() == []


def test_an_admin_who_switches_four_eyes_off_is_refused_and_an_owner_is_not(team):
    body = policy()
    del body["policy-four_eyes"]
    assert "Only an owner may switch four eyes off." in press(log_in(team), team, "policy", **body)
    assert Workspace.objects.get().four_eyes
    assert "The policy is changed." in press(log_in(team, "owner"), team, "policy", **body)
    assert not Workspace.objects.get().four_eyes


def test_a_save_that_changes_nothing_is_not_recorded(team):
    assert "Nothing was changed." in press(log_in(team), team, "policy", **policy())
    assert types() == []


def test_the_page_shows_the_system_s_limit_the_own_one_and_which_holds(team, settings):
    settings.MAX_REPLIES_PER_HOUR = 8
    Workspace.objects.update(max_replies_per_hour=100, daily_budget_usd="1.50")
    page = shown(log_in(team, "member"), team)
    assert "<td>8</td> <td>100</td> <td><b>8</b></td>" in page
    assert "<td>–</td> <td>1.50</td> <td><b>1.50</b></td>" in page

"""`kill_switch` and `create_workspace`: what they do, and the one sentence for what they cannot do."""

import os

import pytest
from django.core.management import CommandError, call_command

from tests.environments import on_our_servers
from tests.factories import UserFactory, WorkspaceFactory
from tests.worlds import manage
from workspaces import services
from workspaces.models import AuditEvent, Membership, SystemSwitch, Workspace
from workspaces.services import switches

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def at_once(monkeypatch) -> list[float]:
    """Nobody waits for the window; how long they would have waited."""
    waits: list[float] = []
    monkeypatch.setattr(switches, "wait_out", waits.append)
    return waits


# --- kill_switch --------------------------------------------------------------------------------


def test_on_stops_everybody_waits_for_the_window_and_says_how_it_stands(at_once, capsys):
    call_command("kill_switch", "on", reason="a fire")
    said = capsys.readouterr().out
    assert said.startswith("The kill switch is ON since 20")
    assert said.endswith(" UTC by command: a fire\n")
    assert services.kill_switch() is not None
    assert at_once == [pytest.approx(2.25)]


def test_on_again_says_who_was_first_and_waits_all_the_same(at_once, capsys):
    call_command("kill_switch", "on", reason="a fire")
    capsys.readouterr()
    call_command("kill_switch", "on", reason="smoke")
    said = capsys.readouterr().out
    assert said.startswith("It was on already. The kill switch is ON since 20")
    assert said.endswith(" UTC by command: a fire\n")
    assert len(at_once) == 2


def test_off_lets_go_and_says_so(at_once, capsys):
    call_command("kill_switch", "on", reason="a fire")
    call_command("kill_switch", "off", reason="put out")
    assert capsys.readouterr().out.endswith("The kill switch is off.\n")
    assert services.kill_switch() is None
    assert len(at_once) == 1


def test_status_changes_nothing(capsys):
    call_command("kill_switch", "status")
    assert capsys.readouterr().out == "The kill switch is off.\n"
    assert not SystemSwitch.objects.exists()
    assert not AuditEvent.objects.exists()


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ((), "No reason was given."),
        (("--reason", " \n"), "No reason was given."),
        (("--reason", f" {'x' * 300}"), "x" * 200),
    ],
)
def test_no_reason_or_a_long_one_is_no_reason_to_go_on_publishing(at_once, given, kept):
    call_command("kill_switch", "on", *given)
    assert (SystemSwitch.objects.get().on, SystemSwitch.objects.get().reason) == (True, kept)
    call_command("kill_switch", "off", *given)
    assert (SystemSwitch.objects.get().on, SystemSwitch.objects.get().reason) == (False, kept)


def test_a_refusal_of_the_process_is_one_sentence_and_exit_1(tmp_path):
    done = manage("release_hold", "no_credits", "--reason", "paid", env=on_our_servers(tmp_path))
    assert (done.returncode, done.stderr) == (1, "CommandError: There is no such hold.\n")


# --- create_workspace ---------------------------------------------------------------------------


def create(slug: str = "cafe-aurora", *, owner: str = "ana", name: str = "Café Aurora") -> None:
    """Run the command."""
    call_command("create_workspace", slug, name=name, owner=owner)


@pytest.fixture
def ana():
    """Somebody who cannot enter the admin yet."""
    return UserFactory(username="ana", is_staff=False)


def test_a_workspace_has_an_owner_who_may_enter_the_admin_and_an_audit_row(ana, capsys):
    create()
    workspace = Workspace.objects.get()
    ana.refresh_from_db()
    assert (workspace.slug, workspace.name) == ("cafe-aurora", "Café Aurora")
    assert Membership.objects.get(workspace=workspace, user=ana).role == "owner"
    assert ana.is_staff
    event = AuditEvent.objects.get()
    assert (event.type, event.chain, event.actor) == (
        "workspace.create",
        str(workspace.pk),
        "command",
    )
    assert capsys.readouterr().out == f"cafe-aurora  {workspace.pk}\n"


def test_a_new_workspace_publishes_under_four_eyes(ana):
    create()
    assert Workspace.objects.get().four_eyes


@pytest.mark.parametrize(
    ("slug", "sentence"),
    [
        ("Café Aurora", "valid “slug”"),
        ("", "cannot be blank"),
        ("x" * 51, "at most 50 characters"),
        ("system", "A workspace cannot be called system."),
        ("taken", "already exists"),
    ],
)
def test_a_slug_that_cannot_be_used_is_one_sentence(ana, slug, sentence):
    WorkspaceFactory(slug="taken")
    with pytest.raises(CommandError, match=sentence):
        create(slug)
    assert Workspace.objects.count() == 1
    assert not AuditEvent.objects.exists()


def test_a_name_that_is_too_long_is_one_sentence(ana):
    with pytest.raises(CommandError, match="at most 100 characters"):
        create(name="x" * 101)


def test_an_owner_whom_nobody_knows_is_one_sentence():
    with pytest.raises(CommandError, match=r"There is no user ana\."):
        create()
    assert not Workspace.objects.exists()


def test_the_process_says_it_without_a_traceback(ana, tmp_path):
    words = ("create_workspace", "system", "--name", "X", "--owner", "ana")
    done = manage(*words, env=on_our_servers(tmp_path))
    assert (done.returncode, done.stderr) == (
        1,
        "CommandError: A workspace cannot be called system.\n",
    )


# --- Terminals ----------------------------------------------------------------------------------

LATIN_1 = os.fsdecode("café".encode("latin-1"))


@pytest.mark.parametrize(
    "words",
    [
        ("release_hold", LATIN_1, "--reason", "paid"),
        ("release_hold", "containment", LATIN_1, "--reason", "paid"),
        ("audit_export", "--workspace", LATIN_1),
        ("create_workspace", LATIN_1, "--name", "X", "--owner", "ana"),
        ("create_workspace", "bar", "--name", "X", "--owner", LATIN_1),
        ("audit_verify", "--expect", f"{LATIN_1}:5:{'a' * 64}"),
    ],
)
def test_a_word_in_another_encoding_is_one_sentence(ana, tmp_path, words):
    done = manage(*words, env=on_our_servers(tmp_path))
    assert (done.returncode, done.stderr[:14]) == (1, "CommandError: ")


def test_a_terminal_that_knows_no_accents_is_told_all_the_same(at_once, tmp_path):
    call_command("kill_switch", "on", reason="Não – já")
    env = on_our_servers(tmp_path, PYTHONIOENCODING="ascii")
    done = manage("kill_switch", "status", env=env)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith(" UTC by command: N\\xe3o \\u2013 j\\xe1\n")

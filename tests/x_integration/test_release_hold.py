"""`release_hold`: only people lift holds, and they say why."""

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from tests.factories import XAccountFactory
from workspaces.actors import Actor
from workspaces.models import AuditEvent, SystemHold, Workspace
from workspaces.services import contain_workspace, place_hold
from x_integration.models import XAccount
from x_integration.services import hold_account

pytestmark = pytest.mark.django_db(transaction=True)
NOW = timezone.now()


def release(*words: str) -> None:
    """As on the command line."""
    call_command("release_hold", *words, "--reason", "Paid the bill")


def test_a_system_hold_is_lifted_and_remembers_who_and_why():
    place_hold("no_credits", reason="402", actor=Actor.worker(), now=NOW)
    release("no_credits")
    hold = SystemHold.objects.get()
    assert (hold.lifted_by, hold.lifted_reason) == ("command", "Paid the bill")
    assert hold.lifted_at


def test_an_accounts_hold_is_lifted():
    account = XAccountFactory()
    hold_account(account, reason="suspended", actor=Actor.worker(), now=NOW)
    release("account", account.workspace.slug)
    assert XAccount.objects.get().held_at is None
    assert AuditEvent.objects.filter(type="account.lift_hold").exists()


def test_a_containment_is_lifted():
    workspace = XAccountFactory().workspace
    contain_workspace(workspace, reason="failures", actor=Actor.worker(), now=NOW)
    release("containment", workspace.slug)
    assert Workspace.objects.get().contained_at is None


@pytest.mark.parametrize(
    "words", [("no_credits",), ("account", "nobody"), ("tea", "{slug}"), ("account", "{slug}")]
)
def test_what_is_not_held_is_said(words):
    slug = XAccountFactory().workspace.slug
    with pytest.raises(CommandError):
        release(*(word.format(slug=slug) for word in words))

"""The admin's lists of accounts, of what people said and of alarms: for reading, without a token."""

import pytest
from django.contrib.auth.models import Permission
from django.utils import timezone

from tests.factories import (
    MembershipFactory,
    SourcePostFactory,
    UserFactory,
    WorkspaceFactory,
    XAccountFactory,
)
from tests.x_integration.conftest import opened
from workspaces.models import Alarm
from workspaces.services import end_alarms, raise_alarm
from x_integration.models import XAccount

pytestmark = pytest.mark.django_db
ACCOUNTS, POSTS = "/admin/x_integration/xaccount/", "/admin/x_integration/sourcepost/"


@pytest.fixture
def account(client):
    """An account whose workspace the person who is logged in owns; a superuser on top of it."""
    account = XAccountFactory(access="canary-access", refresh="canary-refresh")
    owner = UserFactory(is_superuser=True)
    MembershipFactory(workspace=account.workspace, user=owner, role="owner")
    client.force_login(owner)
    return account


def pages(account):
    return [ACCOUNTS, f"{ACCOUNTS}{account.pk}/change/", f"{ACCOUNTS}{account.pk}/history/"]


def test_the_pages_tell_how_the_account_is(client, account):
    for url in pages(account)[:2]:
        text = client.get(url).content.decode()
        assert account.username in text
        assert "access token valid" in text


def test_no_page_holds_a_token_a_ciphertext_or_a_hash(client, account):
    secrets = [
        "canary-access",
        "canary-refresh",
        account.access_token.ciphertext,
        account.refresh_token.ciphertext,
        account.access_token_hash,
        account.refresh_token_hash,
        "Secret(hidden)",
    ]
    for url in pages(account):
        answer = client.get(url)
        assert answer.status_code == 200
        assert [secret for secret in secrets if secret in answer.content.decode()] == []


def test_a_form_that_brings_tokens_changes_nothing(client, account):
    form = {"username": "evil", "access_token": "evil", "refresh_token": "evil", "scope": "evil"}
    assert client.post(f"{ACCOUNTS}{account.pk}/change/", form).status_code == 403
    after = XAccount.objects.get()
    assert (after.username, after.scope) == (account.username, account.scope)
    assert opened(after.access_token) == "canary-access"


@pytest.mark.parametrize("tail", ["add/", "{}/delete/"])
def test_nobody_adds_or_deletes_an_account_here(client, account, tail):
    assert client.get(ACCOUNTS + tail.format(account.pk)).status_code == 403
    assert client.post(ACCOUNTS + tail.format(account.pk), {"post": "yes"}).status_code == 403
    assert XAccount.objects.count() == 1


@pytest.mark.parametrize("lookup", ["access_token__isnull", "refresh_token_hash__startswith"])
def test_the_list_cannot_be_asked_about_tokens(client, account, lookup):
    assert client.get(ACCOUNTS, {lookup: account.refresh_token_hash[:4]}).status_code == 400


def test_an_account_of_another_workspace_is_missing(client, account):
    other = XAccountFactory(username="somebody_else")
    assert "somebody_else" not in client.get(ACCOUNTS).content.decode()
    assert client.get(f"{ACCOUNTS}{other.pk}/change/").status_code == 404


def test_a_held_account_says_why(client, account):
    XAccount.objects.update(held_at=timezone.now(), held_reason="x_account")
    assert "x_account" in client.get(f"{ACCOUNTS}{account.pk}/change/").content.decode()


def test_a_connection_attempt_is_on_no_page(client, account):
    assert client.get("/admin/x_integration/oauthstate/").status_code == 404


def test_what_people_said_is_shown_as_text_and_never_as_markup(client, account):
    SourcePostFactory(workspace=account.workspace, text="<script>alert(1)</script> @cafe")
    text = client.get(POSTS).content.decode()
    assert "<script>alert(1)" not in text
    assert "&lt;script&gt;alert(1)" in text


def test_what_was_said_to_another_workspace_is_missing(client, account):
    other = SourcePostFactory(text="Nobody here reads this.")
    assert "Nobody here reads this." not in client.get(POSTS).content.decode()
    assert client.get(f"{POSTS}{other.pk}/change/").status_code == 404


# --- alarms ---------------------------------------------------------------------------------------

ALARMS = "/admin/workspaces/alarm/"


@pytest.fixture
def alarms(account):
    """One that is over and one that is open of the account, another workspace's, and the system's."""
    now = timezone.now()
    for kind in ("token_refused", "account_held"):
        raise_alarm(kind, detail=f"{kind} of ours", workspace=account.workspace, now=now)
    end_alarms("token_refused", workspace=account.workspace, now=now)
    raise_alarm("account_held", detail="of theirs", workspace=WorkspaceFactory(), now=now)
    raise_alarm("mass_401", detail="of everybody", now=now)
    return account.workspace


def seen(client):
    return [alarm.detail for alarm in client.get(ALARMS).context["cl"].queryset]


def member_of(workspace, *permissions):
    person = MembershipFactory(workspace=workspace, role="member").user
    person.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    return person


def test_a_member_sees_the_own_alarms_the_open_ones_first(client, alarms):
    client.force_login(member_of(alarms))
    assert seen(client) == ["account_held of ours", "token_refused of ours"]


def test_a_system_operator_sees_the_systems_alarms_too(client, alarms):
    client.force_login(member_of(alarms, "system_operator"))
    assert sorted(seen(client)) == ["account_held of ours", "of everybody", "token_refused of ours"]


def test_the_systems_alarm_and_another_workspaces_are_missing_for_a_member(client, alarms):
    client.force_login(member_of(alarms))
    for alarm in Alarm.objects.filter(detail__in=["of everybody", "of theirs"]):
        assert client.get(f"{ALARMS}{alarm.pk}/change/").status_code == 404


def test_an_alarm_says_whether_it_is_over(client, alarms):
    text = client.get(ALARMS).content.decode()
    assert ">open</span>" in text
    assert ">over</span>" in text


def test_nobody_ends_an_alarm_by_hand(client, alarms):
    alarm = Alarm.objects.get(workspace=alarms, over_at=None)
    assert client.post(f"{ALARMS}{alarm.pk}/change/", {"detail": "x"}).status_code == 403
    assert client.post(f"{ALARMS}{alarm.pk}/delete/", {"post": "yes"}).status_code == 403


def test_the_lists_of_alarms_can_be_narrowed_by_kind(client, alarms):
    answer = client.get(ALARMS, {"kind": "account_held"})
    assert [alarm.detail for alarm in answer.context["cl"].queryset] == ["account_held of ours"]

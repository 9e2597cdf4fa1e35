"""Disconnecting: here at once, at X as far as it answers."""

import pytest
from django.utils import timezone

from tests.factories import MembershipFactory, UserFactory, WorkspaceFactory
from tests.worlds import operator
from tests.x_integration.conftest import opened
from workspaces.models import AuditEvent
from x_integration.client import XClient
from x_integration.crypto import Secret
from x_integration.errors import XGrantRefused, XUnauthorized
from x_integration.models import XAccount
from x_integration.services import revoke_workspace_x_tokens

REVOKE = "/2/oauth2/revoke"


@pytest.fixture
def ask(client, cafe):
    """Revoke with a role; None is a stranger."""

    def run(role="owner", workspace=cafe):
        user = UserFactory()
        if role:
            MembershipFactory(workspace=workspace, user=user, role=role)
        client.force_login(user)
        return client.post(f"/integrations/x/oauth/revoke/{workspace.pk}")

    return run


@pytest.mark.parametrize("role", ["owner", "admin"])
def test_an_operator_may_revoke(ask, role):
    answer = ask(role)
    assert (answer.status_code, answer.json()) == (200, {"revoked": True, "confirmed_by_x": True})


@pytest.mark.parametrize(("role", "status"), [("member", 403), (None, 404)])
def test_nobody_else_may_revoke(ask, x, role, status):
    assert ask(role).status_code == status
    assert XAccount.objects.get().connected(timezone.now())
    assert x.simulator.requests() == []


def test_somebody_who_has_not_logged_in_may_not_revoke(client, cafe):
    assert client.post(f"/integrations/x/oauth/revoke/{cafe.pk}").status_code == 401
    assert XAccount.objects.get().revoked_at is None


def test_looking_does_not_revoke(ask, client, cafe):
    client.force_login(UserFactory())
    assert client.get(f"/integrations/x/oauth/revoke/{cafe.pk}").status_code == 405


def test_the_tokens_are_gone_from_the_row(ask):
    ask()
    account = XAccount.objects.get()
    assert (account.access_token, account.refresh_token) == (None, None)
    assert account.connected_reason(timezone.now()) == "revoked"


def test_the_grant_is_dead_at_x(ask, x):
    account = XAccount.objects.get()
    access, refresh = opened(account.access_token), opened(account.refresh_token)
    ask()
    assert x.simulator.overview()["grants_live"] == 0
    with pytest.raises(XUnauthorized):
        XClient().me(access)
    with pytest.raises(XGrantRefused):
        XClient().refresh_token(refresh)


def test_a_second_time_changes_nothing_and_asks_x_nothing(ask, x):
    ask()
    before, calls = XAccount.objects.values().get(), len(x.simulator.requests())
    assert ask().json() == {"revoked": True, "confirmed_by_x": False}
    assert XAccount.objects.values().get() == before
    assert len(x.simulator.requests()) == calls
    assert AuditEvent.objects.filter(type="account.revoke").count() == 1


def test_a_workspace_that_never_connected_has_nothing_to_revoke(ask, x):
    assert ask(workspace=WorkspaceFactory()).json()["confirmed_by_x"] is False
    assert x.simulator.requests() == []


@pytest.mark.parametrize("kind", ["html", "drop"])
def test_an_x_that_does_not_answer_keeps_nothing_connected_here(ask, x, kind):
    x.fault(kind, path=REVOKE, times=2)
    assert ask().json() == {"revoked": True, "confirmed_by_x": False}
    assert XAccount.objects.get().refresh_token is None


def test_tokens_that_no_key_opens_are_revoked_here(ask, x):
    XAccount.objects.update(access_token=Secret("garbage"), refresh_token=Secret("garbage"))
    assert ask().json() == {"revoked": True, "confirmed_by_x": False}
    assert XAccount.objects.get().revoked_at is not None


def test_a_revocation_is_audited_under_the_person(cafe):
    who = operator(cafe)
    revoke_workspace_x_tokens(cafe, actor=who, now=timezone.now())
    event = AuditEvent.objects.get(type="account.revoke")
    assert (event.chain, event.subject, event.actor) == (str(cafe.pk), "account", str(who))


def test_ours_are_gone_before_x_is_asked(x, cafe):
    """Whatever X does with the request, nothing of ours uses the tokens any more."""
    found = []

    class Looking(XClient):
        def revoke_token(self, token):
            found.append(XAccount.objects.get().refresh_token)

    revoke_workspace_x_tokens(cafe, actor=operator(cafe), now=timezone.now(), x=Looking())
    assert found == [None, None]

"""The nine cases that the plan of the token work names, each under its name."""

import pytest
from django.utils import timezone

from tests.concurrency import run_together
from tests.factories import MembershipFactory, UserFactory
from tests.worlds import operator
from tests.x_integration.conftest import HOUR
from tests.x_integration.renewals import TOKEN, account_of, pair_of, refreshes, renew, token_of
from workspaces.models import AuditEvent
from x_integration.client import XClient
from x_integration.models import XAccount
from x_integration.services import revoke_workspace_x_tokens


@pytest.fixture
def status(client):
    """What a member reads of a workspace's connection."""

    def ask(workspace):
        user = UserFactory()
        MembershipFactory(workspace=workspace, user=user, role="member")
        client.force_login(user)
        return client.get(f"/integrations/x/oauth/status/{workspace.pk}").json()

    return ask


@pytest.fixture
def without_refresh(x, expired):
    """An expired token and nothing to renew it with."""
    XAccount.objects.update(refresh_token=None, refresh_token_hash="")
    return expired


def test_1_refresh_succeeds(x, expired):
    old = pair_of(expired)
    assert renew(expired) == "success"
    assert set(pair_of(expired)).isdisjoint(old)
    assert XClient().me(token_of(expired))[1] == "cafe"
    assert refreshes() == {"outcome=success": 1}
    assert AuditEvent.objects.get(type="token.refresh").data["outcome"] == "success"


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        ({"kind": "rate_limited"}, "failed"),
        ({"kind": "unauthorized"}, "failed"),
        ({"kind": "html", "status": 502}, "unknown"),
        ({"kind": "drop"}, "unknown"),
        ({"kind": "status", "status": 400, "body": {"error": "invalid_grant"}}, "refused"),
    ],
)
def test_2_refresh_fails(x, expired, fault, outcome):
    old = pair_of(expired)
    x.fault(path=TOKEN, **fault)
    assert renew(expired) == outcome
    assert pair_of(expired) == old
    assert token_of(expired) is None
    assert refreshes()[f"outcome={outcome}"] == 1
    assert AuditEvent.objects.filter(type="token.refresh", data__outcome=outcome).count() == 1


def test_3_expired_without_refresh_token(x, without_refresh, status):
    workspace = without_refresh
    assert token_of(workspace) is None
    assert renew(workspace) == "skipped_no_refresh_token"
    told = status(workspace)
    assert (told["connected"], told["connected_reason"]) == (False, "access_token_expired")
    assert x.calls("POST", TOKEN) == []


def test_3_expired_without_refresh_token_at_publish(x, cafe):
    item = x.approved(cafe)
    XAccount.objects.update(refresh_token=None, expires_at=timezone.now() - HOUR)
    assert x.publish(item).state == "approved"
    assert item.blocked_reason == "account_not_ready"
    assert x.calls("POST", "/2/tweets") == x.calls("POST", TOKEN) == []


def test_4_concurrency_with_lock(x, expired):
    x.fault("delay", path=TOKEN, ms=300)
    outcomes: list[str] = []
    run_together(*[lambda: outcomes.append(renew(expired))] * 8)
    assert sorted(outcomes) == ["skipped_locked"] * 7 + ["success"]
    assert len(x.calls("POST", TOKEN)) == 1


def test_5_an_approved_item_with_an_expired_token_is_published_through_renewal(x, cafe):
    item = x.approved(cafe)
    XAccount.objects.update(expires_at=timezone.now() - HOUR)
    assert x.publish(item).state == "published"
    assert len(x.calls("POST", TOKEN)) == len(x.calls("POST", "/2/tweets")) == 1


def test_6_status_for_a_valid_token(cafe, status):
    told = status(cafe)
    assert told["connected_reason"] == "access_token_valid"
    assert told["connected"] is told["publish_ready"] is told["access_token_valid"] is True


def test_7_status_expired_with_refresh(expired, status):
    told = status(expired)
    assert told["connected_reason"] == "expired_but_auto_refresh_available"
    assert told["connected"] is told["publish_ready"] is told["is_expired"] is True
    assert told["access_token_valid"] is False


def test_8_status_expired_without_refresh(without_refresh, status):
    told = status(without_refresh)
    assert told["connected_reason"] == "access_token_expired"
    assert told["connected"] is told["publish_ready"] is told["can_auto_refresh"] is False


def test_9_status_revoked(cafe, status):
    revoke_workspace_x_tokens(cafe, actor=operator(cafe), now=timezone.now())
    told = status(cafe)
    assert told["connected_reason"] == "revoked"
    assert told["connected"] is told["publish_ready"] is told["has_refresh_token"] is False
    assert account_of(cafe).access_token is None

"""The status API: whether the account can publish, and if not, why."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.utils import timezone

from tests.factories import MembershipFactory, UserFactory, WorkspaceFactory, XAccountFactory
from x_integration.models import XAccount

pytestmark = pytest.mark.django_db
FIELDS = {
    "workspace_id", "connected", "connected_reason", "access_token_valid", "is_expired",
    "can_auto_refresh", "has_refresh_token", "token_type", "expires_at", "scope",
    "has_publish_scope", "publish_ready", "account_user_id", "account_username",
    "last_refresh_at", "last_refresh_error", "updated_at",
}  # fmt: skip
HOUR = timedelta(hours=1)


@pytest.fixture
def status(client):
    """The status of an account (or of a workspace without one) as a member sees it."""

    def ask(account=None, **changes):
        workspace = account.workspace if account else WorkspaceFactory()
        if changes:
            XAccount.objects.update(**changes)
        user = UserFactory()
        MembershipFactory(workspace=workspace, user=user, role="member")
        client.force_login(user)
        answer = client.get(f"/integrations/x/oauth/status/{workspace.pk}")
        assert answer.status_code == 200
        return answer.json()

    return ask


def ago(**changes):
    return XAccountFactory(expires_at=timezone.now() - HOUR, **changes)


def test_every_field_of_the_interface_is_there_before_and_after_connecting(status):
    assert status().keys() == FIELDS
    assert status(XAccountFactory()).keys() == FIELDS


def test_a_workspace_that_never_connected_says_so(status):
    told = status()
    del told["workspace_id"]
    assert told == {
        "connected": False,
        "connected_reason": "not_connected",
        "access_token_valid": False,
        "is_expired": False,
        "can_auto_refresh": False,
        "has_refresh_token": False,
        "token_type": None,
        "expires_at": None,
        "scope": "",
        "has_publish_scope": False,
        "publish_ready": False,
        "account_user_id": None,
        "account_username": None,
        "last_refresh_at": None,
        "last_refresh_error": None,
        "updated_at": None,
    }


def test_a_connected_account_tells_everything_but_its_tokens(status):
    account = XAccountFactory(last_refresh_at=timezone.now())

    def told_as(instant):
        return instant.isoformat().replace("+00:00", "Z")

    assert status(account) == {
        "workspace_id": str(account.workspace_id),
        "connected": True,
        "connected_reason": "access_token_valid",
        "access_token_valid": True,
        "is_expired": False,
        "can_auto_refresh": True,
        "has_refresh_token": True,
        "token_type": "bearer",
        "expires_at": told_as(account.expires_at),
        "scope": "tweet.read tweet.write users.read offline.access",
        "has_publish_scope": True,
        "publish_ready": True,
        "account_user_id": account.x_user_id,
        "account_username": account.username,
        "last_refresh_at": told_as(account.last_refresh_at),
        "last_refresh_error": None,
        "updated_at": told_as(account.updated_at),
    }


# (how the account is, what differs from a healthy one)
CONDITIONS: dict[str, tuple[Callable[[], XAccount], dict[str, Any]]] = {
    "expired, with refresh": (
        ago,
        {
            "connected_reason": "expired_but_auto_refresh_available",
            "access_token_valid": False,
            "is_expired": True,
        },
    ),
    "expired, without refresh": (
        lambda: ago(refresh=""),
        {
            "connected": False,
            "connected_reason": "access_token_expired",
            "access_token_valid": False,
            "is_expired": True,
            "can_auto_refresh": False,
            "has_refresh_token": False,
            "publish_ready": False,
        },
    ),
    "valid, without refresh": (
        lambda: XAccountFactory(refresh=""),
        {"can_auto_refresh": False, "has_refresh_token": False},
    ),
    "only a refresh token": (
        lambda: XAccountFactory(access="", expires_at=None),
        {
            "connected_reason": "auto_refresh_available",
            "access_token_valid": False,
            "token_type": None,
        },
    ),
    "no token at all": (
        lambda: XAccountFactory(access="", refresh="", expires_at=None),
        {
            "connected": False,
            "connected_reason": "access_token_unavailable",
            "access_token_valid": False,
            "can_auto_refresh": False,
            "has_refresh_token": False,
            "token_type": None,
            "publish_ready": False,
        },
    ),
    "refused by X, expired": (
        lambda: ago(reauthorization_required_at=timezone.now(), last_refresh_error="refused"),
        {
            "connected": False,
            "connected_reason": "reauthorization_required",
            "access_token_valid": False,
            "is_expired": True,
            "can_auto_refresh": False,
            "last_refresh_error": "refused",
            "publish_ready": False,
        },
    ),
    "refused by X, still valid": (
        lambda: XAccountFactory(reauthorization_required_at=timezone.now()),
        {"can_auto_refresh": False},
    ),
    "revoked": (
        lambda: XAccountFactory(access="", refresh="", revoked_at=timezone.now()),
        {
            "connected": False,
            "connected_reason": "revoked",
            "access_token_valid": False,
            "can_auto_refresh": False,
            "has_refresh_token": False,
            "token_type": None,
            "publish_ready": False,
        },
    ),
    "held": (
        lambda: XAccountFactory(held_at=timezone.now(), held_reason="x_account"),
        {"publish_ready": False},
    ),
    "without the right to post": (
        lambda: XAccountFactory(scope="tweet.read users.read offline.access"),
        {
            "scope": "tweet.read users.read offline.access",
            "has_publish_scope": False,
            "publish_ready": False,
        },
    ),
    "a scope that only begins like the right to post": (
        lambda: XAccountFactory(scope="tweet.write.all"),
        {"scope": "tweet.write.all", "has_publish_scope": False, "publish_ready": False},
    ),
    "an id that is not known": (
        lambda: XAccountFactory(x_user_id=""),
        {"account_user_id": None, "publish_ready": False},
    ),
}
OF_THIS_ROW = {
    "workspace_id",
    "expires_at",
    "account_user_id",
    "account_username",
    "last_refresh_at",
    "updated_at",
}


@pytest.mark.parametrize("name", CONDITIONS)
def test_each_condition_is_told_as_it_is(status, name):
    make, differences = CONDITIONS[name]
    healthy = status(XAccountFactory(username="healthy"))
    told = status(make())
    kept = OF_THIS_ROW - differences.keys()
    expected = healthy | differences | {field: told[field] for field in kept}
    assert told == expected


def test_renewal_switched_off_is_no_way_to_stay_connected(status, settings):
    settings.X_AUTO_REFRESH_ENABLED = False
    told = status(ago())
    assert (told["connected"], told["connected_reason"]) == (False, "access_token_expired")


def test_tokens_that_no_key_opens_are_not_valid_and_no_crash(status, settings):
    account = XAccountFactory()
    settings.TOKEN_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    told = status(account)
    assert told["connected_reason"] == "reauthorization_required"
    assert (told["connected"], told["has_refresh_token"]) == (False, True)


def test_the_very_instant_of_expiry_is_expired():
    account = XAccountFactory()
    assert account.access_token_valid(account.expires_at) is False
    assert account.access_token_valid(account.expires_at - timedelta(microseconds=1)) is True


@pytest.mark.parametrize("precedence", ["revoked", "access_token_valid"])
def test_the_first_reason_that_holds_is_told(status, precedence):
    account = XAccountFactory(reauthorization_required_at=timezone.now())
    changes = {"revoked_at": timezone.now()} if precedence == "revoked" else {}
    assert status(account, **changes)["connected_reason"] == precedence


@pytest.mark.parametrize("role", ["owner", "admin", "member"])
def test_every_member_may_look(client, role):
    account = XAccountFactory()
    user = UserFactory()
    MembershipFactory(workspace=account.workspace, user=user, role=role)
    client.force_login(user)
    assert client.get(f"/integrations/x/oauth/status/{account.workspace_id}").status_code == 200


@pytest.mark.parametrize("superuser", [False, True])
def test_to_a_stranger_the_workspace_is_missing(client, superuser):
    client.force_login(UserFactory(is_superuser=superuser))
    answer = client.get(f"/integrations/x/oauth/status/{XAccountFactory().workspace_id}")
    assert (answer.status_code, answer.json()["code"]) == (404, "workspace_not_found")


def test_somebody_who_has_not_logged_in_sees_nothing(client):
    answer = client.get(f"/integrations/x/oauth/status/{XAccountFactory().workspace_id}")
    assert answer.status_code == 401


@pytest.mark.parametrize("word", ["7", "not-a-uuid", "6e3ef5b8"])
def test_what_is_no_workspace_id_is_no_route(client, word):
    client.force_login(UserFactory())
    assert client.get(f"/integrations/x/oauth/status/{word}").status_code == 404


def test_no_token_ciphertext_or_hash_is_told(status):
    account = XAccountFactory(access="canary-access", refresh="canary-refresh")
    told = str(status(account))
    secrets = [
        "canary-access",
        "canary-refresh",
        account.access_token.ciphertext,
        account.refresh_token.ciphertext,
        account.access_token_hash,
        account.refresh_token_hash,
    ]
    assert [secret for secret in secrets if secret in told] == []

"""Status over every combination: the design's three rules, written down a second time."""

from datetime import timedelta
from itertools import product
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.utils import timezone

from tests.factories import MembershipFactory, UserFactory, XAccountFactory
from x_integration.crypto import Secret

pytestmark = pytest.mark.django_db
ACCESS, REFRESH = ("valid", "expired", "none"), ("yes", "no", "refused")
BOTH = (False, True)
COMBINATIONS = list(product(ACCESS, REFRESH, BOTH, BOTH, BOTH))


def expected(access, refresh, revoked, auto, decryptable):
    """(connected, reason): the first line that applies, in the order of the design."""
    valid = access == "valid" and decryptable
    renewable = auto and refresh == "yes" and decryptable
    something = access != "none" or refresh != "no"
    lines = [
        (revoked, (False, "revoked")),
        (valid, (True, "access_token_valid")),
        (renewable and access == "expired", (True, "expired_but_auto_refresh_available")),
        (renewable, (True, "auto_refresh_available")),
        (refresh == "refused", (False, "reauthorization_required")),
        (something and not decryptable, (False, "reauthorization_required")),
        (access == "none", (False, "access_token_unavailable")),
        (access == "expired", (False, "access_token_expired")),
    ]
    return next(answer for applies, answer in lines if applies)


@pytest.mark.parametrize(("access", "refresh", "revoked", "auto", "decryptable"), COMBINATIONS)
def test_status(client, settings, access, refresh, revoked, auto, decryptable):
    settings.X_AUTO_REFRESH_ENABLED = auto
    account = account_with(access, refresh, revoked=revoked, decryptable=decryptable)
    told = ask(client, account)
    connected, reason = expected(access, refresh, revoked, auto, decryptable)
    assert (told["connected"], told["connected_reason"]) == (connected, reason)
    assert told["publish_ready"] is connected
    assert told["has_refresh_token"] is (refresh != "no")
    renewable = auto and refresh == "yes" and decryptable and not revoked
    assert told["can_auto_refresh"] is renewable
    assert told["is_expired"] is (access == "expired")
    assert told["access_token_valid"] is (access == "valid" and decryptable)


def account_with(access, refresh, *, revoked, decryptable):
    """An account in that condition; what nobody can decrypt was sealed with a key that is gone."""
    now = timezone.now()
    hours = {"valid": 1, "expired": -1, "none": None}[access]
    lost = Secret(Fernet(Fernet.generate_key()).encrypt(b"lost").decode())
    changes: dict[str, Any] = {} if decryptable else {"access_token": lost, "refresh_token": lost}
    if access == "none":
        changes["access_token"] = None
    if refresh == "no":
        changes["refresh_token"] = None
    return XAccountFactory(
        expires_at=None if hours is None else now + timedelta(hours=hours),
        reauthorization_required_at=now if refresh == "refused" else None,
        revoked_at=now if revoked else None,
        **changes,
    )


def ask(client, account):
    user = UserFactory()
    MembershipFactory(workspace=account.workspace, user=user, role="member")
    client.force_login(user)
    answer = client.get(f"/integrations/x/oauth/status/{account.workspace_id}")
    assert answer.status_code == 200
    return answer.json()


def test_the_table_is_whole():
    assert len(COMBINATIONS) == 3 * 3 * 2 * 2 * 2


def test_a_token_that_x_rejected_is_not_valid_though_it_has_not_expired(client):
    account = XAccountFactory(access_token_rejected_at=timezone.now())
    told = ask(client, account)
    assert (told["connected_reason"], told["access_token_valid"]) == (
        "auto_refresh_available",
        False,
    )
    account.refresh_token = None
    account.save(update_fields=["refresh_token"])
    assert ask(client, account)["connected_reason"] == "access_token_unavailable"


@pytest.mark.parametrize("connected", [False, True])
def test_a_status_costs_at_most_four_queries(client, connected, django_assert_max_num_queries):
    account = XAccountFactory()
    user = UserFactory()
    MembershipFactory(workspace=account.workspace, user=user, role="member")
    if not connected:
        account.delete()
    client.force_login(user)
    with django_assert_max_num_queries(4):
        client.get(f"/integrations/x/oauth/status/{account.workspace_id}")

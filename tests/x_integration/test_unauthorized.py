"""401s: of one account, and of many at once."""

from functools import partial

import pytest
from django.db.models import Q
from django.utils import timezone

from publishing.models import QueueItem
from publishing.services import compare_counters, publish_item
from tests.concurrency import run_together
from tests.factories import XAccountFactory
from tests.worlds import WORKER, operator
from tests.x_integration.conftest import MINUTE, opened
from tests.x_integration.renewals import (
    TOKEN,
    account_of,
    open_alarms,
    renew,
    token_of,
)
from workspaces.models import AuditEvent, SystemHold
from workspaces.services import place_hold
from x_integration.client import XClient
from x_integration.crypto import Secret
from x_integration.errors import XUnauthorized
from x_integration.models import XAccount
from x_integration.services import (
    give_up_after_unauthorized,
    hold_account,
    revoke_workspace_x_tokens,
)
from x_integration.services.bursts import many_of, note_unauthorized


def test_one_401_leads_to_one_renewal_and_one_more_call(x, cafe):
    item = x.approved(cafe)
    x.fault("unauthorized", path="/2/tweets")
    assert x.publish(item).state == "published"
    assert (len(x.calls("POST", TOKEN)), len(x.calls("POST", "/2/tweets"))) == (1, 2)
    assert account_of(cafe).access_token_rejected_at is None


def test_a_second_401_holds_the_account_and_raises_an_alarm(x, cafe):
    item = x.approved(cafe)
    x.fault("unauthorized", path="/2/tweets", times=None)
    assert x.publish(item).state == "approved"
    assert account_of(cafe).held_reason == "x_unauthorized"
    assert open_alarms() == ["account_held"]
    assert (len(x.calls("POST", TOKEN)), len(x.calls("POST", "/2/tweets"))) == (1, 2)


def test_a_held_account_is_not_renewed_over_and_over(x, cafe):
    hold_account(account_of(cafe), reason="x_unauthorized", actor=WORKER, now=timezone.now())
    XAccount.objects.update(access_token_rejected_at=timezone.now())
    assert [token_of(cafe) for _ in range(3)] == [None] * 3
    assert x.calls("POST", TOKEN) == []


def test_a_401_for_a_token_that_was_renewed_meanwhile_needs_no_other_renewal(x, cafe):
    item = x.approved(cafe)
    renewed: list[str] = []

    class RenewedMeanwhile(XClient):
        def create_post(self, *args, **kwargs):
            if not renewed:
                renewed.append(renew(cafe))
                x.fault("unauthorized", path="/2/tweets")
            return super().create_post(*args, **kwargs)

    publish_item(item.pk, x=RenewedMeanwhile(), actor=WORKER, clock=timezone.now)
    item.refresh_from_db()
    assert (item.state, len(x.calls("POST", TOKEN))) == ("published", 1)


def test_a_rejected_token_that_cannot_be_renewed_is_not_used_again(x, cafe, settings):
    settings.X_AUTO_REFRESH_ENABLED = False
    item = x.approved(cafe)
    x.fault("unauthorized", path="/2/tweets", times=None)
    for _ in range(3):
        QueueItem.objects.update(not_before=None)
        x.publish(item)
    assert (item.state, item.blocked_reason) == ("approved", "account_not_ready")
    assert len(x.calls("POST", "/2/tweets")) == 1
    assert account_of(cafe).connected(timezone.now()) is False


def test_401s_of_many_accounts_hold_everything_and_disconnect_nobody(x):
    names = [f"team{number}" for number in range(5)]
    items = [x.approved(x.connected(name)) for name in names]
    x.fault("unauthorized", method="*", path="/2/.*", times=None)
    for item in items:
        x.publish(item)
    assert [hold.kind for hold in SystemHold.objects.filter(lifted_at=None)] == ["mass_401"]
    assert "mass_401" in open_alarms()
    x.simulator.clear_faults()
    now = timezone.now()
    assert {account.connected_reason(now) for account in XAccount.objects.all()} == {
        "access_token_valid"
    }


def test_while_everybody_gets_401_nothing_is_renewed_for_it(x):
    workspaces = [x.connected(f"team{number}") for number in range(4)]
    place_hold("mass_401", reason="X", actor=WORKER, now=timezone.now())
    x.fault("unauthorized", method="GET", path="/2/users/.*", times=None)
    for workspace in workspaces:
        with pytest.raises(XUnauthorized):
            x.ingest(workspace)
    assert x.calls("POST", TOKEN) == []
    assert not XAccount.objects.exclude(access_token_rejected_at=None, held_at=None).exists()


@pytest.mark.parametrize(
    ("accounts", "many"), [(1, 2), (2, 2), (3, 3), (39, 3), (40, 4), (100, 10), (10_000, 10)]
)
def test_how_many_make_a_burst(accounts, many):
    assert many_of(accounts) == many


def test_401s_far_apart_are_no_burst(x):
    for number in range(4):
        workspace = x.connected(f"team{number}", refresh_token=None)
        now = timezone.now() + number * 11 * MINUTE
        access = opened(account_of(workspace).access_token)
        note_unauthorized(workspace, access, actor=WORKER, now=now)
    assert not SystemHold.objects.exists()


def test_customers_who_leave_at_one_moment_are_no_burst_either(x):
    """Each is rejected while the others' renewals are still on their way."""
    workspaces = [x.connected(f"team{number}") for number in range(4)]
    for account in XAccount.objects.all():
        XAccount.objects.filter(pk=account.pk).update(
            refresh_token=Secret.seal(f"gone{account.pk}")
        )
    x.fault("unauthorized", method="GET", path="/2/users/.*", times=None)
    x.fault("delay", path=TOKEN, ms=300, times=None)
    outcomes = run_together(*[partial(x.ingest, workspace) for workspace in workspaces])
    assert outcomes == ["XUnauthorized"] * 4
    assert not SystemHold.objects.exists()
    reasons = {account.connected_reason(timezone.now()) for account in XAccount.objects.all()}
    assert reasons == {"reauthorization_required"}


def test_a_rejected_token_is_audited_once(x, cafe):
    token, now = token_of(cafe), timezone.now()
    for _ in range(2):
        note_unauthorized(cafe, token, actor=WORKER, now=now)
    assert AuditEvent.objects.filter(type="token.reject").count() == 1


def test_an_account_that_got_other_tokens_meanwhile_is_not_held(x, cafe):
    account = account_of(cafe)
    renew(cafe)
    XAccount.objects.update(access_token_rejected_at=timezone.now())
    as_read = Q(token_version=account.token_version)
    now = timezone.now()
    assert hold_account(account, reason="x", actor=WORKER, now=now, only=as_read) is False
    assert hold_account(account, reason="suspended", actor=WORKER, now=now) is True


def test_a_few_401s_among_many_accounts_are_no_burst(x):
    for _ in range(40):
        XAccountFactory()
    for number in range(3):
        workspace = x.connected(f"team{number}")
        note_unauthorized(workspace, token_of(workspace), actor=WORKER, now=timezone.now())
    assert not SystemHold.objects.exists()


def test_the_only_account_is_never_a_burst(x, cafe):
    note_unauthorized(cafe, token_of(cafe), actor=WORKER, now=timezone.now())
    assert not SystemHold.objects.exists()
    assert account_of(cafe).access_token_rejected_at is not None


def test_a_401_to_a_token_that_was_renewed_a_moment_ago_holds_the_account(x, cafe):
    item = x.approved(cafe)
    XAccount.objects.update(expires_at=timezone.now())
    x.fault("unauthorized", path="/2/tweets", times=None)
    for _ in range(3):
        QueueItem.objects.update(not_before=None)
        x.publish(item)
    assert account_of(cafe).held_reason == "x_unauthorized"
    assert (len(x.calls("POST", TOKEN)), len(x.calls("POST", "/2/tweets"))) == (1, 1)


def test_a_401_that_came_late_is_noted_though_nothing_more_is_begun(x, cafe, monkeypatch):
    item = x.approved(cafe)

    class Late(XClient):
        def create_post(self, *args, **kwargs):
            monkeypatch.setattr("revfirst.batch.Patience.left", lambda self: False)
            return super().create_post(*args, **kwargs)

    x.fault("unauthorized", path="/2/tweets")
    publish_item(item.pk, x=Late(), actor=WORKER, clock=timezone.now)
    assert account_of(cafe).access_token_rejected_at is not None
    assert x.calls("POST", TOKEN) == []


def test_a_401_to_an_older_token_does_not_hold_the_account(x, cafe):
    old = token_of(cafe)
    renew(cafe)
    give_up_after_unauthorized(cafe, old, actor=WORKER, now=timezone.now())
    assert account_of(cafe).held_at is None


def test_an_account_that_was_revoked_is_not_held(x, cafe):
    account = account_of(cafe)
    revoke_workspace_x_tokens(cafe, actor=operator(cafe), now=timezone.now())
    assert hold_account(account, reason="x", actor=WORKER, now=timezone.now()) is False


def test_a_revocation_leaves_the_alarm_of_a_hold_that_stays(x, cafe):
    hold_account(account_of(cafe), reason="suspended", actor=WORKER, now=timezone.now())
    revoke_workspace_x_tokens(cafe, actor=operator(cafe), now=timezone.now())
    assert (account_of(cafe).held_reason, open_alarms()) == ("suspended", ["account_held"])


def test_customers_who_leave_together_are_no_burst(x):
    """X refuses to renew what it rejects: those grants are dead, and the status says so."""
    for number in range(4):
        workspace = x.connected(f"team{number}")
        item = x.approved(workspace)
        XAccount.objects.filter(workspace=workspace).update(refresh_token=Secret.seal("gone"))
        x.fault("unauthorized", path="/2/tweets")
        x.publish(item)
    assert not SystemHold.objects.exists()
    reasons = {account.connected_reason(timezone.now()) for account in XAccount.objects.all()}
    assert reasons == {"reauthorization_required"}


def test_a_burst_lifts_the_holds_that_it_caused(x):
    items = [x.approved(x.connected(f"team{number}")) for number in range(4)]
    x.fault("unauthorized", path="/2/tweets", times=None)
    for item in items:
        x.publish(item)
    assert not XAccount.objects.exclude(held_at=None).exists()
    assert open_alarms() == ["mass_401"]
    assert AuditEvent.objects.filter(type="account.lift_hold", data__reason="mass_401").exists()
    x.simulator.clear_faults()
    SystemHold.objects.update(lifted_at=timezone.now())
    QueueItem.objects.update(not_before=None)
    assert {x.publish(item).state for item in items} == {"published"}
    assert compare_counters() == []

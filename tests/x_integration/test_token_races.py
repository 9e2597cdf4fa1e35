"""Renewals that meet each other, a revocation, or a newer pair: one call at X, nothing overwritten."""

from datetime import timedelta
from threading import Thread

from django.db import connection
from django.utils import timezone

from revfirst.wait import wait_until
from tests.concurrency import run_together
from tests.worlds import operator
from tests.x_integration.renewals import TOKEN, account_of, pair_of, refreshes, renew, token_of
from workspaces.models import AuditEvent
from x_integration.client import XClient
from x_integration.models import XAccount
from x_integration.services import refresh_workspace_x_tokens, revoke_workspace_x_tokens


def test_eight_threads_with_an_expired_token_make_one_call_at_x(x, expired):
    x.fault("delay", path=TOKEN, ms=300)
    assert run_together(*[lambda: token_of(expired)] * 8) == ["ok"] * 8
    overview = x.simulator.overview()
    assert len(x.calls("POST", TOKEN)) == 1
    assert (overview["refresh_rotations"], overview["refresh_reuses"]) == (1, 0)
    assert XClient().me(token_of(expired))[1] == "cafe"


def test_eight_renewals_together_are_one_and_seven_that_were_skipped(x, expired):
    x.fault("delay", path=TOKEN, ms=300)
    outcomes = []
    run_together(*[lambda: outcomes.append(renew(expired))] * 8)
    assert sorted(outcomes) == ["skipped_locked"] * 7 + ["success"]
    assert refreshes() == {"outcome=success": 1, "outcome=skipped_locked": 7}


def test_a_lease_that_ran_out_does_not_block_the_next_renewal(x, expired):
    now = timezone.now()
    XAccount.objects.update(refresh_leased_until=now - timedelta(seconds=1))
    assert renew(expired) == "success"


def test_a_lease_that_somebody_holds_blocks_the_next_renewal(x, expired):
    XAccount.objects.update(refresh_leased_until=timezone.now() + timedelta(seconds=60))
    assert renew(expired) == "skipped_locked"
    assert x.simulator.requests() == []


def during_renewal(x, workspace, act):
    """Do something while X takes its time with a renewal; the outcome of the renewal."""
    x.fault("delay", path=TOKEN, ms=500)
    outcomes = []

    def work():
        try:
            outcomes.append(renew(workspace))
        finally:
            connection.close()

    thread = Thread(target=work)
    thread.start()
    assert wait_until(lambda: len(x.calls("POST", TOKEN)) == 1, seconds=5)
    act()
    thread.join(10)
    return outcomes


def test_a_revocation_during_a_renewal_stays(x, cafe):
    during_renewal(
        x,
        cafe,
        lambda: revoke_workspace_x_tokens(cafe, actor=operator(cafe), now=timezone.now()),
    )
    account = account_of(cafe)
    assert account.revoked_at is not None
    assert (account.access_token, account.refresh_token) == (None, None)
    assert account.connected_reason(timezone.now()) == "revoked"
    assert x.simulator.overview()["grants_live"] == 0


def test_a_pair_that_came_after_a_revocation_is_not_stored(x, cafe):
    class RevokedMeanwhile(XClient):
        def refresh_token(self, refresh_token):
            pair = super().refresh_token(refresh_token)
            revoke_workspace_x_tokens(cafe, actor=operator(cafe), now=timezone.now())
            return pair

    refresh_workspace_x_tokens(cafe, now=timezone.now(), x=RevokedMeanwhile())
    account = account_of(cafe)
    assert (account.access_token, account.refresh_token) == (None, None)
    assert x.simulator.overview()["grants_live"] == 0


def test_a_newer_pair_is_not_overwritten_by_an_older_renewal(x, cafe):
    def connected_again():
        XAccount.objects.update(token_version=2)

    kept = pair_of(cafe)
    during_renewal(x, cafe, connected_again)
    assert pair_of(cafe) == kept
    assert AuditEvent.objects.get(type="token.refresh").data["stored"] is False


def test_a_refusal_is_not_believed_when_a_newer_pair_is_there(x, cafe):
    def connected_again():
        x.simulator.reset()
        XAccount.objects.update(token_version=2)

    assert during_renewal(x, cafe, connected_again) == ["refused"]
    assert account_of(cafe).reauthorization_required_at is None

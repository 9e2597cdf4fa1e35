"""Somebody renews between reading the row and deciding: the reader looks again and gets the new token."""

from datetime import timedelta

from django.utils import timezone

from tests.x_integration.renewals import pair_of, renew, token_of
from x_integration.models import XAccount
from x_integration.services import tokens
from x_integration.services.renewal import why_no_renewal


def meanwhile(monkeypatch, act):
    """Do `act` once, just before the reader decides."""
    decide, acts = why_no_renewal, [act]

    def late(account):
        while acts:
            acts.pop()()
        return decide(account)

    monkeypatch.setattr(tokens, "why_no_renewal", late)


def test_a_renewal_that_ended_meanwhile_is_seen(x, expired, monkeypatch):
    meanwhile(monkeypatch, lambda: renew(expired))
    assert token_of(expired) == pair_of(expired)[0]


def test_a_lease_that_was_taken_meanwhile_is_waited_out(x, expired, monkeypatch):
    soon = timezone.now() + timedelta(seconds=1)
    meanwhile(monkeypatch, lambda: XAccount.objects.update(refresh_leased_until=soon))
    assert token_of(expired) == pair_of(expired)[0]

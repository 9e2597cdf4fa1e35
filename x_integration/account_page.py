"""What the account's page says: plain words for each state, and what to do next. Nothing is written here."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db.models import Q
from django.utils import timezone

from revfirst.words import Note, in_words, when
from workspaces.models import AuditEvent, Membership, User, Workspace
from workspaces.services import is_operator
from x_integration import services
from x_integration.models import XAccount


@dataclass(frozen=True)
class Meaning:
    """What a connection's reason means, and what to do next, in one sentence."""

    tone: str
    sentence: str


_MEANINGS = {
    "not_connected": Meaning(
        "quiet",
        "No account on X is connected: nothing is read or published until one is.",
    ),
    "revoked": Meaning(
        "quiet",
        "The account was disconnected: nothing is read or published until it is connected again.",
    ),
    "access_token_valid": Meaning(
        "good",
        "The connection works: X takes our token, and there is nothing to do.",
    ),
    "expired_but_auto_refresh_available": Meaning(
        "wait",
        "The token has run out and is renewed by itself, at the latest when it is needed: "
        "if this stays for more than a few minutes, renew it now.",
    ),
    "auto_refresh_available": Meaning(
        "wait",
        "There is no token that X takes, but another can be had by itself: "
        "if this stays for more than a few minutes, renew it now.",
    ),
    "reauthorization_required": Meaning(
        "bad",
        "X does not renew the connection any more, or what is stored cannot be read: "
        "an owner or admin has to connect the account again.",
    ),
    "access_token_unavailable": Meaning(
        "bad",
        "There is no token that X takes, and none comes by itself: "
        "an owner or admin has to connect the account again.",
    ),
    "access_token_expired": Meaning(
        "bad",
        "The token has run out, and no other comes by itself: "
        "an owner or admin has to connect the account again.",
    ),
}

_HOLDS = {
    "x_unauthorized": "X did not take a renewed token either: connect the account again.",
    "x_account": "X says that the account is suspended, locked or lacks a permission: "
    "look at the account on X, then lift the hold.",
    "client_forbidden": "X does not let our app post: see to the app's access at X, "
    "then lift the hold.",
    "unsupported_authentication": "X does not take this kind of login for posting: "
    "see to the app's settings at X, then lift the hold.",
    "oauth1_permissions": "X says that the app may only read: "
    "let it write in the app's settings at X, connect again, then lift the hold.",
    "not_authorized_for_client": "X does not let our app act for this account: "
    "connect it again, then lift the hold.",
}
_OTHER_HOLD = "Look at the account on X, then lift the hold."

_HAPPENED = {
    "token.refresh": "renewal",
    "token.reject": "X did not take the token",
    "account.connect": "connection",
    "account.connect_refused": "try to connect",
    "account.hold": "hold",
    "account.lift_hold": "hold lifted",
    "account.revoke": "disconnection",
}


def meaning_of(reason: str) -> Note:
    """What a connection's reason means, and what to do next."""
    meaning = _MEANINGS[reason]
    return Note(meaning.tone, in_words(reason), meaning.sentence)


def unconnected(user: User) -> list[dict[str, Any]]:
    """The person's workspaces without a live account, and whether they may connect one."""
    without = Q(workspace__x_account=None) | Q(workspace__x_account__revoked_at__isnull=False)
    mine = Membership.objects.filter(without, user=user).order_by("workspace__slug")
    return [
        {
            "workspace": membership.workspace,
            "meaning": meaning_of(_reason_without_account(membership.workspace)),
            "may_connect": membership.role in Membership.OPERATORS,
        }
        for membership in mine.select_related("workspace__x_account")
    ]


def _reason_without_account(workspace: Workspace) -> str:
    return "revoked" if hasattr(workspace, "x_account") else "not_connected"


def account_page(account: XAccount, user: User) -> dict[str, Any]:
    """Everything that the account's page says and offers."""
    now, operates = timezone.now(), is_operator(user, account.workspace)
    return {
        "meaning": meaning_of(account.connected_reason(now)),
        "publish_ready": account.publish_ready(now),
        "notes": _notes(account, now),
        "facts": _facts(account, now),
        "scopes": _scopes(account) if account.revoked_at is None else [],
        "happened": _happened(account.workspace),
        "operates": operates,
        "may_renew": operates
        and account.can_auto_refresh
        and not services.may_be_spent(account, now=now),
        "may_disconnect": operates and account.revoked_at is None,
        "may_lift": operates and account.held_at is not None,
    }


def _notes(account: XAccount, now: datetime) -> list[Note]:
    """What is to be known beside the reason, the worst first."""
    notes = []
    if account.held_at:
        sentence = _HOLDS.get(account.held_reason, _OTHER_HOLD)
        told = f"Nothing is published ({in_words(account.held_reason)}). {sentence}"
        notes.append(Note("bad", "held", told))
    if account.revoked_at:
        return notes
    if not account.has_publish_scope:
        told = "X did not grant us to post (tweet.write): connect again and allow it there."
        notes.append(Note("bad", "may not post", told))
    notes += _notes_on_renewal(account, now)
    return notes


def _notes_on_renewal(account: XAccount, now: datetime) -> list[Note]:
    notes = []
    if account.refresh_token is None:
        told = (
            "X gave no refresh token (offline.access): "
            "the account must be connected again every two hours."
        )
        notes.append(Note("wait", "cannot be renewed", told))
    elif not settings.X_AUTO_REFRESH_ENABLED:
        told = "Renewal is switched off here (X_AUTO_REFRESH_ENABLED)."
        notes.append(Note("wait", "not renewed", told))
    if account.last_refresh_error and account.reauthorization_required_at is None:
        notes.append(Note("wait", "last renewal", _last_error(account, now)))
    return notes


def _last_error(account: XAccount, now: datetime) -> str:
    """What the last renewal said, and what comes of it."""
    code = account.last_refresh_error
    if code == "x_client_refused":
        return (
            "X does not accept our app's own id and secret: "
            "whoever runs this system has to check X_CLIENT_ID and X_CLIENT_SECRET."
        )
    if services.may_be_spent(account, now=now):
        return (
            f"X gave no clear answer ({in_words(code)}) and may have renewed all the same. The worker "
            "tries once more shortly before the token runs out; trying sooner may end the connection."
        )
    return f"It brought nothing ({in_words(code)}); the worker tries again."


def _facts(account: XAccount, now: datetime) -> list[tuple[str, str]]:
    """Instants and numbers, each with its name."""
    facts = [("Workspace", str(account.workspace)), ("Connected", when(account.connected_at, now))]
    if account.revoked_at:
        return [*facts, ("Disconnected", when(account.revoked_at, now))]
    return [
        *facts,
        ("Token expires", when(account.expires_at, now)),
        ("Renewed by itself", _renewal(account, now)),
        ("Last renewal", when(account.last_refresh_at, now)),
        ("Token version", str(account.token_version)),
    ]


def _renewal(account: XAccount, now: datetime) -> str:
    """When the worker renews the token."""
    if not account.can_auto_refresh:
        return "no"
    known = [at for at in (services.renew_at(account), account.refresh_not_before) if at]
    due = max(known, default=now)
    return "within a minute" if due <= now else f"from {when(due, now)}"


def _scopes(account: XAccount) -> list[tuple[str, bool]]:
    """What X granted, in the order in which we ask, and whether it did."""
    granted, asked = account.scope.split(), services.DEFAULT_SCOPE.split()
    more = [word for word in granted if word not in asked]
    return [(word, word in granted) for word in [*asked, *more]]


def _happened(workspace: Workspace) -> list[dict[str, Any]]:
    """The last ten things that happened to the workspace's account and its tokens."""
    ours = Q(type__startswith="token.") | Q(type__startswith="account.")
    events = AuditEvent.objects.filter(ours, chain=str(workspace.pk)).order_by("-seq")
    return [
        {
            "at": event.at,
            "what": _HAPPENED.get(event.type, event.type),
            "outcome": _outcome(event.data),
        }
        for event in events[:10]
    ]


def _outcome(data: dict[str, Any]) -> str:
    """What came of it, as far as the audit row says."""
    told = [data.get("outcome") or data.get("reason"), data.get("code")]
    return ": ".join(in_words(str(word)) for word in told if word) or "done"

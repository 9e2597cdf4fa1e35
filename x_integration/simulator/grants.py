"""Consent on the simulated X: codes, access tokens, and refresh tokens that work once.

Tokens and codes are kept and journalled as SHA-256 only. A refresh token that comes back after it
was rotated ends its whole family, as X is reported to do.
"""

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field

from x_integration.simulator.journal import Event

_ALL_SCOPES = """
    block.read block.write bookmark.read bookmark.write dm.read dm.write follows.read follows.write
    like.read like.write list.read list.write media.write mute.read mute.write offline.access
    space.read timeline.read tweet.moderate.write tweet.read tweet.write users.email users.read
"""
SCOPES = frozenset(_ALL_SCOPES.split())
DEFAULT_SCOPE = "tweet.read tweet.write users.read offline.access"


class TokenInvalid(Exception):
    """X does not know this token or code, or no longer honours it."""


@dataclass(slots=True)
class Family:
    """One consent and every token that came from it."""

    number: int
    user_id: int
    scope: str
    refresh_hash: str | None = None
    access_until: dict[str, int] = field(default_factory=dict)
    revoked: bool = False

    def scopes(self) -> frozenset[str]:
        return frozenset(self.scope.split())


@dataclass(slots=True)
class Code:
    """An authorization code that was handed to a redirect."""

    user_id: int
    scope: str
    redirect_uri: str
    challenge: str
    expires_ms: int
    used: bool = False


@dataclass(frozen=True, slots=True, repr=False)
class IssuedTokens:
    """What the token endpoint answers with. No repr: it carries secrets."""

    access_token: str
    refresh_token: str | None
    scope: str
    expires_in: int


def hash_of(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


class Grants:
    """Every consent. Callers hold the state's lock."""

    def __init__(self, record: Callable[[Event], None]) -> None:
        self._record = record
        self.forget()

    def forget(self) -> None:
        """Nobody has consented to anything."""
        self.families: dict[int, Family] = {}
        self._codes: dict[str, Code] = {}
        self._by_access: dict[str, Family] = {}
        self._by_refresh: dict[str, Family] = {}
        self._by_user: dict[int, list[Family]] = {}
        self.rotations = 0
        self.reuses = 0
        self.refusals = 0

    # --- asking -------------------------------------------------------------------------------

    def bearer(self, access_token: str, now: int) -> Family | None:
        """The live consent behind an access token."""
        hashed = hash_of(access_token)
        family = self._by_access.get(hashed)
        if family is None or family.revoked or family.access_until.get(hashed, 0) <= now:
            return None
        return family

    def code(self, code: str, now: int) -> Code:
        """The code, still good. Raises TokenInvalid when unknown, used or too old."""
        found = self._codes.get(hash_of(code))
        if found is None or found.used or found.expires_ms <= now:
            raise TokenInvalid
        return found

    def owner_of(self, secret: str) -> int | None:
        """The user behind any token or code, live or not: for the request log and for faults."""
        hashed = hash_of(secret)
        known = (
            self._by_refresh.get(hashed) or self._by_access.get(hashed) or self._codes.get(hashed)
        )
        return known.user_id if known else None

    def has_live_grant(self, user_id: int) -> bool:
        """Whether some app is connected to this account."""
        return bool(self._live_families(user_id))

    def live_count(self) -> int:
        return sum(not family.revoked for family in self.families.values())

    def _live_families(self, user_id: int) -> list[Family]:
        return [family for family in self._by_user.get(user_id, ()) if not family.revoked]

    # --- happening ----------------------------------------------------------------------------

    def issue_code(
        self, user_id: int, scope: str, redirect_uri: str, challenge: str, expires_ms: int
    ) -> str:
        """Write a person's consent down and return the code for the redirect."""
        code = secrets.token_urlsafe(48)
        event: Event = {"e": "code", "hash": hash_of(code), "user": user_id, "scope": scope}
        event |= {"redirect_uri": redirect_uri, "challenge": challenge, "until": expires_ms}
        self._record(event)
        return code

    def grant(
        self,
        user_id: int,
        scope: str,
        *,
        now: int,
        expires_in: int,
        code: str | None = None,
        alone: bool = False,
    ) -> IssuedTokens:
        """Begin a family; uses `code` up. A refresh token comes only with offline.access.

        `alone` ends the user's older families, as X is reported to do with a second consent.
        """
        issued = _new_tokens(scope, expires_in)
        event: Event = {"e": "grant", "family": len(self.families) + 1, "user": user_id}
        event |= {"scope": scope, **_token_fields(issued, now)}
        if code is not None:
            event["code"] = hash_of(code)
        if alone:
            event["ends"] = [family.number for family in self._live_families(user_id)]
        self._record(event)
        return issued

    def rotate(self, refresh_token: str, *, now: int, expires_in: int) -> IssuedTokens:
        """Use a refresh token up. Raises TokenInvalid; reuse of a rotated one ends the family.

        The family's earlier access tokens stay good until they run out.
        """
        hashed = hash_of(refresh_token)
        family = self._by_refresh.get(hashed)
        if family is None or family.revoked:
            self._record({"e": "refused"})
            raise TokenInvalid
        if family.refresh_hash != hashed:
            self._record({"e": "revoked", "family": family.number, "reuse": True})
            raise TokenInvalid
        issued = _new_tokens(family.scope, expires_in)
        self._record({"e": "rotated", "family": family.number, **_token_fields(issued, now)})
        return issued

    def revoke(self, token: str) -> None:
        """Revoke as RFC 7009 asks: a refresh token takes its family along, an access token goes alone."""
        hashed = hash_of(token)
        if family := self._by_refresh.get(hashed):
            self._record({"e": "revoked", "family": family.number})
        elif family := self._by_access.get(hashed):
            self._record({"e": "revoked", "family": family.number, "access": hashed})

    # --- replaying ----------------------------------------------------------------------------

    def apply_code(self, event: Event) -> None:
        self._codes[event["hash"]] = Code(
            event["user"], event["scope"], event["redirect_uri"], event["challenge"], event["until"]
        )

    def apply_grant(self, event: Event) -> None:
        for number in event.get("ends", ()):
            self.families[number].revoked = True
        family = Family(event["family"], event["user"], event["scope"])
        self.families[family.number] = family
        self._by_user.setdefault(family.user_id, []).append(family)
        if "code" in event:
            self._codes[event["code"]].used = True
        self._take_tokens(family, event)

    def apply_rotated(self, event: Event) -> None:
        self.rotations += 1
        self._take_tokens(self.families[event["family"]], event)

    def apply_revoked(self, event: Event) -> None:
        family = self.families[event["family"]]
        if "access" in event:
            family.access_until.pop(event["access"], None)
            return
        family.revoked = True
        if event.get("reuse"):
            self.reuses += 1
            self.refusals += 1

    def apply_refused(self, event: Event) -> None:
        self.refusals += 1

    def _take_tokens(self, family: Family, event: Event) -> None:
        family.access_until[event["access"]] = event["until"]
        self._by_access[event["access"]] = family
        family.refresh_hash = event.get("refresh")
        if family.refresh_hash is not None:
            self._by_refresh[family.refresh_hash] = family


def _new_tokens(scope: str, expires_in: int) -> IssuedTokens:
    refresh = secrets.token_urlsafe(48) if "offline.access" in scope.split() else None
    return IssuedTokens(secrets.token_urlsafe(48), refresh, scope, expires_in)


def _token_fields(issued: IssuedTokens, now: int) -> Event:
    fields: Event = {
        "access": hash_of(issued.access_token),
        "until": now + issued.expires_in * 1000,
    }
    if issued.refresh_token is not None:
        fields["refresh"] = hash_of(issued.refresh_token)
    return fields

"""API keys: made by a person, shown once, kept as a hash."""

import hashlib
import secrets
from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F, Q

from workspaces import audit
from workspaces.actors import Actor
from workspaces.errors import ApiKeyNotFound, BadApiKey, NotAllowed
from workspaces.models import ApiKey, User, Workspace
from workspaces.services.roles import check_member, check_operator, role_of

OPERATORS_SCOPES = frozenset({ApiKey.Scope.QUEUE_EDIT, ApiKey.Scope.PUBLISH_DIRECT})
_NOTED_EVERY = timedelta(minutes=1)
_LONGEST_NAME = 60


def create_api_key(
    workspace: Workspace, *, name: str, scopes: Iterable[str], actor: Actor, now: datetime
) -> tuple[ApiKey, str]:
    """Make a key for the person who asks; returns its row and the key, which is nowhere else.

    Raises BadApiKey, WorkspaceNotFound for a stranger, or NotAllowed.
    """
    wanted = sorted(set(scopes))
    user = _check_may_make(workspace, wanted, actor)
    prefix = f"rf_{secrets.token_hex(4)}"
    secret = f"{prefix}_{secrets.token_urlsafe(32)}"
    with transaction.atomic(durable=True):
        key = ApiKey.objects.create(
            workspace=workspace,
            user=user,
            name=_checked_name(name),
            prefix=prefix,
            key_hash=hash_of(secret),
            scopes=wanted,
            created_at=now,
        )
        _record("create", key, actor=actor, now=now)
    return key, secret


def revoke_api_key(key_id: int, *, actor: Actor, now: datetime) -> bool:
    """End a key at once (its maker or an operator); says whether it changed.

    Raises ApiKeyNotFound, also to a stranger, or NotAllowed.
    """
    key = ApiKey.objects.select_related("workspace").filter(pk=key_id).first()
    if key is None:
        raise ApiKeyNotFound
    if actor.user:
        _check_may_revoke(key, actor.user)
    with transaction.atomic(durable=True):
        revoked = ApiKey.objects.filter(pk=key_id, revoked_at=None).update(revoked_at=now)
        if revoked:
            _record("revoke", key, actor=actor, now=now)
    return bool(revoked)


def live_api_key(secret: str, *, now: datetime) -> ApiKey | None:
    """The key, while it is not revoked and its maker is an active member; notes that it was used.

    Found by its hash: how long that takes tells nothing about a key that is like another.
    """
    maker = Q(user__is_active=True, workspace__memberships__user=F("user"))
    rows = ApiKey.objects.filter(maker, key_hash=hash_of(secret), revoked_at=None)
    key = rows.select_related("user").first()
    if key and (key.last_used_at is None or key.last_used_at <= now - _NOTED_EVERY):
        unnoted = Q(last_used_at=None) | Q(last_used_at__lte=now - _NOTED_EVERY)
        ApiKey.objects.filter(unnoted, pk=key.pk).update(last_used_at=now)
    return key


def hash_of(secret: str) -> str:
    """SHA-256 in hex: a key is random, so it needs no salt and no slow hash."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()


def _checked_name(name: str) -> str:
    kept = name.strip()
    if not kept or len(kept) > _LONGEST_NAME or not kept.isprintable():
        raise BadApiKey(f"Give the key a name of at most {_LONGEST_NAME} characters.")
    return kept


def _check_may_make(workspace: Workspace, scopes: list[str], actor: Actor) -> User:
    """The person who makes it."""
    if actor.user is None:
        raise NotAllowed("Only a person makes a key.")
    check_member(actor.user, workspace)
    if not scopes or not set(scopes) <= set(ApiKey.Scope.values):
        raise BadApiKey
    if not OPERATORS_SCOPES.isdisjoint(scopes):
        check_operator(actor.user, workspace)
    return actor.user


def _check_may_revoke(key: ApiKey, user: User) -> None:
    if role_of(user, key.workspace) is None:
        raise ApiKeyNotFound
    if key.user_id != user.pk:
        check_operator(user, key.workspace)


def _record(move: str, key: ApiKey, *, actor: Actor, now: datetime) -> None:
    audit.record(
        f"key.{move}",
        workspace=key.workspace,
        subject=f"key:{key.pk}",
        actor=actor,
        now=now,
        data={"prefix": key.prefix, "scopes": key.scopes},
    )

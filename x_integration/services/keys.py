"""Rotating the keys that encrypt tokens at rest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.db.models import Model

from workspaces import audit
from x_integration.crypto import Secret, keyed_hash
from x_integration.errors import Undecryptable
from x_integration.models import OAuthState, XAccount

if TYPE_CHECKING:
    from datetime import datetime

    from workspaces.actors import Actor

BATCH_SIZE = 500


@dataclass
class Rotation:
    """How far a rotation is, in rows."""

    total: int
    read: int = 0
    sealed_anew: int = 0
    unreadable: list[str] = field(default_factory=list)  # whose


def rotate_keys(
    *, actor: Actor, now: datetime, tell: Callable[[Rotation], object] = lambda _: None
) -> Rotation:
    """Encrypt every stored secret with the first key, and hash tokens with it; `tell` after each batch.

    Safe to stop and to run again: what the first key opens is left alone. A token that is renewed
    meanwhile is encrypted with the first key anyway, and is never overwritten.
    """
    tables: list[type[Model]] = [XAccount, OAuthState]
    done = Rotation(total=sum(table._default_manager.count() for table in tables))
    for table in tables:
        last = 0
        while rows := list(table._default_manager.filter(pk__gt=last).order_by("pk")[:BATCH_SIZE]):
            with transaction.atomic(durable=True):
                for row in rows:
                    _rotate(row, done)
            last = rows[-1].pk
            done.read += len(rows)
            tell(done)
    with transaction.atomic(durable=True):
        told = {"sealed_anew": done.sealed_anew, "unreadable": len(done.unreadable)}
        audit.record("keys.rotate", subject="system", actor=actor, now=now, data=told)
    return done


_SECRETS: dict[type[Model], dict[str, str]] = {  # column: where its keyed hash is kept
    XAccount: {"access_token": "access_token_hash", "refresh_token": "refresh_token_hash"},
    OAuthState: {"code_verifier": ""},
}


def _rotate(row: Any, done: Rotation) -> None:
    """Replace what other keys encrypted, where the row still has the ciphertext that was read."""
    changes: dict[str, Any] = {}
    read: dict[str, Any] = {}
    for column, hash_column in _SECRETS[type(row)].items():
        secret: Secret | None = getattr(row, column)
        if secret is None or secret.is_sealed_anew():
            continue
        try:
            plain = secret.open()
        except Undecryptable:
            done.unreadable.append(str(row))
            continue
        read[column] = secret
        changes[column] = Secret.seal(plain)
        if hash_column:
            changes[hash_column] = keyed_hash(plain)
    if changes:
        rows = type(row)._default_manager.filter(pk=row.pk, **read)
        done.sealed_anew += rows.update(**changes)

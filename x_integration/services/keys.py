"""Rotating the keys that encrypt tokens at rest."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.db.models import Model, QuerySet

from workspaces import audit
from x_integration.crypto import Secret, keyed_hash
from x_integration.errors import Undecryptable
from x_integration.models import OAuthState, XAccount

if TYPE_CHECKING:
    from datetime import datetime

    from workspaces.actors import Actor

BATCH_SIZE, MOST_PASSES = 100, 5


@dataclass
class Rotation:
    """How far a rotation is, in rows."""

    total: int
    passes: int = 0
    read: int = 0  # in this pass
    sealed_anew: int = 0
    unreadable: set[str] = field(default_factory=set)  # whose
    is_whole: bool = False  # the last pass found nothing that another key encrypts


def rotate_keys(
    *, actor: Actor, now: datetime, tell: Callable[[Rotation], object] = lambda _: None
) -> Rotation:
    """Encrypt every stored secret with the first key, and hash tokens with it; `tell` after each batch.

    Safe to stop and to run again: what the first key opens is left alone, and a token that is
    renewed meanwhile is never overwritten. Passes are made until one finds nothing to do, since a
    process that was not restarted goes on encrypting with the key that it knows.
    """
    tables: list[QuerySet[Any]] = [
        XAccount.objects.all(),
        OAuthState.objects.filter(used_at=None, expires_at__gt=now),
    ]
    done = Rotation(total=sum(table.count() for table in tables))
    while not done.is_whole and done.passes < MOST_PASSES:
        done.passes, done.read, done.is_whole = done.passes + 1, 0, True
        for table in tables:
            for batch in _batches(table):
                with transaction.atomic(durable=True):
                    for row in batch:
                        _rotate(row, done)
                done.read += len(batch)
                tell(done)
    with transaction.atomic(durable=True):
        told = {"sealed_anew": done.sealed_anew, "unreadable": len(done.unreadable)}
        audit.record("keys.rotate", subject="system", actor=actor, now=now, data=told)
    return done


def _batches(table: QuerySet[Any]) -> Iterator[list[Any]]:
    last = 0
    while rows := list(table.filter(pk__gt=last).order_by("pk")[:BATCH_SIZE]):
        yield rows
        last = rows[-1].pk


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
            done.unreadable.add(str(row))
            continue
        read[column] = secret
        changes[column] = Secret.seal(plain)
        if hash_column:
            changes[hash_column] = keyed_hash(plain)
    if changes:
        done.is_whole = False
        done.sealed_anew += type(row)._default_manager.filter(pk=row.pk, **read).update(**changes)

"""Secrets at rest: a MultiFernet key ring, and a keyed hash to recognise a token without reading it."""

from __future__ import annotations

import hashlib
import hmac
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import models

from x_integration.errors import Undecryptable


class Secret:
    """Ciphertext that is opened only by name, so that no repr, log or page shows it."""

    def __init__(self, ciphertext: str) -> None:
        self.ciphertext = ciphertext

    @classmethod
    def seal(cls, plain: str) -> Secret:
        """Encrypt with the first key of the ring."""
        return cls(_ring(tuple(settings.TOKEN_ENCRYPTION_KEYS)).encrypt(plain.encode()).decode())

    def open(self) -> str:
        """The plain text, by whichever key of the ring fits. Raises Undecryptable."""
        ring = _ring(tuple(settings.TOKEN_ENCRYPTION_KEYS))
        try:
            return ring.decrypt(self.ciphertext.encode()).decode()
        except InvalidToken:
            raise Undecryptable from None

    def is_sealed_anew(self) -> bool:
        """Whether the first key of the ring opens it: nothing is left to rotate."""
        try:
            Fernet(settings.TOKEN_ENCRYPTION_KEYS[0]).decrypt(self.ciphertext.encode())
        except InvalidToken:
            return False
        return True

    def opens(self) -> bool:
        """Whether a key of the ring fits."""
        try:
            self.open()
        except Undecryptable:
            return False
        return True

    def __repr__(self) -> str:
        return "Secret(hidden)"


if TYPE_CHECKING:
    _TextField = models.TextField["Secret | None", "Secret | None"]
else:
    _TextField = models.TextField


class SecretField(_TextField):
    """A nullable column that holds a `Secret`; the database has ciphertext only."""

    def from_db_value(self, value: str | None, expression: Any, connection: Any) -> Secret | None:
        """Wrap without opening: a wrong key must not break reading the row."""
        return None if value is None else Secret(value)

    def to_python(self, value: Any) -> Secret | None:
        """Nothing but a Secret, or None."""
        if value is None or isinstance(value, Secret):
            return value
        raise TypeError("A SecretField takes a Secret.")

    def get_prep_value(self, value: Any) -> str | None:
        """The ciphertext."""
        secret = self.to_python(value)
        return None if secret is None else secret.ciphertext


def keyed_hash(plain: str) -> str:
    """HMAC-SHA-256 in hex, keyed by the first key: it tells a token again without reading it."""
    return _hmac(settings.TOKEN_ENCRYPTION_KEYS[0], plain)


def hash_matches(plain: str, stored: str) -> bool:
    """Whether `stored` is the keyed hash of `plain`, under whichever key of the ring it was made."""
    return any(
        hmac.compare_digest(_hmac(key, plain), stored) for key in settings.TOKEN_ENCRYPTION_KEYS
    )


def _hmac(key: str, plain: str) -> str:
    return hmac.new(key.encode(), plain.encode(), hashlib.sha256).hexdigest()


@lru_cache(maxsize=4)
def _ring(keys: tuple[str, ...]) -> MultiFernet:
    try:
        return MultiFernet([Fernet(key) for key in keys])
    except ValueError:
        raise ImproperlyConfigured(
            "TOKEN_ENCRYPTION_KEY must be one or more Fernet keys: 32 bytes in url-safe base64."
        ) from None

"""How a pair of tokens stands in its row."""

from datetime import datetime
from typing import Any

from x_integration.client import TokenPair
from x_integration.crypto import Secret, keyed_hash


def token_columns(pair: TokenPair, *, now: datetime) -> dict[str, Any]:
    """The columns that a new pair changes; a missing refresh token leaves the stored one alone.

    A pair that came is one that X honours: what stood against the one before is over.
    """
    columns: dict[str, Any] = {
        "access_token": Secret.seal(pair.access_token),
        "access_token_hash": keyed_hash(pair.access_token),
        "access_token_rejected_at": None,
        "expires_at": now + pair.expires_in,
        "token_type": pair.token_type,
        "last_refresh_error": "",
        "refresh_failures": 0,
        "refresh_not_before": None,
        "reauthorization_required_at": None,
        "updated_at": now,
    }
    if pair.scope:
        columns["scope"] = pair.scope
    if refresh_token := (pair.refresh_token or "").strip():
        columns["refresh_token"] = Secret.seal(refresh_token)
        columns["refresh_token_hash"] = keyed_hash(refresh_token)
    return columns

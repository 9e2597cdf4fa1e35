"""Every write to this app's rows."""

from x_integration.services.accounts import hold_account, lift_account_hold
from x_integration.services.connect import (
    DEFAULT_SCOPE,
    Authorization,
    begin_authorization,
    complete_authorization,
)
from x_integration.services.ingest import ingest_mentions
from x_integration.services.tokens import (
    due_for_renewal,
    get_workspace_x_access_token,
    refresh_workspace_x_tokens,
    require_workspace_x_access_token,
    revoke_workspace_x_tokens,
)

__all__ = [
    "DEFAULT_SCOPE",
    "Authorization",
    "begin_authorization",
    "complete_authorization",
    "due_for_renewal",
    "get_workspace_x_access_token",
    "hold_account",
    "ingest_mentions",
    "lift_account_hold",
    "refresh_workspace_x_tokens",
    "require_workspace_x_access_token",
    "revoke_workspace_x_tokens",
]

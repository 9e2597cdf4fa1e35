"""Every write to this app's rows."""

from x_integration.services.accounts import hold_account, lift_account_hold
from x_integration.services.bursts import many_of, note_unauthorized
from x_integration.services.connect import (
    DEFAULT_SCOPE,
    Authorization,
    begin_authorization,
    complete_authorization,
    forget_old_states,
)
from x_integration.services.feeds import (
    add_search,
    change_search,
    remove_search,
    switch_feed,
)
from x_integration.services.gone import look_again, mark_refused, note_what_is_gone
from x_integration.services.ingest import (
    READING_LASTS,
    READING_SECONDS,
    ingest_feed,
    ingest_mentions,
    mentions_feed,
)
from x_integration.services.keys import rotate_keys
from x_integration.services.own_posts import own_posts_since
from x_integration.services.rates import is_window_end, remember_rates
from x_integration.services.renewal import (
    may_be_spent,
    refresh_workspace_x_tokens,
    renew_by_hand,
)
from x_integration.services.renewal_schedule import due_for_renewal, renew_at, renew_batch
from x_integration.services.spending import forget_billed_reads, record_spend
from x_integration.services.targets import find_target
from x_integration.services.tokens import (
    get_workspace_x_access_token,
    give_up_after_unauthorized,
    require_workspace_x_access_token,
    revoke_workspace_x_tokens,
    token_after_unauthorized,
    with_access_token,
)

__all__ = [
    "DEFAULT_SCOPE",
    "READING_LASTS",
    "READING_SECONDS",
    "Authorization",
    "add_search",
    "begin_authorization",
    "change_search",
    "complete_authorization",
    "due_for_renewal",
    "find_target",
    "forget_billed_reads",
    "forget_old_states",
    "get_workspace_x_access_token",
    "give_up_after_unauthorized",
    "hold_account",
    "ingest_feed",
    "ingest_mentions",
    "is_window_end",
    "lift_account_hold",
    "look_again",
    "many_of",
    "mark_refused",
    "may_be_spent",
    "mentions_feed",
    "note_unauthorized",
    "note_what_is_gone",
    "own_posts_since",
    "record_spend",
    "refresh_workspace_x_tokens",
    "remember_rates",
    "remove_search",
    "renew_at",
    "renew_batch",
    "renew_by_hand",
    "require_workspace_x_access_token",
    "revoke_workspace_x_tokens",
    "rotate_keys",
    "switch_feed",
    "token_after_unauthorized",
    "with_access_token",
]

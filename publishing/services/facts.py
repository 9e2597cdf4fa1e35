"""What the gates ask about, read in one statement after the rows are locked.

A statement sees what was committed before it began: read after the locks, it sees every reservation
of whoever held them before. It is written in SQL because it is asked before every publication:
composing it anew each time costs more than the answer (docs/adr/0012-what-is-asked-each-time-is-built-once.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from publishing.models import CircuitBreaker, QueueItem
from publishing.services.content import RECENT_TEXTS
from revfirst.db import one_row
from workspaces.models import Workspace
from workspaces.policy import Policy
from workspaces.services import KILL_SWITCH
from x_integration.client import CREATE_POST
from x_integration.models import XAccount

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@dataclass(frozen=True)
class Facts:
    """Answers of rows, in the order of the statement; instants are UTC, money is US dollars."""

    kill_switch: bool
    system_hold: bool
    approver_may: bool
    opted_out: bool
    item_is_open: bool  # something of this item was sent, or may have been
    last_of_target: datetime | None  # when something was sent to the same post, or found late
    last_of_text: datetime | None  # the same for the same words to the same target, or as a post
    last_in_thread: datetime | None
    last_to_author: datetime | None
    hourly_nth: datetime | None  # when the reply was sent that fills the hourly quota
    daily_nth: datetime | None
    sent_texts: list[str]  # among the latest of the workspace: its own may be too much like one
    last_number: int  # of the item's attempts
    spent_today: Decimal
    spent_this_month: Decimal
    reserved: Decimal  # the price of what is in flight, and what the reading under way may cost
    rate_resets_at: datetime | None  # nothing is left of X's rate limit until then
    breaker_shut_until: datetime | None  # None while it is closed

    @property
    def breaker_is_open(self) -> bool:
        """Whether whoever is let through now is the one try."""
        return self.breaker_shut_until is not None


# What was sent, or may have been: each open attempt is a reservation.
_SENT = """publishing_publishattempt
    WHERE workspace_id = %(workspace)s AND outcome IN ('in_flight', 'unknown', 'succeeded')"""
_FOUND_LATE = """publishing_publishattempt
    WHERE workspace_id = %(workspace)s AND outcome = 'abandoned' AND reconciled"""
_ASK = f"""SELECT
EXISTS (SELECT FROM workspaces_systemswitch WHERE name = %(switch)s AND "on"),
EXISTS (SELECT FROM workspaces_systemhold WHERE lifted_at IS NULL),
EXISTS (SELECT FROM workspaces_membership m JOIN workspaces_user u ON u.id = m.user_id
    WHERE m.workspace_id = %(workspace)s AND m.user_id = %(approver)s
    AND m.role IN ('owner', 'admin') AND u.is_active),
EXISTS (SELECT FROM publishing_optout
    WHERE workspace_id = %(workspace)s AND author_id = %(author)s),
EXISTS (SELECT FROM {_SENT} AND item_id = %(item)s),
greatest(
    (SELECT max(started_at) FROM {_SENT} AND target = %(target)s AND target <> ''),
    (SELECT max(started_at) FROM {_FOUND_LATE} AND target = %(target)s AND target <> '')),
greatest(
    (SELECT max(started_at) FROM {_SENT} AND target = %(target)s AND text_hash = %(text_hash)s),
    (SELECT max(started_at) FROM {_FOUND_LATE} AND target = %(target)s
        AND text_hash = %(text_hash)s)),
(SELECT max(started_at) FROM {_SENT} AND thread = %(thread)s AND thread <> ''),
(SELECT max(started_at) FROM {_SENT} AND author_id = %(author)s AND author_id <> ''),
(SELECT started_at FROM {_SENT} AND kind = 'reply'
    ORDER BY started_at DESC OFFSET greatest(%(hourly)s - 1, 0) LIMIT 1),
(SELECT started_at FROM {_SENT} AND kind = 'reply'
    ORDER BY started_at DESC OFFSET greatest(%(daily)s - 1, 0) LIMIT 1),
ARRAY(SELECT text FROM (SELECT text, state FROM publishing_queueitem
    WHERE workspace_id = %(workspace)s AND id <> %(item)s AND state <> 'rejected'
    ORDER BY number DESC LIMIT {RECENT_TEXTS}) latest
    WHERE %(compared)s AND state IN ('publishing', 'unconfirmed', 'published', 'handed_off')),
(SELECT coalesce(max(number), 0) FROM publishing_publishattempt WHERE item_id = %(item)s),
(SELECT coalesce(sum(usd), 0) FROM x_integration_spend
    WHERE workspace_id = %(workspace)s AND day = %(today)s),
(SELECT coalesce(sum(usd), 0) FROM x_integration_spend
    WHERE workspace_id = %(workspace)s AND day >= %(first_of_month)s),
(SELECT coalesce(sum(usd), 0) FROM publishing_publishattempt
    WHERE workspace_id = %(workspace)s AND outcome = 'in_flight')
+ (SELECT coalesce(sum(usd), 0) FROM publishing_readingreservation
    WHERE workspace_id = %(workspace)s AND until > %(now)s),
(SELECT reset_at FROM x_integration_ratewindow
    WHERE account_id = %(account)s AND endpoint = %(endpoint)s AND remaining = 0
    AND reset_at > %(now)s),
(SELECT shut_until FROM publishing_circuitbreaker WHERE name = %(breaker)s)
"""  # noqa: S608 - our own words; values travel apart


def facts_about(
    item: QueueItem,
    *,
    workspace: Workspace,
    account: XAccount | None,
    approver_id: int | None,
    text_hash: str,
    compared: bool,
    policy: Policy,
    now: datetime,
) -> Facts:
    """Everything at once; `item` may be one that is not saved yet, and is `compared` with the latest or not."""
    post, today = item.source_post, now.astimezone(UTC).date()
    asked = {
        "workspace": workspace.pk,
        "item": item.pk or 0,
        "account": account.pk if account else 0,
        "approver": approver_id or 0,
        "target": post.x_post_id if post else "",
        "thread": post.thread if post else "",
        "author": post.author_id if post else "",
        "text_hash": text_hash,
        "hourly": policy.replies_per_hour,
        "daily": policy.replies_per_day,
        "compared": compared,
        "today": today,
        "first_of_month": today.replace(day=1),
        "now": now,
        "switch": KILL_SWITCH,
        "endpoint": CREATE_POST,
        "breaker": CircuitBreaker.X,
    }
    return Facts(*one_row(_ASK, asked))

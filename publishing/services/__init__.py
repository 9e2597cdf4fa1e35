"""Every write to this app's rows."""

from publishing.services.claim import claim_item
from publishing.services.compare import Legs, compare_counters, compare_workspace
from publishing.services.decide import approve_item, edit_item, reject_item
from publishing.services.propose import propose_item, propose_replies
from publishing.services.publish import publish_batch, publish_item
from publishing.services.reconcile import look_for_attempt, sweep
from publishing.services.settle import record_replies_published, settle_attempt

__all__ = [
    "Legs",
    "approve_item",
    "claim_item",
    "compare_counters",
    "compare_workspace",
    "edit_item",
    "look_for_attempt",
    "propose_item",
    "propose_replies",
    "publish_batch",
    "publish_item",
    "record_replies_published",
    "reject_item",
    "settle_attempt",
    "sweep",
]

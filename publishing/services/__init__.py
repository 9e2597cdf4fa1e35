"""Every write to this app's rows."""

from publishing.services.attempts import price_of_item
from publishing.services.budget import purses_of, reserved_for_reading, warn_of_budgets
from publishing.services.candidates import propose_anyway, propose_replies
from publishing.services.claim import claim_item
from publishing.services.compare import Legs, compare_counters, compare_workspace
from publishing.services.decide import approve_item, edit_item, reject_item, retry_item
from publishing.services.direct import publish_directly
from publishing.services.doubts import confirm_found_item, give_up_item, resend_item
from publishing.services.forgetting import forget_what_is_gone, look_for_what_is_gone
from publishing.services.gates import opens_by_itself, why_refused
from publishing.services.hand_off import hand_off_item, take_back_item, web_intent
from publishing.services.opt_outs import (
    honour_plea,
    is_left_alone,
    opt_in_author,
    opt_out_author,
)
from publishing.services.own_posts import plan_post
from publishing.services.plans import change_plan, plan_of
from publishing.services.propose import propose_item
from publishing.services.publish import publish_batch, publish_item
from publishing.services.reconcile import look_for_attempt
from publishing.services.settle import record_replies_published, settle_attempt
from publishing.services.sweeping import sweep
from publishing.services.times import next_slot

__all__ = [
    "Legs",
    "approve_item",
    "change_plan",
    "claim_item",
    "compare_counters",
    "compare_workspace",
    "confirm_found_item",
    "edit_item",
    "forget_what_is_gone",
    "give_up_item",
    "hand_off_item",
    "honour_plea",
    "is_left_alone",
    "look_for_attempt",
    "look_for_what_is_gone",
    "next_slot",
    "opens_by_itself",
    "opt_in_author",
    "opt_out_author",
    "plan_of",
    "plan_post",
    "price_of_item",
    "propose_anyway",
    "propose_item",
    "propose_replies",
    "publish_batch",
    "publish_directly",
    "publish_item",
    "purses_of",
    "record_replies_published",
    "reject_item",
    "resend_item",
    "reserved_for_reading",
    "retry_item",
    "settle_attempt",
    "sweep",
    "take_back_item",
    "warn_of_budgets",
    "web_intent",
    "why_refused",
]

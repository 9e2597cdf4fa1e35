"""What callers of publishing can act on."""

from datetime import datetime

from revfirst.errors import Conflict, Invalid, Missing, Refused, Unavailable


class ItemNotFound(Missing):
    """There is no such item, or it is not yours to see."""

    code = "item_not_found"


class WrongState(Conflict):
    """The item was decided or edited in the meantime."""

    code = "wrong_state"


class ReadElsewhere(Conflict):
    """Somebody reads for the same money: what it leaves is for the next turn."""

    code = "read_elsewhere"


class PostTaken(WrongState):
    """The post on X that this would confirm belongs to another item."""

    code = "post_taken"


class FourEyes(Refused):
    """Somebody else has to approve what you wrote."""

    code = "four_eyes"


class BadContent(Invalid):
    """This text cannot be published."""

    code = "bad_content"


class NoBrandVoice(Unavailable):
    """The brand voice file cannot be used, and without it no text is let in, and none is sent."""

    code = "no_brand_voice"


class NoRanking(Unavailable):
    """The file of candidates cannot be used, and without it nothing is proposed."""

    code = "no_ranking"


class NothingToSay(Conflict):
    """No proposer has a text for this post that is fresh and that the guards let through."""

    code = "nothing_to_say"


class NoOptOutWords(Unavailable):
    """The team's own opt-out words cannot be used; those that are known without them hold."""

    code = "no_opt_out_words"


class AlreadyProposed(Conflict):
    """There is a live reply to this post already."""

    code = "already_proposed"


class StillLooking(Conflict):
    """The timeline is still being looked at: it may be there. Decide after the last look."""

    code = "still_looking"


class NotOnOurTimeline(Conflict):
    """No such post of ours, in answer to that post, stands on our own timeline."""

    code = "not_on_our_timeline"


class AlreadyPosted(Conflict):
    """It stands on X already: it is published."""

    code = "already_posted"


class CouldNotLook(Unavailable):
    """The timeline could not be read: without a look it is not taken back."""

    code = "could_not_look"


class Blocked(Conflict):
    """A gate holds it: `code` says which, `not_before` until when, where that is known."""

    def __init__(self, reason: str, *, not_before: datetime | None = None) -> None:
        self.not_before = not_before
        until = f" before {not_before:%Y-%m-%d %H:%M:%S} UTC" if not_before else ""
        super().__init__(f"It cannot be published{until}: {reason.replace('_', ' ')}.", code=reason)


class KeyReused(Invalid):
    """This Idempotency-Key was used for something else: take a new one."""

    code = "idempotency_key_reused"


class TextNotSaved(Conflict):
    """The text on the page was changed and not saved: save it first, then approve what was saved."""

    code = "text_not_saved"


class NotADecision(Refused):
    """That is not a decision."""

    code = "not_a_decision"


class NotOnThePage(Conflict):
    """The page that the decision came from did not show it: look at it first."""

    code = "not_on_the_page"


class NotATime(Invalid):
    """A post of our own cannot be planned for then: choose another time."""

    code = "not_a_time"


class SlotTaken(Conflict):
    """Another post of our own is planned too close to that: choose another time."""

    code = "slot_taken"


class NoSlot(Conflict):
    """There is no free slot: choose a day and a time."""

    code = "no_slot"


class NoTimeZone(Unavailable):
    """This host does not know the workspace's time zone."""

    code = "no_time_zone"


class NotAPlan(Invalid):
    """The workspace cannot plan its own posts like that."""

    code = "not_a_plan"


class SourcePostNotFound(Missing):
    """There is no such post in this workspace."""

    code = "source_post_not_found"


class DirectPublishingDisabled(Refused):
    """Publishing without an approval is switched off here."""

    code = "direct_publishing_disabled"


class InvalidInternalKey(Refused):
    """The header X-Internal-Key is missing or wrong."""

    code = "invalid_internal_key"

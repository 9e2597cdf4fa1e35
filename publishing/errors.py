"""What callers of publishing can act on."""

from revfirst.errors import Conflict, Missing, Refused


class ItemNotFound(Missing):
    """There is no such item, or it is not yours to see."""

    code = "item_not_found"


class WrongState(Conflict):
    """The item was decided or edited in the meantime."""

    code = "wrong_state"


class PostTaken(WrongState):
    """The post on X that this would confirm belongs to another item."""

    code = "post_taken"


class FourEyes(Refused):
    """Somebody else has to approve what you wrote."""

    code = "four_eyes"


class BadContent(Refused):
    """This text cannot be published."""

    code = "bad_content"


class AlreadyProposed(Conflict):
    """There is a live reply to this post already."""

    code = "already_proposed"


class TextNotSaved(Conflict):
    """The text on the page was changed and not saved: save it first, then approve what was saved."""

    code = "text_not_saved"


class NotADecision(Refused):
    """That is not a decision."""

    code = "not_a_decision"


class NotOnThePage(Conflict):
    """The page that the decision came from did not show it: look at it first."""

    code = "not_on_the_page"

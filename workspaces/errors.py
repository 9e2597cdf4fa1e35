"""What callers of this app can act on."""

from revfirst.errors import Conflict, Invalid, Missing, Refused, Unavailable


class NotAllowed(Refused):
    """Your role does not allow that here."""

    code = "role"


class WorkspaceNotFound(Missing):
    """There is no such workspace, or you are not a member of it."""

    code = "workspace_not_found"


class ReasonNeeded(Refused):
    """Say why: the reason is kept where the switch is."""

    code = "reason_needed"


class NotAudited(Unavailable):
    """It IS stopped, but the audit log could not take the row: run audit_verify and see why."""

    code = "stopped_not_audited"


class NotStopped(Unavailable):
    """It is NOT stopped: its row is held, or out of reach. Try again, or stop the worker."""

    code = "not_stopped"


class ApiKeyNotFound(Missing):
    """There is no such API key, or not in a workspace of yours."""

    code = "api_key_not_found"


class BadApiKey(Invalid):
    """A key needs a name and at least one scope that exists."""

    code = "bad_api_key"


class SessionOnly(Refused):
    """This is for a person who is signed in: no API key gets in here."""

    code = "session_only"


class MissingScope(Refused):
    """The API key was not made for that."""

    code = "missing_scope"


class Busy(Unavailable):
    """Nothing was changed: somebody holds what has to be changed. Try again in a moment."""

    code = "busy"


class ChangedMeanwhile(Conflict):
    """Nothing was changed: somebody stopped it, or let go of it, meanwhile. See how it stands now."""

    code = "changed_meanwhile"


class NotAPolicy(Invalid):
    """The workspace cannot have that policy."""

    code = "not_a_policy"


class NotAHead(Invalid):
    """That is no head: give SEQ:HASH or CHAIN:SEQ:HASH as audit_verify prints them, the hash in full."""

    code = "not_a_head"

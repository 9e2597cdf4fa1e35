"""The five things a caller can do about a failure; each app subclasses them.

The text of an error is fit for a log, a chat and a stored task result: it never holds a secret.
"""


class RevFirstError(Exception):
    """Base of every error that a door turns into an answer."""

    code = "error"

    def __init__(self, message: str = "", *, code: str | None = None) -> None:
        if code is not None:
            self.code = code
        first_line = (type(self).__doc__ or self.code).strip().partition("\n")[0]
        super().__init__(message or first_line)


class Missing(RevFirstError):
    """There is no such thing, or not for you."""

    code = "not_found"


class Refused(RevFirstError):
    """You may not do that."""

    code = "refused"


class Invalid(RevFirstError):
    """What was given can be read, but not used: change it."""

    code = "invalid"


class Conflict(RevFirstError):
    """It cannot be done in the present state."""

    code = "conflict"


class Unavailable(RevFirstError):
    """Something that we depend on did not answer."""

    code = "unavailable"

"""What callers can act on when X is involved.

Every answer of X to a write is one of three: XNotSent (certainly not executed), XRejected
(certainly refused) or XOutcomeUnknown; the table in docs/X-API.md says which.
"""

from datetime import datetime

from revfirst.errors import Conflict, Invalid, Missing, Refused, Unavailable


class XNotSent(Unavailable):
    """X certainly did not act: it may be tried again."""

    code = "x_not_sent"

    def __init__(
        self,
        message: str = "",
        *,
        code: str | None = None,
        retry_at: datetime | None = None,
        counts: bool = True,
        holds_account: bool = False,
    ) -> None:
        """`retry_at` is UTC, from X's header; `counts` whether it uses up a try."""
        super().__init__(message, code=code)
        self.retry_at = retry_at
        self.counts = counts
        self.holds_account = holds_account


class XUnauthorized(XNotSent):
    """X did not accept the access token (401): one renewal and one more claim may follow."""

    code = "x_unauthorized"


class XRejected(Refused):
    """X certainly refused this content; its own words are the message."""

    code = "x_rejected"


class XOutcomeUnknown(Unavailable):
    """The request left and no clear answer came: it may be public already. Look before resending."""

    code = "x_outcome_unknown"


class XReadFailed(Unavailable):
    """X did not answer a question; asking again is harmless."""

    code = "x_read_failed"


class XTokenUnspent(XReadFailed):
    """X certainly did not renew: the refresh token is as good as before."""

    code = "x_token_unspent"

    def __init__(
        self, message: str = "", *, code: str | None = None, retry_at: datetime | None = None
    ) -> None:
        """`retry_at` is UTC, from X's header."""
        super().__init__(message, code=code)
        self.retry_at = retry_at


class XClientRefused(XTokenUnspent):
    """X does not accept our own client id and secret: no account is to blame."""

    code = "x_client_refused"


class XGrantRefused(Refused):
    """X no longer accepts this refresh token: the account must be connected again."""

    code = "x_grant_refused"


class NoAccessToken(Unavailable):
    """There is no usable access token for the workspace's account."""

    code = "access_token_unavailable"


class ConnectFailed(Conflict):
    """The account could not be connected."""

    code = "connect_failed"


class Undecryptable(Unavailable):
    """A stored secret cannot be read with the present keys: connect the account again."""

    code = "undecryptable"


class BadQuery(Invalid):
    """X would not take this query."""

    code = "bad_query"


class SearchExists(Conflict):
    """This workspace has that search already."""

    code = "search_exists"


class TooManySearches(Conflict):
    """A workspace has no more than so many searches."""

    code = "too_many_searches"


class FeedNotFound(Missing):
    """There is no such search: somebody removed it, perhaps."""

    code = "feed_not_found"

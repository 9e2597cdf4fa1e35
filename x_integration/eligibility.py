"""Whether X would take our reply to a post through the API (docs/X-API.md, Rules of 2026).

Since February 2026 a self-serve reply is accepted only if the post's author summoned us: mentioned
us in that post, or quoted one of ours. Replies within our own thread are accepted. This is advice
before a person spends time; X's 403 stays the authority.
"""

from x_integration.models import SourcePost
from x_integration.payloads import Post

Eligibility = SourcePost.Eligibility


def eligibility_of(post: Post, *, us: str, our_name: str) -> tuple[Eligibility, str]:
    """The verdict and its reason; `us` is our X user id.

    A repost shows somebody else's words, and whom these name: its author said nothing to us.
    """
    if "retweeted" in post.referenced:
        return Eligibility.NOT_SUMMONED, "repost"
    if post.author_id == us:
        return Eligibility.OWN_THREAD, "own_post"
    mentioned = any(
        user_id == us or (not user_id and name.lower() == our_name.lower())
        for user_id, name in post.mentioned
    )
    if mentioned:
        return Eligibility.SUMMONED, "mentions_us"
    if post.quoted_author_id == us:
        return Eligibility.SUMMONED, "quotes_us"
    return Eligibility.NOT_SUMMONED, "no_mention_no_quote"

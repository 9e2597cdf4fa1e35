"""X's two vocabularies for the same fields, and which one a request speaks.

X renamed its words in August 2026 and both are alive. A request is answered in the words it uses;
one that uses neither gets the simulator's default.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from x_integration.simulator.problems import invalid_request


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


@dataclass(frozen=True, slots=True)
class Dialect:
    """One vocabulary. The names of the attributes are the simulator's own."""

    name: str
    post_fields_parameter: str
    post_fields: frozenset[str]
    post_expansions: frozenset[str]
    user_fields: frozenset[str]
    user_expansions: frozenset[str]
    edit_history: str
    referenced: str
    referenced_expansion: str
    reposts: str
    included_posts: str
    post_count: str
    most_recent_post: str
    pinned_post: str


_SHARED_POST_FIELDS = _words(
    """article attachments card_uri community_id context_annotations conversation_id created_at
    display_text_range edit_controls entities geo id lang media_metadata non_public_metrics
    organic_metrics paid_partnership possibly_sensitive promoted_metrics public_metrics
    reply_settings scopes source suggested_source_links text withheld"""
)
_SHARED_POST_EXPANSIONS = _words(
    """article.cover_media article.media_entities attachments.media_keys
    attachments.media_source_tweet attachments.poll_ids author_id entities.mentions.username
    geo.place_id in_reply_to_user_id"""
)
_SHARED_USER_FIELDS = _words(
    """confirmed_email connection_status created_at description entities id is_identity_verified
    location name parody profile_banner_url profile_image_url protected public_metrics
    receives_your_dm subscription subscription_type url username verified verified_followers_count
    verified_type withheld"""
)

LEGACY = Dialect(
    name="legacy",
    post_fields_parameter="tweet.fields",
    post_fields=_SHARED_POST_FIELDS
    | _words("author_id edit_history_tweet_ids in_reply_to_user_id note_tweet referenced_tweets"),
    post_expansions=_SHARED_POST_EXPANSIONS
    | _words(
        """edit_history_tweet_ids entities.note.mentions.username referenced_tweets.id
        referenced_tweets.id.author_id"""
    ),
    user_fields=_SHARED_USER_FIELDS | _words("affiliation most_recent_tweet_id pinned_tweet_id"),
    user_expansions=_words("affiliation.user_id most_recent_tweet_id pinned_tweet_id"),
    edit_history="edit_history_tweet_ids",
    referenced="referenced_tweets",
    referenced_expansion="referenced_tweets.id",
    reposts="retweet_count",
    included_posts="tweets",
    post_count="tweet_count",
    most_recent_post="most_recent_tweet_id",
    pinned_post="pinned_tweet_id",
)
NEW = Dialect(
    name="new",
    post_fields_parameter="post.fields",
    post_fields=_SHARED_POST_FIELDS
    | _words(
        """article_title matched_media_notes note_post note_request_suggestions
        suggested_source_links_with_counts"""
    ),
    post_expansions=_SHARED_POST_EXPANSIONS
    | _words("edit_history_post_ids referenced_posts username"),
    user_fields=_SHARED_USER_FIELDS | _words("subscribes_to_you"),
    user_expansions=_words("affiliation most_recent_post_id pinned_post_id"),
    edit_history="edit_history_post_ids",
    referenced="referenced_posts",
    referenced_expansion="referenced_posts",
    reposts="repost_count",
    included_posts="posts",
    post_count="post_count",
    most_recent_post="most_recent_post_id",
    pinned_post="pinned_post_id",
)
DIALECTS = {dialect.name: dialect for dialect in (LEGACY, NEW)}


def spoken_in(query: Mapping[str, str], default: Dialect) -> Dialect:
    """The dialect of a request. Raises Refusal (400) for a mixture."""
    asked = set(query.get("expansions", "").split(","))
    heard = [
        dialect
        for dialect, other in ((LEGACY, NEW), (NEW, LEGACY))
        if dialect.post_fields_parameter in query
        or asked & (dialect.post_expansions - other.post_expansions)
        or asked & (dialect.user_expansions - other.user_expansions)
    ]
    if len(heard) == 2:
        raise invalid_request(
            "The query mixes the words of `tweet.fields` and `post.fields`.", dialect=default.name
        )
    return heard[0] if heard else default


@dataclass(frozen=True, slots=True)
class Selection:
    """Which fields and expansions a request asked for."""

    dialect: Dialect
    post_fields: frozenset[str]
    user_fields: frozenset[str]
    expansions: frozenset[str]

    @classmethod
    def of_posts(cls, query: Mapping[str, str], dialect: Dialect) -> "Selection":
        """For an endpoint that answers with posts. Raises Refusal (400) for unknown words."""
        return cls._read(query, dialect, dialect.post_expansions)

    @classmethod
    def of_users(cls, query: Mapping[str, str], dialect: Dialect) -> "Selection":
        """For an endpoint that answers with users. Raises Refusal (400) for unknown words."""
        return cls._read(query, dialect, dialect.user_expansions)

    @classmethod
    def _read(
        cls, query: Mapping[str, str], dialect: Dialect, expansions: frozenset[str]
    ) -> "Selection":
        fields = dialect.post_fields_parameter
        return cls(
            dialect,
            _listed(query, fields, dialect.post_fields, dialect),
            _listed(query, "user.fields", dialect.user_fields, dialect),
            _listed(query, "expansions", expansions, dialect),
        )


def _listed(
    query: Mapping[str, str], parameter: str, known: Collection[str], dialect: Dialect
) -> frozenset[str]:
    if parameter not in query:
        return frozenset()
    values = query[parameter].split(",")
    for value in values:
        if value not in known:
            raise invalid_request(
                f"The `{parameter}` query parameter value [{value}] is not one of "
                f"[{','.join(sorted(known))}]",
                {parameter: values},
                dialect=dialect.name,
            )
    return frozenset(values)

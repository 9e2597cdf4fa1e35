"""The workspace's account on X, the way it was connected, and what people said to it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import models
from django.db.models import ExpressionWrapper, Q, Value
from django.utils import timezone

from workspaces.models import User, Workspace
from x_integration.crypto import SecretField

if TYPE_CHECKING:
    from datetime import datetime


class XAccountQuerySet(models.QuerySet["XAccount"]):
    """Named reads of accounts."""

    def live(self) -> XAccountQuerySet:
        """Accounts that nobody revoked."""
        return self.filter(revoked_at=None)

    def free_to_renew(self, now: datetime, *, patient: bool = True) -> XAccountQuerySet:
        """Accounts whose tokens may be renewed: nobody is at it or was a moment ago, X did not refuse.

        With `patient`, the pause after a renewal that brought nothing is over, too.
        """
        return self.filter(_is_free(now, patient=patient))

    def saying_if_free(self, now: datetime) -> XAccountQuerySet:
        """Each account with `is_free`: whether it may be renewed, as of the very row that was read."""
        return self.annotate(
            is_free=ExpressionWrapper(_is_free(now), output_field=models.BooleanField())
        )


def _is_free(now: datetime, *, patient: bool = True) -> Q:
    free = Q(refresh_leased_until=None) | Q(refresh_leased_until__lte=now)
    rested_since = Value(now, models.DateTimeField()) - XAccount.MIN_INTERVAL
    rested = Q(last_refresh_at=None) | Q(last_refresh_at__lte=rested_since)
    waited = Q(refresh_not_before=None) | Q(refresh_not_before__lte=now)
    there = Q(revoked_at=None, reauthorization_required_at=None, refresh_token__isnull=False)
    return there & free & rested & waited if patient else there & free & rested


class XAccount(models.Model):
    """One account on X per workspace, with its encrypted tokens.

    X's refresh tokens are single-use and rotate (docs/X-API.md, Connecting): `token_version` grows with
    every stored pair, and whoever renews holds the lease `refresh_leased_until`. After a renewal that
    brought nothing, `refresh_not_before` says when to try again; `access_token_rejected_at` is when X
    answered 401 to the stored token, and `reauthorization_required_at` when it refused to renew it.
    """

    PUBLISH_SCOPE = "tweet.write"
    MIN_INTERVAL = timedelta(seconds=60)
    """Between two rotations: a new token that X does not take is not mended by another."""

    workspace = models.OneToOneField(Workspace, models.PROTECT, related_name="x_account")
    x_user_id = models.CharField(max_length=19)
    username = models.CharField(max_length=50)
    connected_at = models.DateTimeField()

    access_token = SecretField(null=True, editable=False)
    access_token_hash = models.CharField(max_length=64, blank=True, editable=False)
    refresh_token = SecretField(null=True, editable=False)
    refresh_token_hash = models.CharField(max_length=64, blank=True, editable=False)
    token_type = models.CharField(max_length=20, default="bearer")
    scope = models.CharField(max_length=500, blank=True)
    expires_at = models.DateTimeField(null=True)
    token_version = models.PositiveIntegerField(default=0)
    refresh_leased_until = models.DateTimeField(null=True)
    last_refresh_at = models.DateTimeField(null=True)
    last_refresh_error = models.CharField(max_length=60, blank=True)
    refresh_failures = models.PositiveSmallIntegerField(default=0, editable=False)
    refresh_not_before = models.DateTimeField(null=True, editable=False)
    noted_skip = models.CharField(max_length=40, blank=True, editable=False)
    access_token_rejected_at = models.DateTimeField(null=True)
    reauthorization_required_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)
    updated_at = models.DateTimeField()

    held_at = models.DateTimeField(null=True)
    held_reason = models.CharField(max_length=60, blank=True)

    objects = XAccountQuerySet.as_manager()

    class Meta:
        verbose_name = "X account"
        constraints = [
            # Two grants of one account kill each other (docs/X-API.md, Connecting).
            models.UniqueConstraint(
                fields=["x_user_id"], condition=Q(revoked_at=None), name="x_account_live_once"
            ),
            models.CheckConstraint(
                condition=Q(held_at=None, held_reason="")
                | Q(held_at__isnull=False) & ~Q(held_reason=""),
                name="x_account_hold_has_reason",
            ),
        ]
        indexes = [
            models.Index(
                fields=["expires_at"],
                condition=Q(revoked_at=None, reauthorization_required_at=None),
                name="x_account_renewable",
            ),
        ]

    def __str__(self) -> str:
        return f"@{self.username}"

    @property
    def has_publish_scope(self) -> bool:
        """Whether X granted us to post."""
        return self.PUBLISH_SCOPE in self.scope.split()

    def access_token_valid(self, now: datetime) -> bool:
        """Whether the stored access token is readable, not expired, and not one that X rejected."""
        return (
            self.access_token is not None
            and self.access_token_rejected_at is None
            and self.expires_at is not None
            and self.expires_at > now
            and self.access_token.opens()
        )

    def is_expired(self, now: datetime) -> bool:
        """Whether the access token's life is known to be over."""
        return self.expires_at is not None and self.expires_at <= now

    def holds(self, access_token: str) -> bool:
        """Whether this is the access token that is stored."""
        stored = self.access_token
        return stored is not None and stored.opens() and stored.open() == access_token

    @property
    def can_auto_refresh(self) -> bool:
        """Whether the worker can renew the tokens by itself."""
        return settings.X_AUTO_REFRESH_ENABLED and self.can_refresh

    @property
    def can_refresh(self) -> bool:
        """Whether there is a refresh token that X may take, as far as is known."""
        return (
            self.refresh_token is not None
            and self.reauthorization_required_at is None
            and self.revoked_at is None
            and self.refresh_token.opens()
        )

    @property
    def must_reconnect(self) -> bool:
        """Whether X refused to renew, or a stored token cannot be read any more."""
        stored = [token for token in (self.access_token, self.refresh_token) if token]
        return self.reauthorization_required_at is not None or not all(
            token.opens() for token in stored
        )

    def was_renewed_lately(self, now: datetime) -> bool:
        """Whether the stored token is one that X granted a moment ago."""
        return self.last_refresh_at is not None and self.last_refresh_at > now - self.MIN_INTERVAL

    def renewal_is_leased(self, now: datetime) -> bool:
        """Whether somebody is renewing the tokens at this moment."""
        return self.refresh_leased_until is not None and self.refresh_leased_until > now

    def connected(self, now: datetime) -> bool:
        """Not revoked, and a token is there or can be had."""
        return self.revoked_at is None and (self.access_token_valid(now) or self.can_auto_refresh)

    def publish_ready(self, now: datetime) -> bool:
        """Connected, allowed to post, known to us, and not held."""
        return (
            self.connected(now)
            and self.has_publish_scope
            and bool(self.x_user_id)
            and self.held_at is None
        )

    def connected_reason(self, now: datetime) -> str:
        """The first reason that holds, in the order of the interface: why it can or cannot publish."""
        if self.revoked_at is not None:
            return "revoked"
        if self.access_token_valid(now):
            return "access_token_valid"
        if self.can_auto_refresh:
            expired = self.access_token is not None and self.is_expired(now)
            return "expired_but_auto_refresh_available" if expired else "auto_refresh_available"
        if self.must_reconnect:
            return "reauthorization_required"
        if self.access_token is not None and self.is_expired(now):
            return "access_token_expired"
        return "access_token_unavailable"  # there is none, or X rejected it


class OAuthState(models.Model):
    """One try to connect an account: single-use, lives ten minutes, bound to workspace and person."""

    state_hash = models.CharField(max_length=64, unique=True)
    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="+")
    user = models.ForeignKey(User, models.CASCADE, related_name="+")
    code_verifier = SecretField(editable=False)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{self.workspace} by {self.user}"


class FeedQuerySet(models.QuerySet["Feed"]):
    """Named reads of feeds."""

    def due(self, now: datetime) -> FeedQuerySet:
        """Feeds to read now, the one that has waited longest first."""
        return self.filter(is_on=True, next_read_at__lte=now).order_by("next_read_at", "pk")


class Feed(models.Model):
    """What one workspace reads on X: the mentions of its account, or a saved search.

    `seen_until` is the newest post of the last complete run. A run that broke off has read from
    `reading_from` down to `read_down_to`, newest first, and the next one goes on there. `last_read_at`
    waits while the day's mentions are due again and were not read whole. Whoever reads holds the lease
    `leased_until`.
    """

    class Kind(models.TextChoices):
        """What is asked for."""

        MENTIONS = "mentions"
        SEARCH = "search"

    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="feeds")
    kind = models.CharField(max_length=8, choices=Kind)
    query = models.CharField(max_length=512, blank=True)  # X takes no longer one of self-serve
    is_on = models.BooleanField(default=True)
    seen_until = models.CharField(max_length=19, blank=True, editable=False)
    reading_from = models.CharField(max_length=19, blank=True, editable=False)
    read_down_to = models.CharField(max_length=19, blank=True, editable=False)
    leased_until = models.DateTimeField(null=True, editable=False)
    next_read_at = models.DateTimeField(default=timezone.now, editable=False)
    last_read_at = models.DateTimeField(null=True, editable=False)
    last_error = models.CharField(max_length=60, blank=True, editable=False)

    objects = FeedQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["workspace", "kind", "query"], name="feed_once"),
            models.CheckConstraint(
                condition=Q(kind="mentions", query="") | Q(kind="search") & ~Q(query=""),
                name="feed_search_has_query",
            ),
            models.CheckConstraint(
                condition=Q(reading_from="", read_down_to="")
                | ~Q(reading_from="") & ~Q(read_down_to=""),
                name="feed_gap_has_two_ends",
            ),
        ]
        indexes = [
            models.Index(fields=["next_read_at"], condition=Q(is_on=True), name="feed_due"),
        ]

    def __str__(self) -> str:
        return f"{self.workspace}: {self.query or self.kind}"


class BilledRead(models.Model):
    """Something that X showed and charged for: the same thing once on a UTC day, whoever read it."""

    pk = models.CompositePrimaryKey("day", "thing")
    day = models.DateField()
    thing = models.CharField(max_length=26)  # "post:<X's id>"

    def __str__(self) -> str:
        return f"{self.thing} on {self.day}"


class SourcePostQuerySet(models.QuerySet["SourcePost"]):
    """Named reads of source posts."""

    def visible_to(self, user: User) -> SourcePostQuerySet:
        """Posts said to workspaces of which `user` is a member."""
        return self.filter(workspace__memberships__user=user)

    def standing(self) -> SourcePostQuerySet:
        """Posts that X shows, as far as is known."""
        return self.filter(gone_at=None)

    def that_may_be_answered(self) -> SourcePostQuerySet:
        """Posts that X would let us answer through the API on this access tier."""
        standing = self.standing()
        if settings.X_ACCESS_TIER == "enterprise":
            return standing
        return standing.exclude(eligibility=SourcePost.Eligibility.NOT_SUMMONED)


class SourcePost(models.Model):
    """Something that somebody said on X, as X told it.

    `gone_at` is when X let us know that it shows the post no longer, for `gone_reason`; that is for good.
    `forgotten_at` is when its words and its author's name were blanked. `looked_at` is when it was last
    looked for by its id.
    """

    class Gone(models.TextChoices):
        """Why it is gone."""

        NOT_FOUND = "not_found"  # deleted, or its author is suspended
        NOT_AUTHORIZED = "not_authorized"
        AUTHOR_PROTECTED = "author_protected"
        AUTHOR_GONE = "author_gone"
        REFUSED = "refused"  # as the target of a reply of ours

    class Eligibility(models.TextChoices):
        """Whether X would take our reply through the API (docs/X-API.md, Rules of 2026)."""

        SUMMONED = "summoned"
        OWN_THREAD = "own_thread"
        NOT_SUMMONED = "not_summoned"

    workspace = models.ForeignKey(
        Workspace, models.CASCADE, related_name="source_posts", db_index=False
    )  # the unique constraint begins with it
    x_post_id = models.CharField(max_length=19)
    author_id = models.CharField(max_length=19)
    author_username = models.CharField(max_length=50, blank=True)
    text = models.TextField()
    lang = models.CharField(max_length=10, blank=True)
    conversation_id = models.CharField(max_length=19, blank=True)
    posted_at = models.DateTimeField()
    eligibility = models.CharField(max_length=12, choices=Eligibility)
    eligibility_reason = models.CharField(max_length=40)
    payload = models.JSONField(help_text="The post as X sent it, unknown fields included.")
    ingested_at = models.DateTimeField()
    gone_at = models.DateTimeField(null=True, editable=False)
    gone_reason = models.CharField(
        max_length=16, choices=Gone, blank=True, default="", db_default="", editable=False
    )
    forgotten_at = models.DateTimeField(null=True, editable=False)
    looked_at = models.DateTimeField(null=True, editable=False)

    objects = SourcePostQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["workspace", "x_post_id"], name="source_post_once"),
            models.CheckConstraint(
                condition=Q(eligibility__in=["summoned", "own_thread", "not_summoned"]),
                name="source_post_eligibility_known",
            ),
            models.CheckConstraint(
                condition=Q(gone_at=None, gone_reason="")
                | Q(gone_at__isnull=False) & ~Q(gone_reason=""),
                name="source_post_gone_has_reason",
            ),
            models.CheckConstraint(
                condition=Q(forgotten_at=None)
                | Q(gone_at__isnull=False, text="", author_username="", payload={}),
                name="source_post_forgotten_is_blank",
            ),
        ]
        indexes = [
            models.Index(fields=["workspace", "-posted_at"], name="source_post_recent"),
            models.Index(fields=["author_id"], name="source_post_author"),
            models.Index(
                fields=["workspace", "gone_at"],
                condition=Q(gone_at__isnull=False),
                name="source_post_gone",
            ),
            models.Index(
                fields=["workspace", "looked_at"],
                condition=Q(looked_at__isnull=False),
                name="source_post_looked_at",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.x_post_id} by @{self.author_username or self.author_id}"

    @property
    def may_be_answered(self) -> bool:
        """Whether X would take our reply through the API on this access tier."""
        return self.gone_at is None and (
            settings.X_ACCESS_TIER == "enterprise"
            or self.eligibility != self.Eligibility.NOT_SUMMONED
        )

    @property
    def words(self) -> str:
        """What a page shows of it: its text, or why there is none."""
        return "X shows it no longer: its words are forgotten." if self.forgotten_at else self.text

    @property
    def thread(self) -> str:
        """The conversation that it belongs to; a post that begins one is its own."""
        return self.conversation_id or self.x_post_id

    @property
    def url(self) -> str:
        """Where a person reads it."""
        return f"{settings.X_WEB_BASE_URL}/{self.author_username or 'i'}/status/{self.x_post_id}"


class RateWindow(models.Model):
    """What X's rate headers said last about one account and endpoint (docs/X-API.md, Limits and prices)."""

    account = models.ForeignKey(XAccount, models.CASCADE, related_name="rate_windows")
    endpoint = models.CharField(max_length=60)  # "POST /2/tweets", as X's documentation writes it
    limit = models.PositiveIntegerField()
    remaining = models.PositiveIntegerField()
    reset_at = models.DateTimeField()
    seen_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["account", "endpoint"], name="rate_window_once"),
        ]

    def __str__(self) -> str:
        return f"{self.endpoint} of {self.account}: {self.remaining} of {self.limit}"


class Spend(models.Model):
    """The spend ledger: what one workspace's calls of one kind cost on one UTC day, in US dollars."""

    workspace = models.ForeignKey(Workspace, models.PROTECT, related_name="spends")
    day = models.DateField()
    kind = models.CharField(max_length=20)
    calls = models.PositiveIntegerField(default=0)
    usd = models.DecimalField(max_digits=12, decimal_places=4, default=0)

    class Meta:
        verbose_name_plural = "spend"
        constraints = [
            models.UniqueConstraint(fields=["workspace", "day", "kind"], name="spend_once"),
            models.CheckConstraint(condition=Q(usd__gte=0), name="spend_never_negative"),
        ]

    def __str__(self) -> str:
        return f"{self.workspace} {self.day} {self.kind}: {self.usd} USD"


class PricedCall(models.Model):
    """One call that X charged for, or may have: written with the day's `Spend`, and never changed.

    `subject` is what it was for, by our own ids: `item:42/1`, `feed:3`, `account`.
    """

    workspace = models.ForeignKey(Workspace, models.PROTECT, related_name="priced_calls")
    at = models.DateTimeField()
    day = models.DateField()  # of UTC, by which X bills
    kind = models.CharField(max_length=20)
    units = models.PositiveIntegerField()
    unit_usd = models.DecimalField(max_digits=12, decimal_places=4)
    usd = models.DecimalField(max_digits=12, decimal_places=4)
    subject = models.CharField(max_length=40)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(units__gt=0, usd=models.F("units") * models.F("unit_usd")),
                name="priced_call_adds_up",
            ),
        ]
        indexes = [
            models.Index(fields=["workspace", "day", "kind"], name="priced_call_of_a_day"),
        ]

    def __str__(self) -> str:
        return f"{self.subject}: {self.units} {self.kind}, {self.usd} USD"

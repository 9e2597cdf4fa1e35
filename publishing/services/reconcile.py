"""Doubts are settled by looking at the account's own timeline; nothing is ever resent by itself."""

from datetime import datetime, timedelta

from django.db.models import Min

from publishing.errors import AlreadyProposed, WrongState
from publishing.models import PublishAttempt, QueueItem
from publishing.services.looks import note_look
from publishing.services.settle import settle_attempt
from publishing.states import Outcome, State
from revfirst.batch import Patience
from revfirst.clock import ticking
from revfirst.errors import RevFirstError
from workspaces.actors import Actor
from workspaces.services import raise_alarm
from x_integration.answers import DUPLICATE_CONTENT
from x_integration.client import XClient
from x_integration.errors import NoAccessToken
from x_integration.models import XAccount
from x_integration.payloads import Post, content
from x_integration.services import with_access_token

PUBLISHED_TWICE = "published_twice"  # alarm
_CLOCK_SKEW = timedelta(seconds=60)
_SAME_MOMENT = timedelta(seconds=5)  # between X's clock and ours


def look_for_attempt(
    attempt: PublishAttempt, *, x: XClient, actor: Actor, now: datetime
) -> bool | None:
    """Look for the attempt's post: True when it stands there (the item is published then).

    False when it was not found, None when nobody could look or somebody else settled it first.
    """
    try:
        post = _find(attempt, x=x, actor=actor, now=now)
    except RevFirstError:
        note_look(attempt, found_nothing=False, now=now)
        return None
    if post is None:
        note_look(attempt, found_nothing=True, now=now)
        return False
    maker = _who_made(post, attempt)
    try:
        settle_attempt(
            maker.pk, "confirm", actor=actor, now=now, x_post_id=post.id, reconciled=True
        )
    except AlreadyProposed:  # another item answers that post: a person has to see both
        _tell_twice(attempt, now=now)
        note_look(attempt, found_nothing=True, now=now)
        return None
    except WrongState:  # another sweep, or the slow worker itself, was first
        _found_after_all(attempt, now=now)
        return None
    return True


def _found_after_all(attempt: PublishAttempt, *, now: datetime) -> None:
    """What was given up stands on X, and its item is published by another try: that makes two."""
    if attempt.outcome != Outcome.ABANDONED:
        return
    item = QueueItem.objects.get(pk=attempt.item_id)
    if item.state == State.PUBLISHED:
        _tell_twice(attempt, now=now)
    note_look(attempt, found_nothing=item.state == State.PUBLISHED, now=now)


def _tell_twice(attempt: PublishAttempt, *, now: datetime) -> None:
    detail = f"{attempt.item} stands on X beside another post of ours: delete one of them."
    raise_alarm(PUBLISHED_TWICE, detail=detail, workspace=attempt.workspace, now=now)


def _who_made(post: Post, attempt: PublishAttempt) -> PublishAttempt:
    """The attempt whose post it is: an earlier one that was given up, when this cannot have made it.

    X refusing a resend as a duplicate proves the first try; so does a post older than this try.
    """
    cannot = (
        attempt.code == DUPLICATE_CONTENT or post.created_at < attempt.started_at - _SAME_MOMENT
    )
    if attempt.outcome != Outcome.UNKNOWN or not cannot:
        return attempt
    given_up = PublishAttempt.objects.filter(
        item=attempt.item_id,
        number__lt=attempt.number,
        outcome=Outcome.ABANDONED,
        started_at__lte=post.created_at + _CLOCK_SKEW,
    )
    return given_up.order_by("-number").first() or attempt


def _find(attempt: PublishAttempt, *, x: XClient, actor: Actor, now: datetime) -> Post | None:
    """The oldest post on our timeline with the same target and text that belongs to no other item.

    Raises XReadFailed, XUnauthorized, NoAccessToken or OutOfTime.
    """
    ours = content(attempt.snapshot["target"], attempt.snapshot["text"])
    posts = own_posts_since_first_try(attempt, x=x, actor=actor, now=now)
    matches = [post for post in posts if post.content == ours]
    taken = set(
        attempt.workspace.items.filter(x_post_id__in=[post.id for post in matches]).values_list(
            "x_post_id", flat=True
        )
    )
    return next((post for post in reversed(matches) if post.id not in taken), None)


def own_posts_since_first_try(
    attempt: PublishAttempt, *, x: XClient, actor: Actor, now: datetime
) -> list[Post]:
    """The account's own posts since the item's first attempt began, newest first.

    Raises XReadFailed, XUnauthorized, NoAccessToken or OutOfTime.
    """
    patience = Patience()
    account = XAccount.objects.filter(workspace=attempt.workspace_id).first()
    if account is None or account.x_user_id != attempt.snapshot["account"]:
        raise NoAccessToken("The account that posted is not connected.", code="another_account")
    tries = PublishAttempt.objects.filter(item=attempt.item_id)
    start = tries.aggregate(first=Min("started_at"))["first"] - _CLOCK_SKEW

    def look(token: str) -> list[Post]:
        pages = x.timeline(account.x_user_id, access_token=token, start_time=start)
        return [post for page in patience.each(pages) for post in page.posts]

    return with_access_token(
        attempt.workspace, look, x=x, actor=actor, clock=ticking(now), patience=patience
    )

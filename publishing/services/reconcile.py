"""Doubts are settled by looking at the account's own timeline; nothing is ever resent by itself."""

from datetime import datetime, timedelta

from django.db.models import Min, Q, QuerySet

from publishing.errors import AlreadyProposed, WrongState
from publishing.models import PublishAttempt
from publishing.services.attempts import as_seen, as_sent
from publishing.services.late import note_found_beside_another, note_found_elsewhere
from publishing.services.looks import note_look
from publishing.services.settle import settle_attempt
from publishing.states import WATCHED_OUTCOMES, Outcome
from revfirst.batch import Patience
from revfirst.clock import ticking
from revfirst.errors import RevFirstError
from workspaces.actors import Actor
from x_integration.answers import DUPLICATE_CONTENT
from x_integration.client import XClient
from x_integration.errors import NoAccessToken
from x_integration.models import XAccount
from x_integration.payloads import Post
from x_integration.services import own_posts_since

_CLOCK_SKEW = timedelta(seconds=60)
_SAME_MOMENT = timedelta(seconds=5)  # between X's clock and ours


def look_for_attempt(
    attempt: PublishAttempt, *, x: XClient, actor: Actor, now: datetime
) -> bool | None:
    """Look for the attempt's post: True when it stands there (the item is published then).

    False when it was not found, None when nobody could look or somebody else settled it first.
    """
    try:
        found = _find(attempt, x=x, actor=actor, now=now)
    except RevFirstError:
        note_look(attempt, found_nothing=False, now=now)
        return None
    if found is None:
        note_look(attempt, found_nothing=True, now=now)
        return False
    post, maker = found
    try:
        settle_attempt(
            maker.pk, "confirm", actor=actor, now=now, x_post_id=post.id, reconciled=True
        )
    except AlreadyProposed:  # another item answers that post: a person has to see both
        note_found_beside_another(attempt, maker, post, actor=actor, now=now)
        return None
    except WrongState:  # another sweep, or the slow worker itself, was first
        note_found_elsewhere(attempt, maker, post, actor=actor, now=now)
        return None
    return True


def _who_made(post: Post, attempt: PublishAttempt) -> PublishAttempt:
    """The attempt that made the post, as far as anybody can tell; else `attempt` itself.

    It sent these words, it may yet be found, and it began before the post was made: the last such one
    is the likeliest. X refused a resend as a duplicate because an earlier try stands, so that one made
    nothing. Where X names the client, a hand-off made what came from a person's, and only that.
    """
    able = list(_able(attempt).exclude(code=DUPLICATE_CONTENT).order_by("-started_at", "-pk"))
    begun = [each for each in able if each.started_at <= post.created_at + _SAME_MOMENT]
    if not begun:  # X's clock is behind ours by more than a moment
        begun = [each for each in able if each.started_at <= post.created_at + _CLOCK_SKEW][-1:]
    by_its_client = [each for each in begun if each.by_hand == post.made_by_a_person]
    return next(iter(by_its_client or begun), attempt)


def _able(attempt: PublishAttempt) -> QuerySet[PublishAttempt]:
    """Attempts that sent the same words to the same target, and whose post may yet be found.

    Those of another item as long as they are under way or looked for: what they made is theirs.
    """
    its_own = Q(item=attempt.item_id, outcome__in=WATCHED_OUTCOMES)
    looked_for = Q(outcome__in=[Outcome.UNKNOWN, Outcome.HANDED_OFF], next_look_at__isnull=False)
    under_way = Q(outcome=Outcome.IN_FLIGHT) | looked_for
    anothers = under_way & ~Q(item=attempt.item_id) & ~Q(text_hash="")
    return PublishAttempt.objects.filter(
        its_own | anothers,
        workspace=attempt.workspace_id,
        target=attempt.target,
        text_hash=attempt.text_hash,
    )


def _find(
    attempt: PublishAttempt, *, x: XClient, actor: Actor, now: datetime
) -> tuple[Post, PublishAttempt] | None:
    """The oldest post on our timeline with the same target and text that is no other item's, and its maker.

    Raises XReadFailed, XUnauthorized, NoAccessToken, OutOfTime or Busy.
    """
    ours = as_sent(attempt)
    posts = own_posts_since_first_try(attempt, x=x, actor=actor, now=now)
    matches = [post for post in posts if as_seen(post) == ours]
    taken = set(
        attempt.workspace.items.filter(x_post_id__in=[post.id for post in matches]).values_list(
            "x_post_id", flat=True
        )
    )
    made = ((post, _who_made(post, attempt)) for post in reversed(matches) if post.id not in taken)
    return next((each for each in made if each[1].item_id == attempt.item_id), None)


def own_posts_since_first_try(
    attempt: PublishAttempt, *, x: XClient, actor: Actor, now: datetime
) -> list[Post]:
    """The account's own posts since the item's first attempt began, newest first; no budget is asked.

    Raises XReadFailed, XUnauthorized, NoAccessToken, OutOfTime or Busy.
    """
    patience = Patience()
    account = (
        XAccount.objects.filter(workspace=attempt.workspace_id).select_related("workspace").first()
    )
    if account is None or account.x_user_id != attempt.snapshot["account"]:
        raise NoAccessToken("The account that posted is not connected.", code="another_account")
    tries = PublishAttempt.objects.filter(item=attempt.item_id)
    start = tries.aggregate(first=Min("started_at"))["first"] - _CLOCK_SKEW

    return own_posts_since(
        account,
        start,
        subject=attempt.subject,
        x=x,
        actor=actor,
        clock=ticking(now),
        patience=patience,
    )

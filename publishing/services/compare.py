"""Three legs that must agree: the counters, the audit log, and what stands on X."""

from collections import Counter as Counts
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from django.db.models.fields.json import KT
from django.utils import timezone

from publishing.models import PublishAttempt
from publishing.services.attempts import as_seen, as_sent
from publishing.states import Outcome
from workspaces import counters
from workspaces.actors import Actor
from workspaces.models import AuditEvent, Counter, Workspace
from workspaces.snapshots import one_snapshot
from x_integration.client import XClient
from x_integration.models import XAccount
from x_integration.payloads import Post
from x_integration.services import own_posts_since

PUBLISHED = ("replies_published_total", "posts_published_total")
HANDED_OFF, DIRECT = "handed_off_published_total", "direct_publish_total"
_POSTS_THAT_X_SHOWS = 3200  # of one timeline (docs/X-API.md, Reading)


@dataclass(frozen=True)
class Legs:
    """Publications of one workspace, counted three ways, and what makes them differ."""

    workspace: str
    counter: Decimal  # what somebody changed by hand may be no whole number, or no number at all
    audit: int
    timeline: int
    differences: tuple[str, ...]
    unread: int = 0  # confirmed posts older than what X still shows
    by_hand: tuple[Decimal, int, int] = (Decimal(0), 0, 0)  # of hand-offs, likewise
    direct: tuple[Decimal, int] = (Decimal(0), 0)  # counter and audit; they are among the rest
    others: int = 0  # posts that another program made

    def __str__(self) -> str:
        told = f"counters {_plain(self.counter)}, audit {self.audit}, timeline {self.timeline}"
        if self.unread:
            told += f" ({self.unread} older than X shows)"
        if any(self.direct):
            told += f"; of these direct: counter {_plain(self.direct[0])}, audit {self.direct[1]}"
        if any(self.by_hand):
            counted, audited, standing = self.by_hand
            told += f"; by hand: counter {_plain(counted)}, audit {audited}, timeline {standing}"
        if self.others:
            told += f"; {self.others} by other programs"
        return f"{self.workspace}: {told}"


def compare_workspace(workspace: Workspace, *, x: XClient) -> Legs:
    """Count the publications by counter, audit and timeline: the machine's, and those handed off.

    What the audit confirmed must stand on the timeline, by whomever it was sent, and what stands
    there by a machine must be in the audit; what people post of their own is no difference, nor is what
    another program posts, once what the audit confirmed tells by which name X knows ours. Where X does
    not name a post's maker, one with the target and text of a try of ours is the machine's. The audit is
    read before and after the timeline, so that work that goes on meanwhile is no difference; nor is
    one post for each try that is not settled yet. X charges for what it shows of the timeline, which is
    in the ledger. Raises NoAccessToken, XUnauthorized, XReadFailed or Busy.
    """
    owed, owed_by_hand = _confirmed_ids(workspace), _confirmed_ids(workspace, by_hand=True)
    posts = {post.id: post for post in _own_posts(workspace, x)}
    with one_snapshot():
        confirmed, by_hand = _confirmed_ids(workspace), _confirmed_ids(workspace, by_hand=True)
        counted, counted_by_hand = _counted(workspace), _counted(workspace, HANDED_OFF)
        direct = _counted(workspace, DIRECT), _confirmed_directly(workspace)
        open_ = _tried(workspace, outcome__in=(Outcome.IN_FLIGHT, Outcome.UNKNOWN))
        in_hand = _tried(workspace, outcome=Outcome.HANDED_OFF)
        unwanted = _late_matches(workspace)
    old = _older_than_shown(owed | owed_by_hand, posts)
    sent = set(_tried(workspace, by_hand=False))
    machines = {post_id for post_id, post in posts.items() if _is_a_machines(post, sent)} - by_hand
    ours = {posts[each].client for each in machines & confirmed} - {""}
    others = {
        each
        for each in machines - confirmed
        if ours and posts[each].client not in ours and as_seen(posts[each]) not in sent
    }
    machines -= others
    stray = _not_excused([posts[each] for each in sorted(machines - confirmed)], open_, in_hand)
    differences = [
        *(f"{each} is in the audit, but not on the timeline" for each in owed - posts.keys() - old),
        *(
            f"{each} was handed off and is in the audit, but not on the timeline"
            for each in owed_by_hand - posts.keys() - old
        ),
        *(
            f"{post.id} is on the timeline, but not in the audit{unwanted.get(post.id, '')}"
            for post in stray
        ),
        *_unequal("", counted, len(confirmed)),
        *_unequal(" direct", *direct),
        *_unequal(" handed off", counted_by_hand, len(by_hand)),
    ]
    return Legs(
        workspace.slug,
        counted,
        len(confirmed),
        len(confirmed & posts.keys() | machines),
        tuple(sorted(differences)),
        unread=len(old),
        by_hand=(counted_by_hand, len(by_hand), len(by_hand & posts.keys())),
        direct=direct,
        others=len(others),
    )


def _unequal(which: str, counted: Decimal, audited: int) -> list[str]:
    if counted == audited:
        return []
    return [f"the counters say {_plain(counted)}{which}, the audit {audited}"]


def _plain(number: Decimal) -> str:
    return f"{number.normalize():f}"


def _older_than_shown(owed: set[str], posts: Mapping[str, Post]) -> set[str]:
    """Confirmed posts that X no longer shows because too many came after them."""
    if len(posts) < _POSTS_THAT_X_SHOWS:
        return set()
    oldest = min(map(int, posts))
    return {post_id for post_id in owed if int(post_id) < oldest}


def _tried(workspace: Workspace, **which: object) -> Counts[tuple[str, str]]:
    """What such tries sent, as often as there are."""
    attempts = PublishAttempt.objects.filter(workspace=workspace, **which)
    return Counts(map(as_sent, attempts.only("snapshot", "text_hash")))


def _not_excused(
    posts: list[Post], open_: Counts[tuple[str, str]], in_hand: Counts[tuple[str, str]]
) -> list[Post]:
    """The posts but for one for each try that may have made it: a second one is a double.

    What a person has in hand may have made a post of which X does not say that a machine did.
    """
    left = []
    for post in posts:
        if open_[as_seen(post)] > 0:
            open_[as_seen(post)] -= 1
        elif post.made_by_a_person is None and in_hand[as_seen(post)] > 0:
            in_hand[as_seen(post)] -= 1
        else:
            left.append(post)
    return left


def _is_a_machines(post: Post, sent: set[tuple[str, str]]) -> bool:
    """Whether no person's client made the post; where X names none, whether its content is ours."""
    by_a_person = post.made_by_a_person
    return as_seen(post) in sent if by_a_person is None else not by_a_person


def compare_counters() -> list[counters.Difference]:
    """Every business counter that does not equal the audit."""
    return counters.compare()


def _counted(workspace: Workspace, *names: str) -> Decimal:
    """The counters of these names, or of what the machine published, as they stand."""
    rows = Counter.objects.filter(chain=str(workspace.pk), name__in=names or PUBLISHED)
    return sum(rows.values_list("value", flat=True), Decimal(0))


def _confirmed_ids(workspace: Workspace, *, by_hand: bool = False) -> set[str]:
    type_ = "item.confirm_by_hand" if by_hand else "item.confirm"
    events = AuditEvent.objects.filter(chain=str(workspace.pk), type=type_)
    return set(events.annotate(post=KT("data__x_post_id")).values_list("post", flat=True))


def _confirmed_directly(workspace: Workspace) -> int:
    events = AuditEvent.objects.filter(chain=str(workspace.pk), type="item.confirm")
    return events.filter(data__direct=True).count()


def _late_matches(workspace: Workspace) -> dict[str, str]:
    """Posts that were found for what was decided otherwise, and what is to be done about each."""
    events = AuditEvent.objects.filter(chain=str(workspace.pk), type="item.late_match")
    return {
        str(event.data["x_post_id"]): f" as published: {event.subject} was {event.data['state']}, "
        "delete the post on X"
        for event in events
    }


def _own_posts(workspace: Workspace, x: XClient) -> list[Post]:
    """What the account posted since it was first connected, by whomever it was sent."""
    account = XAccount.objects.select_related("workspace").get(workspace=workspace)
    since = AuditEvent.objects.filter(chain=str(workspace.pk), type="account.connect")
    first = since.order_by("seq").values_list("at", flat=True).first() or account.connected_at
    return own_posts_since(
        account, first, subject="account", x=x, actor=Actor.command(), clock=timezone.now
    )

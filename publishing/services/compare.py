"""Three legs that must agree: the counters, the audit log, and what stands on X."""

from collections import Counter as Counts
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from django.db.models.fields.json import KT
from django.utils import timezone

from publishing.models import PublishAttempt
from publishing.states import Outcome
from workspaces import counters
from workspaces.actors import Actor
from workspaces.models import AuditEvent, Counter, Workspace
from workspaces.snapshots import one_snapshot
from x_integration.client import XClient
from x_integration.models import XAccount
from x_integration.payloads import Post, normalised
from x_integration.services import with_access_token

# X names the client that made a post, where it names one at all (its document calls the field
# deprecated); these are the clients that people use.
_PEOPLES_CLIENTS = ("X Web App", "Twitter Web App", "X for ", "Twitter for ")
_POSTS_THAT_X_SHOWS = 3200  # of one timeline (docs/X-API.md, Reading)


@dataclass(frozen=True)
class Legs:
    """Publications of one workspace, counted three ways, and what makes them differ."""

    workspace: str
    counter: Decimal
    audit: int
    timeline: int
    differences: tuple[str, ...]
    unread: int = 0  # confirmed posts older than what X still shows


def compare_workspace(workspace: Workspace, *, x: XClient) -> Legs:
    """Count the machine's publications by counter, audit and timeline.

    What the audit confirmed must stand on the timeline, by whomever it was sent, and what stands
    there by a machine must be in the audit. Where X does not name a post's maker, one with the target
    and text of an attempt of ours is the machine's. The audit is read before and after the timeline, so that work that goes on
    meanwhile is no difference; nor is one post for each attempt that is not settled yet. Raises
    NoAccessToken, XUnauthorized or XReadFailed.
    """
    owed = _confirmed_ids(workspace)
    posts = {post.id: post for post in _own_posts(workspace, x)}
    with one_snapshot():
        counted, confirmed, unsettled = (
            _counted(workspace),
            _confirmed_ids(workspace),
            _unsettled(workspace),
        )
    old = _older_than_shown(owed, posts)
    sent = _sent(workspace)
    machines = {post_id for post_id, post in posts.items() if _is_a_machines(post, sent)}
    stray = _not_excused([posts[post_id] for post_id in sorted(machines - confirmed)], unsettled)
    differences = [
        *(
            f"{post_id} is in the audit, but not on the timeline"
            for post_id in owed - posts.keys() - old
        ),
        *(f"{post.id} is on the timeline, but not in the audit" for post in stray),
    ]
    if counted != len(confirmed):
        differences.append(f"the counters say {counted.normalize():f}, the audit {len(confirmed)}")
    standing = len(confirmed & posts.keys() | machines)
    return Legs(
        workspace.slug, counted, len(confirmed), standing, tuple(sorted(differences)), len(old)
    )


def _older_than_shown(owed: set[str], posts: Mapping[str, Post]) -> set[str]:
    """Confirmed posts that X no longer shows because too many came after them."""
    if len(posts) < _POSTS_THAT_X_SHOWS:
        return set()
    oldest = min(map(int, posts))
    return {post_id for post_id in owed if int(post_id) < oldest}


def _unsettled(workspace: Workspace) -> Counts[tuple[str, str]]:
    """Target and text of what may have been sent and is not settled, as often as it was tried."""
    outcomes = (Outcome.IN_FLIGHT, Outcome.UNKNOWN)
    attempts = PublishAttempt.objects.filter(item__workspace=workspace, outcome__in=outcomes)
    snapshots = attempts.values_list("snapshot", flat=True)
    return Counts((sent["target"] or "", normalised(sent["text"])) for sent in snapshots)


def _not_excused(posts: list[Post], unsettled: Counts[tuple[str, str]]) -> list[Post]:
    """The posts but for one for each attempt that may have made it: a second one is a double."""
    left = []
    for post in posts:
        content = _content(post)
        if unsettled[content] > 0:
            unsettled[content] -= 1
        else:
            left.append(post)
    return left


def _is_a_machines(post: Post, sent: set[tuple[str, str]]) -> bool:
    """Whether no person's client made the post; where X names none, whether its content is ours."""
    source = str(post.raw.get("source") or "")
    if not source:
        return _content(post) in sent
    return not source.startswith(_PEOPLES_CLIENTS)


def _content(post: Post) -> tuple[str, str]:
    return post.replied_to, normalised(post.text)


def _sent(workspace: Workspace) -> set[tuple[str, str]]:
    """Target and text of everything that was ever tried."""
    attempts = PublishAttempt.objects.filter(item__workspace=workspace)
    snapshots = attempts.values_list("snapshot", flat=True)
    return {(sent["target"] or "", normalised(sent["text"])) for sent in snapshots}


def compare_counters() -> list[counters.Difference]:
    """Every business counter that does not equal the audit."""
    return counters.compare()


def _counted(workspace: Workspace) -> Decimal:
    """Their sum as it stands: what somebody changed by hand may be no whole number, or none."""
    names = ("replies_published_total", "posts_published_total")
    rows = Counter.objects.filter(chain=str(workspace.pk), name__in=names)
    return sum(rows.values_list("value", flat=True), Decimal(0))


def _confirmed_ids(workspace: Workspace) -> set[str]:
    events = AuditEvent.objects.filter(chain=str(workspace.pk), type="item.confirm")
    return set(events.annotate(post=KT("data__x_post_id")).values_list("post", flat=True))


def _own_posts(workspace: Workspace, x: XClient) -> list[Post]:
    """What the account posted since it was first connected, by whomever it was sent."""
    account = XAccount.objects.get(workspace=workspace)
    since = AuditEvent.objects.filter(chain=str(workspace.pk), type="account.connect")
    first = since.order_by("seq").values_list("at", flat=True).first() or account.connected_at

    def read(token: str) -> list[Post]:
        pages = x.timeline(account.x_user_id, access_token=token, start_time=first)
        return [post for page in pages for post in page.posts]

    return with_access_token(workspace, read, x=x, actor=Actor.command(), clock=timezone.now)

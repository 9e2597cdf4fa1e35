"""Three legs that must agree: the counters, the audit log, and what stands on X."""

from collections.abc import Iterator
from dataclasses import dataclass

from django.db.models.fields.json import KT
from django.utils import timezone

from publishing.models import PublishAttempt
from publishing.states import Outcome
from workspaces import counters
from workspaces.models import AuditEvent, Counter, Workspace
from workspaces.snapshots import one_snapshot
from x_integration.client import XClient
from x_integration.models import XAccount
from x_integration.payloads import Post, normalised
from x_integration.services import require_workspace_x_access_token

# X names the client that made a post; these are the ones that people use.
_PEOPLES_CLIENTS = ("X Web App", "Twitter Web App", "X for ", "Twitter for ")


@dataclass(frozen=True)
class Legs:
    """Publications of one workspace, counted three ways, and what makes them differ."""

    workspace: str
    counter: int
    audit: int
    timeline: int
    differences: tuple[str, ...]


def compare_workspace(workspace: Workspace, *, x: XClient) -> Legs:
    """Count the machine's publications by counter, audit and timeline.

    What the audit confirmed must stand on the timeline, and what stands there and no person made
    must be in the audit. The audit is read before and after the timeline, so that work that goes on
    meanwhile is no difference; nor is the post of an attempt that is not settled yet. Raises
    NoAccessToken, XUnauthorized or XReadFailed.
    """
    owed = _confirmed_ids(workspace)
    posts = {post.id: post for post in _machine_posts(workspace, x)}
    with one_snapshot():
        counted, confirmed, unsettled = (
            _counted(workspace),
            _confirmed_ids(workspace),
            _unsettled(workspace),
        )
    stray = [
        post_id for post_id in posts.keys() - confirmed if _content(posts[post_id]) not in unsettled
    ]
    differences = [
        *(f"{post_id} is in the audit, but not on the timeline" for post_id in owed - posts.keys()),
        *(f"{post_id} is on the timeline, but not in the audit" for post_id in stray),
    ]
    if counted != len(confirmed):
        differences.append(f"the counters say {counted}, the audit {len(confirmed)}")
    return Legs(workspace.slug, counted, len(confirmed), len(posts), tuple(sorted(differences)))


def _unsettled(workspace: Workspace) -> set[tuple[str, str]]:
    """Target and text of what may have been sent and is not settled."""
    outcomes = (Outcome.IN_FLIGHT, Outcome.UNKNOWN)
    attempts = PublishAttempt.objects.filter(item__workspace=workspace, outcome__in=outcomes)
    snapshots = attempts.values_list("snapshot", flat=True)
    return {(sent["target"] or "", normalised(sent["text"])) for sent in snapshots}


def _content(post: Post) -> tuple[str, str]:
    return post.replied_to, normalised(post.text)


def compare_counters() -> list[counters.Difference]:
    """Every business counter that does not equal the audit."""
    return counters.compare()


def _counted(workspace: Workspace) -> int:
    names = ("replies_published_total", "posts_published_total")
    rows = Counter.objects.filter(chain=str(workspace.pk), name__in=names)
    return int(sum(rows.values_list("value", flat=True)))


def _confirmed_ids(workspace: Workspace) -> set[str]:
    events = AuditEvent.objects.filter(chain=str(workspace.pk), type="item.confirm")
    return set(events.annotate(post=KT("data__x_post_id")).values_list("post", flat=True))


def _machine_posts(workspace: Workspace, x: XClient) -> Iterator[Post]:
    """Posts since the account was first connected that no person's client made."""
    account = XAccount.objects.get(workspace=workspace)
    since = AuditEvent.objects.filter(chain=str(workspace.pk), type="account.connect")
    first = since.order_by("seq").values_list("at", flat=True).first() or account.connected_at
    token = require_workspace_x_access_token(workspace, now=timezone.now(), x=x)
    for page in x.timeline(account.x_user_id, access_token=token, start_time=first):
        for post in page.posts:
            if not str(post.raw.get("source", "")).startswith(_PEOPLES_CLIENTS):
                yield post

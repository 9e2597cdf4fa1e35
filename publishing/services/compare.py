"""Three legs that must agree: the counters, the audit log, and what stands on X."""

from collections.abc import Iterator
from dataclasses import dataclass

from django.db.models.fields.json import KT
from django.utils import timezone

from workspaces import counters
from workspaces.models import AuditEvent, Counter, Workspace
from x_integration.client import XClient
from x_integration.models import XAccount
from x_integration.payloads import Post
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

    Each post that the audit confirms must stand on the timeline, and each post there that no
    person made must be in the audit. Raises NoAccessToken or XReadFailed.
    """
    confirmed = _confirmed_ids(workspace)
    posts = {post.id: post for post in _machine_posts(workspace, x)}
    counted = _counted(workspace)
    differences = [
        *(
            f"{post_id} is in the audit, but not on the timeline"
            for post_id in confirmed - posts.keys()
        ),
        *(
            f"{post_id} is on the timeline, but not in the audit"
            for post_id in posts.keys() - confirmed
        ),
    ]
    if counted != len(confirmed):
        differences.append(f"the counters say {counted}, the audit {len(confirmed)}")
    return Legs(workspace.slug, counted, len(confirmed), len(posts), tuple(sorted(differences)))


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

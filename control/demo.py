"""The demo: a believable team on the simulator, and one reply from hearing to audit.

Everything here goes the way that real use goes: OAuth over HTTP, the services, the worker. It
refuses to act on anything but a development system whose X is the simulator.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import requests
from django.conf import settings
from django.contrib.auth.models import Permission
from django.db import connection
from django.utils import timezone

from control import services
from publishing.models import PublishAttempt, QueueItem
from publishing.services import (
    approve_item,
    change_plan,
    compare_counters,
    compare_workspace,
    plan_post,
)
from publishing.services.plans import WEEKDAYS
from publishing.states import State
from revfirst.errors import Conflict, Refused
from revfirst.wait import wait_until
from workspaces.actors import Actor
from workspaces.models import AuditEvent, User, Workspace
from workspaces.services import create_workspace
from x_integration.client import XClient
from x_integration.models import XAccount
from x_integration.services import begin_authorization

BRAND, OWNER, SLUG = "cafe_aurora", "demo", "cafe-aurora"
OWNER_EMAIL = "demo@revfirst.invalid"
LOOPBACK = {"127.0.0.1", "localhost", "::1"}
PUBLISH_SECONDS = 45
ENOUGH_SAID = 60  # mentions in which every template's variants come up again

_OPEN = ((9 * 60, 12 * 60), (15 * 60, 19 * 60))
PLAN: dict[str, Any] = {
    "time_zone": "America/Sao_Paulo",
    "posts_per_day": 2,
    **dict.fromkeys(WEEKDAYS[:5], _OPEN),
    WEEKDAYS[5]: _OPEN[:1],
}
OWN_POSTS = (
    "O lote novo do Caparaó está na prateleira: laranja, mel e um final bem limpo.",
    "Quarta é dia de torra. Quem passar depois das três leva a casa inteira no casaco.",
    "Oficina de coador de pano no sábado, oito lugares. Tragam a mãe e a paciência dela.",
)


class NotADemo(Refused):
    """The demo runs in development against the simulator, and nowhere else."""

    code = "not_a_demo"


class DemoFailed(Conflict):
    """The demo did not come to its end."""

    code = "demo_failed"


def check_is_demo() -> None:
    """Raise NotADemo unless this is development and X is the simulator, by its own word."""
    if settings.ENVIRONMENT != "development":
        raise NotADemo(f"The demo needs ENVIRONMENT=development; this is {settings.ENVIRONMENT}.")
    if urlsplit(settings.X_API_BASE_URL).hostname not in LOOPBACK:
        raise NotADemo("The demo talks to the simulator only; X_API_BASE_URL is somewhere else.")
    for name in ("X_AUTHORIZE_URL", "X_TOKEN_URL", "X_REVOKE_URL"):
        if not getattr(settings, name).startswith(f"{settings.X_API_BASE_URL}/"):
            raise NotADemo(f"The demo talks to the simulator only; {name} is somewhere else.")
    try:
        said = _http().get(f"{settings.X_API_BASE_URL}/control", timeout=5).json()
    except (requests.RequestException, ValueError):
        raise NotADemo(
            "The simulator does not answer at X_API_BASE_URL: run 'make demo'."
        ) from None
    if not isinstance(said, dict) or said.get("simulator") != "revfirst-x":
        raise NotADemo("What answers at X_API_BASE_URL is not the simulator.")


def check_database() -> None:
    """Raise NotADemo when the database holds what the demo did not make: its worker would publish it."""
    if Workspace._meta.db_table not in connection.introspection.table_names():
        return
    others = Workspace.objects.exclude(slug=SLUG).values_list("slug", flat=True)
    if others.exists():
        raise NotADemo(
            f"The database holds a workspace that is not the demo's ({others[0]}): "
            "unset DATABASE_URL, or let it name an empty database."
        )


def prepare(*, now: datetime) -> Workspace:
    """Make the owner, the workspace and its connection, as far as they are missing."""
    check_is_demo()
    check_database()
    owner = _owner()
    workspace = Workspace.objects.filter(slug=SLUG).first() or create_workspace(
        slug=SLUG, name="Café Aurora", owner=owner, actor=Actor.command(), now=now
    )
    account = XAccount.objects.filter(workspace=workspace).first()
    if account is None or not account.connected(now):
        _connect(workspace, owner)
    return workspace


def _owner() -> User:
    """The demo's owner; the password is the generated one, also after a new var/.

    Raises NotADemo when somebody else has that name: a person's password is not ours to change.
    """
    fields = {"is_staff": True, "email": OWNER_EMAIL}
    owner, _ = User.objects.get_or_create(username=OWNER, defaults=fields)
    if owner.email != OWNER_EMAIL:
        raise NotADemo(f"There is a user {OWNER} here that the demo did not make.")
    if not owner.check_password(settings.DEMO_PASSWORD):
        owner.set_password(settings.DEMO_PASSWORD)
        owner.save(update_fields=["password"])
    owner.user_permissions.add(Permission.objects.get(codename="system_operator"))
    return owner


def _connect(workspace: Workspace, owner: User) -> None:
    """The real flow, with a script in the browser's place: consent at X, then our callback."""
    started = begin_authorization(workspace, user=owner, now=timezone.now())
    http = _http()
    page = http.get(started.authorize_url, timeout=10)
    form = {name: html.unescape(value) for name, value in _HIDDEN.findall(page.text)}
    answer = http.post(
        settings.X_AUTHORIZE_URL,
        data={**form, "user": BRAND, "decision": "allow"},
        allow_redirects=False,
        timeout=10,
    )
    callback = answer.headers.get("Location", "")
    if not callback.startswith(settings.X_REDIRECT_URI):
        raise DemoFailed(f"The simulator did not consent ({answer.status_code}).")
    done = http.get(callback, timeout=30)
    if done.status_code != 200:
        raise DemoFailed(f"The callback answered {done.status_code}: {done.text[:200]}")


_HIDDEN = re.compile(r'<input type="hidden" name="([^"]+)" value="([^"]*)"')


def _http() -> requests.Session:
    session = requests.Session()
    session.trust_env = False  # a proxy knows nothing of the loopback
    return session


def fill_queue(workspace: Workspace, *, now: datetime) -> services.Cycle:
    """Read what people said, and propose replies."""
    return services.run_cycle(workspace, x=XClient(), actor=Actor.command(), now=now)


def fill_calendar(workspace: Workspace, *, now: datetime) -> None:
    """Publish windows, and posts of our own that wait for a yes; where there is a plan, nothing."""
    if workspace.publish_windows.exists():
        return
    actor = Actor.operator(User.objects.get(username=OWNER), door="command")
    change_plan(workspace, changes=PLAN, actor=actor, now=now)
    for text in OWN_POSTS:
        plan_post(workspace, text=text, at=None, actor=actor, now=now)


@dataclass(frozen=True)
class Line:
    """One row of the table that `demo --once` prints."""

    item: str
    state: str
    x_post_id: str
    audit_seq: int
    metric: float


def run_once(workspace: Workspace, *, tell: Callable[[str], object]) -> list[Line]:
    """Ingest, propose, approve as the owner, let the worker publish; one line per item.

    Raises DemoFailed when an item is not published in time, or when the three legs disagree.
    """
    check_is_demo()
    ingested, proposed = _hear_and_propose(workspace)
    tell(f"ingest    {ingested} posts stored")
    tell(f"propose   {proposed} replies proposed")
    items = _approve_oldest(workspace, most=3)
    tell(f"approve   {len(items)} by {OWNER}")
    ids = [item.pk for item in items]
    waiting = QueueItem.objects.filter(pk__in=ids).exclude(state=State.PUBLISHED)
    if not wait_until(lambda: not waiting.exists(), seconds=PUBLISH_SECONDS, every=0.2):
        raise DemoFailed(f"Not published in {PUBLISH_SECONDS} s: {_why(waiting.first())}")
    tell("publish   done by the worker")
    _check_three_legs(workspace)
    metric = _metric("revfirst_replies_published_total", workspace.slug)
    done = QueueItem.objects.filter(pk__in=ids).order_by("number")
    return [_line(workspace, item, metric) for item in done]


def _hear_and_propose(workspace: Workspace) -> tuple[int, int]:
    """People speak until something can be answered: a template repeats nothing that was said lately."""
    ingested = proposed = 0
    for _ in range(ENOUGH_SAID):
        _somebody_new_speaks(workspace)
        cycle = fill_queue(workspace, now=timezone.now())
        ingested, proposed = ingested + cycle.ingested, proposed + cycle.proposed
        if _of_new_people(workspace):
            break
    return ingested, proposed


def _somebody_new_speaks(workspace: Workspace) -> None:
    """A second run finds everybody answered, and nobody is answered twice within the cooldown."""
    url = f"{settings.X_API_BASE_URL}/control/sample"
    guest = f"guest_{workspace.source_posts.count() + 1}"
    if not _http().post(url, json={"username": BRAND, "by": guest}, timeout=10).ok:
        raise DemoFailed("The simulator has nothing to say.")


def _approve_oldest(workspace: Workspace, *, most: int) -> list[QueueItem]:
    owner = User.objects.get(username=OWNER)
    pending = _of_new_people(workspace)[:most]
    if not pending:
        raise DemoFailed("Nothing waits for approval: every template's words were said lately.")
    actor = Actor.operator(owner, door="command")
    return [
        approve_item(item.pk, version=item.version, actor=actor, now=timezone.now())
        for item in pending
    ]


def _of_new_people(workspace: Workspace) -> list[QueueItem]:
    """The oldest pending item of everybody who was not answered yet: no cooldown holds these back."""
    answered = PublishAttempt.objects.filter(workspace=workspace).values("author_id")
    pending = workspace.items.pending().exclude(source_post__author_id__in=answered)
    first: dict[str, QueueItem] = {}
    for item in pending.select_related("source_post").order_by("created_at", "number"):
        if item.source_post:
            first.setdefault(item.source_post.author_id, item)
    return list(first.values())


def _why(item: QueueItem | None) -> str:
    if item is None:
        return "it is now"
    reason = item.blocked_reason or item.last_words or item.last_error or "the worker is not seen"
    return f"{item} is {item.state} ({reason})"


def _check_three_legs(workspace: Workspace) -> None:
    differences = [str(difference) for difference in compare_counters()]
    differences += compare_workspace(workspace, x=XClient()).differences
    if differences:
        raise DemoFailed("The numbers disagree: " + "; ".join(differences))


def _metric(name: str, slug: str) -> float:
    """The number as a stranger reads it, over HTTP."""
    bearer = {"Authorization": f"Bearer {settings.METRICS_TOKEN}"} if settings.METRICS_TOKEN else {}
    url = f"{settings.APP_PUBLIC_BASE_URL}/metrics"
    text = _http().get(url, headers=bearer, timeout=10).text
    found = re.search(rf'^{name}{{workspace="{re.escape(slug)}"}} (\S+)$', text, re.MULTILINE)
    if found is None:
        raise DemoFailed(f"/metrics does not show {name}.")
    return float(found.group(1))


def _line(workspace: Workspace, item: QueueItem, metric: float) -> Line:
    confirmed = AuditEvent.objects.filter(
        chain=str(workspace.pk), subject=item.subject, type="item.confirm"
    ).get()
    return Line(str(item), item.state, item.x_post_id, confirmed.seq, metric)

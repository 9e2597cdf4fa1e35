"""A small X with a connected account, people who say things, and items that answer them."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from django.db import connection
from django.utils import timezone
from django_q.models import OrmQ

from publishing.models import PublishAttempt, QueueItem
from publishing.services import approve_item, propose_item, propose_replies, publish_item, sweep
from tests.factories import SourcePostFactory, UserFactory, WorkspaceFactory, XAccountFactory
from workspaces.actors import Actor
from workspaces.models import User, Workspace
from x_integration.client import XClient
from x_integration.models import SourcePost, XAccount
from x_integration.services import ingest_mentions
from x_integration.simulator.process import SimulatorProcess

ROOT = Path(__file__).resolve().parent.parent
WORKER = Actor.worker()


@dataclass
class World:
    """The simulator and what a test does with it."""

    simulator: SimulatorProcess
    _said: int = field(default=0)

    def connected(self, username: str = "cafe", **account: Any) -> Workspace:
        """A workspace whose account X knows, with an owner."""
        self.simulator.make_user(username)
        pair = self.simulator.connect(username)
        workspace = WorkspaceFactory(owner=UserFactory(username=f"owner-of-{username}"))
        XAccountFactory(
            workspace=workspace,
            x_user_id=pair.user_id,
            username=username,
            access=pair.access_token,
            refresh=pair.refresh_token,
            **account,
        )
        return workspace

    def mention(self, workspace: Workspace, text: str = "", *, by: str = "lia") -> dict[str, Any]:
        """Somebody says something to the account; the post as X has it."""
        self._said += 1
        self.simulator.make_user(by)
        said = text or f"@{workspace.x_account.username} hello, number {self._said}"
        return self.simulator.say(by, said)

    def ingest(self, workspace: Workspace, *, now: datetime | None = None) -> int:
        """Read the mentions as the worker does."""
        account = XAccount.objects.select_related("workspace").get(workspace=workspace)
        return ingest_mentions(account, x=XClient(), actor=WORKER, now=now or timezone.now())

    def pending(self, workspace: Workspace, *, by: str = "lia") -> QueueItem:
        """An item that waits for a person, made the whole way: said, ingested, proposed."""
        self.mention(workspace, by=by)
        self.ingest(workspace)
        return propose_replies(workspace, actor=WORKER, now=timezone.now())[-1]

    def approved(self, workspace: Workspace, *, by: str = "lia", nudge: bool = False) -> QueueItem:
        """An item that the owner approved; without `nudge`, no worker has been told."""
        item = self.pending(workspace, by=by)
        approve_item(item.pk, version=1, actor=operator(workspace), now=timezone.now())
        if not nudge:
            OrmQ.objects.all().delete()
        item.refresh_from_db()
        return item

    def heard(self, workspace: Workspace, *, by: str, text: str = "") -> SourcePost:
        """Somebody says something, and it is stored without a look at the mentions."""
        author = self.simulator.make_user(by)
        said = self.mention(workspace, by=by, text=text)
        return SourcePostFactory(
            workspace=workspace,
            x_post_id=said["id"],
            author_id=author["id"],
            author_username=by,
            text=said["text"],
            conversation_id=said["conversation_id"],
        )

    def answering(self, workspace: Workspace, *, by: str, text: str) -> QueueItem:
        """As `approved`, with a text of the test's, and without a look at the mentions."""
        post = self.heard(workspace, by=by)
        now = timezone.now()
        item = propose_item(workspace, text=text, source_post=post, actor=WORKER, now=now)
        approve_item(item.pk, version=1, actor=operator(workspace), now=now)
        OrmQ.objects.all().delete()
        item.refresh_from_db()
        return item

    def publish(self, item: QueueItem) -> QueueItem:
        """One try to publish, here; the item as it is afterwards."""
        publish_item(item.pk, x=XClient(), actor=WORKER, clock=timezone.now)
        item.refresh_from_db()
        return item

    def sweep(self, *, after: timedelta = timedelta(0)) -> Any:
        """A sweep that believes that `after` has passed."""
        return sweep(actor=WORKER, now=timezone.now() + after)

    def fault(
        self, kind: str, *, method: str = "POST", path: str = "/2/tweets", **more: Any
    ) -> None:
        """The next call of that kind meets a fault."""
        body = {"method": method, "path": path, "kind": kind, "times": 1, **more}
        self.simulator.control("POST", "/faults", body)

    def machine_posts(self) -> list[dict[str, Any]]:
        """What stands on X that no person made."""
        return [post for post in self.simulator.posts(source="api") if not post["deleted"]]

    def calls(self, method: str, path: str) -> list[dict[str, Any]]:
        """The requests that X saw."""
        seen = self.simulator.control("GET", "/requests")
        rows = seen["requests"] if isinstance(seen, dict) else seen
        return [row for row in rows if row["method"] == method and row["path"] == path]


def approved_post(workspace: Workspace, text: str) -> QueueItem:
    """A post of our own, written and approved by the workspace's first operator."""
    who, now = operator(workspace), timezone.now()
    item = propose_item(workspace, text=text, actor=who, now=now)
    return approve_item(item.pk, version=1, actor=who, now=now)


def operator(workspace: Workspace, *, door: str = "admin") -> Actor:
    """The workspace's first operator, at a door."""
    user = User.objects.filter(memberships__workspace=workspace).order_by("pk").first()
    assert user is not None
    return Actor.operator(user, door=door)


def attempts(item: QueueItem) -> list[str]:
    """The outcomes of the item's attempts, in order."""
    rows = PublishAttempt.objects.filter(item=item).order_by("number")
    return list(rows.values_list("outcome", flat=True))


def problem(status: int, detail: str = "No.", kind: str = "about:blank") -> dict[str, Any]:
    """A fault that answers with one of X's problems."""
    body = {"title": "Problem", "detail": detail, "type": kind, "status": status}
    return {"kind": "status", "status": status, "body": body}


def environment(simulator: SimulatorProcess) -> dict[str, str]:
    """What a separate process needs to work on the test's database and X."""
    database = connection.settings_dict
    url = "postgres://{USER}:{PASSWORD}@{HOST}:{PORT}/{NAME}".format(**database)
    return {
        **os.environ,
        "DATABASE_URL": url,
        "X_API_BASE_URL": simulator.base_url,
        "X_CLIENT_ID": simulator.client_id,
        "X_CLIENT_SECRET": simulator.client_secret,
        "X_REDIRECT_URI": simulator.redirect_uri,
        "PYTHONPATH": str(ROOT),
        "DJANGO_SETTINGS_MODULE": "revfirst.settings",
    }


def manage(*words: str, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a management command in a process of its own."""
    return subprocess.run(
        [sys.executable, "manage.py", *words],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

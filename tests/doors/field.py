"""A world in which nothing may be published: items in every state, and no live approval of any.

Whatever holds an item back here is the approval: cooldowns, quotas and switches stand open.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.contrib.auth.models import Group, Permission
from django.utils import timezone
from django_q.tasks import async_task

from publishing.models import Approval, PublishAttempt, QueueItem
from publishing.services import approve_item, hand_off_item, opt_out_author, propose_item
from publishing.services.claim import claim_item
from publishing.states import State
from tests.api import make_key, member
from tests.doors.work import drain, run_command
from tests.factories import UserFactory
from tests.worlds import WORKER, World, operator
from workspaces.actors import Actor
from workspaces.models import ApiKey, Membership, SystemHold, SystemSwitch, User, Workspace
from workspaces.services import raise_alarm

_LIKE_THE_OTHERS = (
    *("approved_used", "approved_by_inactive", "approved_by_superuser", "approved_other_hash"),
    *("approved_other_version", "approved_by_demoted"),
)


@dataclass
class Field:
    """The world, its people, and its items by what is the matter with them."""

    x: World
    items: dict[str, QueueItem] = field(default_factory=dict)
    people: dict[str, User] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.cafe: Workspace = self.x.connected("cafe")
        self.bar: Workspace = self.x.connected("bar")
        self._people()
        for name in ("pending", "pending_by_owner", "pending_by_admin", "foreign"):
            self._pending(name)
        QueueItem.objects.filter(pk=self.items["pending_by_owner"].pk).update(
            written_by=self.people["owner"]
        )
        QueueItem.objects.filter(pk=self.items["pending_by_admin"].pk).update(
            written_by=self.people["admin"]
        )
        self._dead_approvals()
        self._elsewhere()
        self._rows_of_other_pages()
        drain()
        alike = [self.items[name].pk for name in _LIKE_THE_OTHERS]
        tomorrow = timezone.now() + timedelta(days=1)
        QueueItem.objects.filter(pk__in=alike).update(not_before=tomorrow)
        for item in self.items.values():
            item.refresh_from_db()

    @property
    def shown(self) -> list[str]:
        """The items whose pages are opened; to a page, some dead approvals are all the same."""
        return [name for name in self.items if name not in _LIKE_THE_OTHERS]

    def _people(self) -> None:
        chief = User.objects.create_superuser("chief")
        clerk = UserFactory(username="clerk")
        clerk.user_permissions.set(Permission.objects.all())
        self.people = {
            "owner": User.objects.get(username="owner-of-cafe"),
            "admin": member(self.cafe, "admin", username="ana"),
            "member": member(self.cafe, "member", username="mia"),
            "stranger": User.objects.get(username="owner-of-bar"),
            "superuser": chief,
            "clerk with every permission": clerk,
        }
        scopes = list(ApiKey.Scope)
        for scope in scopes:
            self.keys[f"key {scope}"] = make_key(self.cafe, self.people["owner"], scope)[1]
        self.keys["key of every scope"] = make_key(self.cafe, self.people["owner"], *scopes)[1]
        theirs = [ApiKey.Scope.STATUS_READ, ApiKey.Scope.QUEUE_READ, ApiKey.Scope.QUEUE_PROPOSE]
        self.keys["key of a member"] = make_key(self.cafe, self.people["member"], *theirs)[1]
        self.keys["key of a stranger"] = make_key(self.bar, self.people["stranger"], *scopes)[1]

    def _pending(self, name: str) -> QueueItem:
        """An item about somebody of its own."""
        workspace = self.bar if name == "foreign" else self.cafe
        by = f"about_{len(self.items)}"
        post = self.x.heard(workspace, by=by)
        text, now = f"Thank you for telling us: {name}.", timezone.now()
        item = propose_item(workspace, text=text, source_post=post, actor=WORKER, now=now)
        self.items[name] = item
        return item

    def _approved(self, name: str) -> QueueItem:
        item = self._pending(name)
        approve_item(item.pk, version=1, actor=operator(self.cafe), now=timezone.now())
        return item

    def _dead_approvals(self) -> None:
        """Approved items whose yes does not count, each for another reason."""
        now = timezone.now()
        ago = {"approved_at": now - timedelta(hours=48), "expires_at": now - timedelta(hours=24)}
        gone = member(self.cafe, "admin", username="demoted")
        away = member(self.cafe, "admin", username="away")
        Membership.objects.filter(user=gone).update(role="member")
        User.objects.filter(pk=away.pk).update(is_active=False)
        broken: dict[str, dict[str, Any]] = {
            "approved_void": {"voided_at": now},
            "approved_used": {"used_at": now},
            "approved_expired": ago,
            "approved_by_demoted": {"approved_by": gone},
            "approved_by_inactive": {"approved_by": away},
            "approved_by_superuser": {"approved_by": self.people["superuser"]},
            "approved_other_hash": {"content_hash": "0" * 64},
            "approved_other_version": {"version": 7},
        }
        for name, fields in broken.items():
            Approval.objects.filter(item=self._approved(name)).update(**fields)
        Approval.objects.filter(item=self._approved("approved_missing")).delete()
        edited = self._approved("approved_edited")
        QueueItem.objects.filter(pk=edited.pk).update(text="Words that nobody approved.")

    def _elsewhere(self) -> None:
        """Items in the other states."""
        now = timezone.now()
        actor = Actor.operator(self.people["admin"], door="admin")
        for name in (State.FAILED, State.REJECTED, State.EXPIRED):
            item = self._approved(name)
            Approval.objects.filter(item=item).update(voided_at=now)
            QueueItem.objects.filter(pk=item.pk).update(state=name)
        handed = self._pending(State.HANDED_OFF)
        hand_off_item(handed.pk, version=1, actor=actor, now=now)
        published = self.x.publish(self._approved(State.PUBLISHED))
        assert published.state == State.PUBLISHED
        doubt = self._approved(State.UNCONFIRMED)
        self.x.fault("status", status=500)
        self.x.publish(doubt)
        stranded = self._approved(State.PUBLISHING)
        claim_item(stranded.pk, actor=WORKER, now=now)
        long_ago = now - timedelta(minutes=11)
        PublishAttempt.objects.filter(item=doubt).update(
            looks=3, next_look_at=None, started_at=long_ago
        )
        PublishAttempt.objects.filter(item=stranded).update(started_at=long_ago)
        QueueItem.objects.filter(pk=stranded.pk).update(moved_at=long_ago)

    def _rows_of_other_pages(self) -> None:
        """A row for each page of the admin that shows one."""
        now = timezone.now()
        run_command("sync_schedules", "-v0")
        async_task("control.tasks.beat")
        async_task("publishing.tasks.publish_one", "no number")
        Group.objects.create(name="everybody")
        SystemSwitch.objects.create(name="kill_switch", changed_by="command", changed_at=now)
        SystemHold.objects.create(kind="no_credits", reason="x", placed_at=now, lifted_at=now)
        raise_alarm("something", detail="Look at it.", workspace=self.cafe, now=now)
        post = self.items["rejected"].source_post
        assert post is not None
        opt_out_author(post, actor=WORKER, now=now)

"""Where a door is proved live: a connected workspace, its people, and the count of what X was asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

from django.test import Client
from django.urls import reverse
from django.utils import timezone

from publishing.models import QueueItem
from publishing.services import approve_item
from tests.api import member
from tests.doors.work import a_minute_passes
from tests.worlds import World
from workspaces.actors import Actor
from workspaces.models import User, Workspace

TWEETS = ("POST", "/2/tweets")


class Stage:
    """One workspace whose owner and admin can do what they may; nothing else holds anything back."""

    def __init__(self, x: World) -> None:
        self.x = x
        self.workspace: Workspace = x.connected()
        self.owner = User.objects.get(memberships__workspace=self.workspace)
        self.admin = member(self.workspace, "admin", username="ana")
        self._people = 0

    def browser(self, user: User | None = None) -> Client:
        """A browser in which the admin, or somebody else, is signed in."""
        client = Client()
        client.force_login(user or self.admin)
        return client

    def press(self, path: str, form: dict[str, Any], *, user: User | None = None) -> Any:
        """Send a form to a page of the admin; the answer, which is no refusal."""
        answer = self.browser(user).post(path, form)
        assert answer.status_code in (200, 302), f"{path}: {answer.status_code}"
        return answer

    def pending(self) -> QueueItem:
        """An item that waits for a person, about somebody of its own."""
        self._people += 1
        return self.x.pending(self.workspace, by=f"lia{self._people}")

    def approved(self) -> QueueItem:
        """An item that the owner approved."""
        self._people += 1
        return self.x.approved(self.workspace, by=f"lia{self._people}")

    def doubt(self) -> QueueItem:
        """An item that X never got, whose post was looked for the last time."""
        item = self.approved()
        self.x.fault("status", status=500)
        item = self.x.publish(item)
        for minutes in (1, 3, 11):
            self.x.sweep(after=timedelta(minutes=minutes))
        item.refresh_from_db()
        return item

    def failed(self) -> QueueItem:
        """An item that X refused."""
        item = self.approved()
        self.x.fault("status", status=400, body={"title": "No", "status": 400, "type": "about:x"})
        return self.x.publish(item)

    def approve(self, item: QueueItem, *, by: User | None = None) -> None:
        """A person's yes, at the admin's door: what an item asks for that another door made."""
        item.refresh_from_db()
        actor = Actor.operator(by or self.admin, door="admin")
        approve_item(item.pk, version=item.version, actor=actor, now=timezone.now())

    def decide(self, item: QueueItem, decision: str, **typed: str) -> None:
        """Press a button of the item's page."""
        item.refresh_from_db()
        page = reverse("admin:publishing_queueitem_change", args=[item.pk])
        self.press(page, {"decision": decision, f"version-{item.pk}": item.version, **typed})
        item.refresh_from_db()

    def newest(self) -> QueueItem:
        """The item that was made last."""
        return QueueItem.objects.filter(workspace=self.workspace).latest("pk")

    def asked(self) -> int:
        """How many times X was asked to post."""
        return len(self.x.calls(*TWEETS))


Control = Callable[[Stage], Iterator[None]]
"""Sets the door up, yields while it is shut, and then uses it as the one who may."""


def prove(x: World, control: Control) -> None:
    """Nothing is posted before the door is used, and exactly one post stands at X afterwards."""
    stage = Stage(x)
    steps = control(stage)
    next(steps)
    a_minute_passes()
    asked, posts = stage.asked(), len(x.machine_posts())
    assert posts == 0, "something was published before the door was used"
    assert next(steps, "done") == "done", "a control uses its door once"
    a_minute_passes()
    a_minute_passes()
    assert (stage.asked() - asked, len(x.machine_posts())) == (1, 1), "the door is not live"

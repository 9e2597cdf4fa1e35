"""What the sweep sends: right forms, forged ones, and everything that somebody might add to them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.apps import apps
from django.utils import timezone

from publishing.models import QueueItem
from tests.doors import routes
from tests.doors.controls_work import KEY
from tests.doors.field import Field
from workspaces.models import ApiKey, SystemSwitch

FORM, JSON = "application/x-www-form-urlencoded", "application/json"
STRANGE_ACTIONS = ("resubmit_task", "retry_failed", "run_now", "publish", "delete_selected")


@dataclass(frozen=True)
class Body:
    """One body; `door` where it uses another door than its URL, `fits` is the method that decides with it."""

    data: dict[str, Any] = field(default_factory=dict)
    door: str = ""
    fits: str = ""


HEADERS: dict[str, Any] = {
    "HTTP_X_HTTP_METHOD_OVERRIDE": "PATCH",
    "HTTP_X_METHOD_OVERRIDE": "POST",
    "HTTP_X_INTERNAL_KEY": KEY,
}


def everything(world: Field) -> dict[str, Any]:
    """One form with the fields of all forms, filled in rightly, and some that no form has."""
    versions = {f"version-{item.pk}": item.version for item in world.items.values()}
    switch = SystemSwitch.objects.get()
    return {
        **versions,
        "_method": "PATCH",
        "reason": "because",
        "confirmed": "yes",
        "post": "yes",
        "seen": switch.changed_at.isoformat(),
        "text": "Words of the sweep.",
        "post_id": "1",
        "state": "approved",
        "approved_by": world.people["owner"].pk,
        "workspace": str(world.cafe.pk),
        "name": "a name",
        "query": "coffee",
        "on": "yes",
        "scopes": list(ApiKey.Scope),
        "username": "somebody",
        "password1": "a-long-pass-phrase-1",
        "password2": "a-long-pass-phrase-1",
        "usable_password": "true",
        "is_active": "on",
        "is_staff": "on",
        "is_superuser": "on",
        "policy-max_replies_per_hour": "5",
        "day": f"{timezone.now() + timedelta(days=1):%Y-%m-%d}",
        "time": "09:00",
        "plan-time_zone": "UTC",
        "plan-posts_per_day": "2",
        "plan-late_minutes": "60",
        "func": "publishing.tasks.publish_one",
        "args": str(world.items["approved_void"].pk),
        "schedule_type": "O",
        "repeats": "-1",
    }


def of_a_page(route: routes.Route, world: Field, item: QueueItem | None) -> Iterator[Body]:
    """The forms for a page of the admin."""
    whole = everything(world)
    yield Body(whole)
    model = ".".join(route.path.split("/")[1:3])
    if route.path.count("/") == 3 and not route.parameters:
        known = {name: label for label, name in routes.actions() if label.lower() == model}
        rows = _rows(model) if known else []
        for action in sorted({*known, *STRANGE_ACTIONS}):
            door = f"action {known[action]}.{action}" if action in known else ""
            yield Body(whole | {"action": action, "_selected_action": rows, "index": 0}, door)
    if route.path.endswith("queueitem/<path:object_id>/change/") and item is not None:
        for decision in routes.decisions():
            yield Body(whole | {"decision": decision}, f"decision {decision}")
        yield Body(whole | {"decision": "approve", "text": item.text}, "decision approve")


def _rows(label: str) -> list[str]:
    rows = apps.get_model(label)._default_manager
    return [str(pk) for pk in rows.values_list("pk", flat=True)]


def of_the_api(world: Field, item: QueueItem | None) -> Iterator[Body]:
    """The bodies for a route of the API."""
    here, there = str(world.cafe.pk), str(world.bar.pk)
    target = world.items["failed"].source_post
    version = item.version if item else 1
    words = {"text": "Words of the sweep."}
    assert target is not None
    yield Body({"workspace_id": here, **words})
    yield Body({"version": version, **words}, fits="PATCH")
    yield Body({"version": version, "reason": "because"}, fits="POST")
    yield Body({"workspace_id": here, **words, "in_reply_to_tweet_id": target.x_post_id})
    yield Body({**words, "source_post_id": target.x_post_id})
    yield Body(words)
    yield Body({"version": version, **words, "state": "approved", "approved_by": 1})
    yield Body({"workspace_id": there, **words})


def encoded(data: dict[str, Any]) -> bytes:
    """As JSON."""
    return json.dumps(data).encode()

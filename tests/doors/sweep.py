"""The sweep: everybody uses every door, and X is looked at after each call that changed something."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import quote, urlencode

from django.apps import apps
from django.utils import timezone
from django_q.models import OrmQ
from django_q.tasks import async_task

from publishing.models import QueueItem
from tests.doors import routes
from tests.doors.bodies import FORM, HEADERS, JSON, Body, encoded, of_a_page, of_the_api
from tests.doors.books import Books
from tests.doors.callers import Caller, callers
from tests.doors.field import Field
from tests.doors.judge import Judge
from tests.doors.table import has_reason
from tests.doors.work import drain, run_command
from tests.worlds import World

BODIES = ("POST", "PUT", "PATCH")


class Sweep:
    """One world, walked through by everybody."""

    def __init__(self, x: World) -> None:
        self.x, self.world = x, Field(x)
        self.callers = callers(self.world)
        drain()
        self.judge, self.books = Judge(x), Books(x)
        self.calls = self.changes = 0

    def walk(self, route: routes.Route) -> None:
        """Everybody, with every method and body."""
        for place, (values, item) in enumerate(self._places(route)):
            path, bodies = route.at(values), self._bodies(route, item)
            for caller in self.callers:
                for method, body in self._requests(route, caller, bodies, is_first=place == 0):
                    self._call(route, caller, method, path, body)
        self.judge.look(route.door, None)

    def _requests(
        self, route: routes.Route, caller: Caller, bodies: list[Body], *, is_first: bool
    ) -> Iterator[tuple[str, Body]]:
        """Every method, with all bodies where they can matter: a page of the admin reads them of a
        POST alone, and no key; what follows the first item is asked of the methods that decide."""
        is_page = route.path.startswith("admin/")
        if is_page and caller.is_a_key:
            bodies = bodies[:1]
        for method in routes.METHODS if is_first else ("POST",) if is_page else ("POST", "PATCH"):
            all_of_them = method == "POST" or (method == "PATCH" and not is_page)
            told = bodies if is_first or is_page else [b for b in bodies if b.fits == method]
            if method in BODIES:
                yield from ((method, body) for body in (told if all_of_them else told[:1]))
            else:
                yield method, Body()

    def _places(self, route: routes.Route) -> Iterator[tuple[dict[str, Any], QueueItem | None]]:
        """The values for what stands in the path."""
        items = [self.world.items[name] for name in self.world.shown]
        is_item = "number" in route.parameters or "queueitem/<path" in route.path
        shown = items if _is_wide(route) else items[:1] if is_item else [None]
        for item in shown:
            values: dict[str, Any] = {
                "workspace_id": self.world.cafe.pk,
                "number": item.number if item else 1,
                "app_label": "publishing",
                "url": "nowhere/",
                "content_type_id": 1,
                "id": self.world.people["member"].pk,
            }
            first = item.pk if item else _first_row(route)
            values |= dict.fromkeys(("object_id", "account_id", "feed_id", "hold_id"), first)
            yield {name: quote(str(value)) for name, value in values.items()}, item

    def _bodies(self, route: routes.Route, item: QueueItem | None) -> list[Body]:
        if route.path.startswith("admin/"):
            return list(of_a_page(route, self.world, item))
        bodies = list(of_the_api(self.world, item))
        return bodies if route.path.startswith(("publishing/", "integrations/")) else bodies[:1]

    def _call(
        self, route: routes.Route, caller: Caller, method: str, path: str, body: Body
    ) -> None:
        is_page = route.path.startswith("admin/")
        data = urlencode(body.data, doseq=True).encode() if is_page else encoded(body.data)
        sent = data if method in BODIES else b""
        status = caller.call(method, path, sent, FORM if is_page else JSON, HEADERS)
        self.calls += 1
        who = f"{caller.name}: {method} {path} {body.door}".strip()
        self.settle(who, caller, [route.door, body.door] if body.door else [route.door])
        if status in (429, 500):
            self.judge.look(who, caller)
            raise AssertionError(f"{who}: {status}")

    def settle(self, who: str, caller: Caller | None, doors: list[str]) -> None:
        """Let the workers do what came of it, look at X, and bring the world back."""
        if self.books.nothing_was_written() or self.books.nothing_that_counts():
            return
        self.changes += 1
        if all(has_reason(door) for door in doors):
            self.judge.nothing_was_decided(who)
        self._work()
        self.judge.look(who, caller)
        self.books.restore()

    def _work(self) -> None:
        """The workers do what they were told and what is due; what never sends is left out."""
        drain()
        soon = timezone.now() + timedelta(hours=1)
        QueueItem.objects.filter(not_before__lte=soon).update(not_before=None)
        async_task("publishing.tasks.publish_due")
        drain()

    def commands(self, given: dict[str, list[tuple[str, ...]]]) -> int:
        """Every command with each of its words; how many ran."""
        ran = 0
        for name, each in given.items():
            for words in each:
                run_command(name, *words)
                self.settle(f"{name} {' '.join(words)}", None, [f"command {name}"])
                ran += 1
        return ran

    def tasks(self) -> int:
        """Every task by its name, without and with the id of each item; how many ran."""
        ran = 0
        QueueItem.objects.update(not_before=None)
        for name in routes.tasks():
            for args in [(), (0,), *((item.pk,) for item in self.world.items.values())]:
                async_task(name, *args)
                ran += 1
            drain()
            self.judge.look(f"task {name}", None)
            QueueItem.objects.update(not_before=None)
        self.books.restore()
        assert not OrmQ.objects.exists()
        return ran


def _is_wide(route: routes.Route) -> bool:
    """Whether each item is tried: where a decision about it is made."""
    ours = ("<int:number>", "<int:number>/reject", "queueitem/<path:object_id>/change/")
    return route.path.endswith(ours)


def _first_row(route: routes.Route) -> object:
    """A row of the model whose page this is."""
    words = route.path.split("/")
    try:
        rows = apps.get_model(words[1], words[2])._default_manager
    except LookupError:
        return 1
    return rows.values_list("pk", flat=True).first() or 1

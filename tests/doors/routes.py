"""Every door of the running code: URLs, admin actions, decisions, commands and tasks.

Nothing here is a list made by hand: what somebody adds tomorrow is found tomorrow.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import import_module, util
from types import FunctionType
from typing import Any

from django.apps import apps
from django.contrib import admin
from django.contrib.admindocs.views import simplify_regex
from django.core.management import get_commands
from django.test import RequestFactory
from django.urls import get_resolver
from django.urls.resolvers import RegexPattern, URLPattern, URLResolver

from control import schedules
from publishing.item_page import DECISIONS
from workspaces.models import User

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
OURS = ("revfirst", "workspaces", "x_integration", "publishing", "control", "django_q")
_PARAMETER = re.compile(r"<(?:\w+:)?(\w+)>")


@dataclass(frozen=True)
class Route:
    """One URL pattern; `path` reads like `publishing/queue/<uuid:workspace_id>`."""

    path: str

    @property
    def door(self) -> str:
        """Its name in the table of controls."""
        return f"url {self.path}"

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names of what stands in the path, in order."""
        return tuple(_PARAMETER.findall(self.path))

    def at(self, values: dict[str, Any]) -> str:
        """The address with these values in it."""
        return "/" + _PARAMETER.sub(lambda found: str(values[found[1]]), self.path)


def urls() -> list[Route]:
    """Every URL pattern, the admin's included, in the order in which they are tried."""
    return [Route(path) for path in dict.fromkeys(_paths(get_resolver().url_patterns, ""))]


def _paths(patterns: Iterable[URLPattern | URLResolver], before: str) -> Iterator[str]:
    for each in patterns:
        path = before + _plain(each.pattern)
        if isinstance(each, URLResolver):
            yield from _paths(each.url_patterns, path)
        else:
            yield path


def _plain(pattern: Any) -> str:
    if isinstance(pattern, RegexPattern):
        return simplify_regex(str(pattern)).removeprefix("/")
    return str(pattern)


def actions() -> set[tuple[str, str]]:
    """Model and name of every action that some admin page knows, whoever may press it."""
    request = RequestFactory().get("/admin/")
    request.user = User(is_staff=True, is_superuser=True, is_active=True)
    found = set()
    pages: dict[Any, Any] = admin.site._registry
    for model, page in pages.items():
        known = {name for _, name, _ in page._get_base_actions()}  # permissions are not asked here
        known |= set(page.get_actions(request))
        found |= {(model._meta.label, name) for name in known}
    return found


def decisions() -> list[str]:
    """What the item's page can do."""
    return [decision.name for decision in DECISIONS]


def commands() -> list[str]:
    """The management commands of our apps and of the task engine."""
    return sorted(name for name, app in get_commands().items() if str(app) in OURS)


def tasks() -> list[str]:
    """The dotted name of whatever a worker may be told to run: public functions of `tasks` modules,
    and what the timetable names."""
    found = {schedule.func for schedule in schedules.from_code().values()}
    for app in apps.get_app_configs():
        name = f"{app.name}.tasks"
        if app.name in OURS and app.name != "django_q" and util.find_spec(name):
            found |= {f"{name}.{each}" for each in _own_functions(name)}
    return sorted(found)


def _own_functions(module: str) -> Iterator[str]:
    for name, each in vars(import_module(module)).items():
        own = isinstance(each, FunctionType) and each.__module__ == module
        if own and not name.startswith("_"):
            yield name


def doors() -> list[str]:
    """The name of every door."""
    return [
        *(route.door for route in urls()),
        *(f"action {model}.{name}" for model, name in sorted(actions())),
        *(f"decision {name}" for name in decisions()),
        *(f"command {name}" for name in commands()),
        *(f"task {name}" for name in tasks()),
    ]

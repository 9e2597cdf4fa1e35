"""Through which doors somebody really went: what a control says that it proves is held against it."""

from __future__ import annotations

from typing import Any

from django.core.handlers.base import BaseHandler
from django.http import HttpRequest
from django.urls import resolve
from django_q.signing import SignedPackage

from tests.clusters import Cluster
from tests.doors import controls_work, routes, work


def witness(monkeypatch: Any) -> set[str]:
    """The names of the doors that are used from now on; it grows."""
    used: set[str] = set()
    respond, run = BaseHandler.get_response, work.run_package
    begin = Cluster.__enter__

    def asked(self: BaseHandler, request: HttpRequest) -> Any:
        used.update(_doors_of(request))
        return respond(self, request)

    def ran(payload: str) -> None:
        used.add(f"task {SignedPackage.loads(payload)['func']}")
        run(payload)

    def commanded(name: str, *args: Any) -> str:
        used.add(f"command {name}")
        return work.run_command(name, *args)

    def begun(self: Cluster) -> Cluster:
        used.add("command qcluster")
        return begin(self)

    monkeypatch.setattr(BaseHandler, "get_response", asked)
    monkeypatch.setattr(work, "run_package", ran)
    monkeypatch.setattr(controls_work, "run_command", commanded)
    monkeypatch.setattr(Cluster, "__enter__", begun)
    return used


def _doors_of(request: HttpRequest) -> set[str]:
    route = resolve(request.path_info).route
    found, form = {f"url {route}"}, request.POST
    if "decision" in form:
        found.add(f"decision {form['decision']}")
    if "action" in form:
        model = ".".join(route.split("/")[1:3])
        labels = {label for label, _ in routes.actions() if label.lower() == model}
        found |= {f"action {label}.{form['action']}" for label in labels}
    return found

"""The simulator as one object: finds the view for a request and stands faults in its way."""

import sys
import threading
import traceback
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map, Rule
from werkzeug.wrappers import Request, Response

from x_integration.simulator import api, control, oauth
from x_integration.simulator.calls import Call, Route
from x_integration.simulator.dialects import DIALECTS
from x_integration.simulator.faults import Faults, Visit
from x_integration.simulator.instants import be_ahead, now_ms
from x_integration.simulator.limits import RateLimits
from x_integration.simulator.pages import views
from x_integration.simulator.problems import (
    SUSPENDED_TEXT,
    Refusal,
    blank,
    forbidden,
    json_answer,
    too_many_requests,
    unauthorized,
)
from x_integration.simulator.request_log import RequestEntry, RequestLog
from x_integration.simulator.settings import Client, Settings
from x_integration.simulator.state import State
from x_integration.simulator.visitors import is_welcome

ROUTES: list[Route] = [*api.ROUTES, *oauth.ROUTES, *control.ROUTES, *views.ROUTES]


class Simulator:
    """A local X. `answer` is called from many threads; `stop` ends every wait."""

    def __init__(self, folder: Path, client: Client, *, dialect: str) -> None:
        self.client = client
        self.dialect = DIALECTS[dialect]
        self.state = State(folder)
        self.settings = Settings()
        self.limits = RateLimits(self.settings)
        self.faults = Faults()
        self.log = RequestLog()
        self._stopping = threading.Event()
        self._map = Map(
            [Rule(route.path, methods=[route.method], endpoint=route) for route in ROUTES],
            strict_slashes=False,
            merge_slashes=False,
        )

    def answer(self, request: Request, entry: RequestEntry | None) -> Response:
        """The answer to one request. Raises HangUp where a fault says so."""
        try:
            return self._answer(request, entry)
        except HTTPException as error:  # no such path or method, or a form beyond all measure
            return _refused(request.path, error)

    def _answer(self, request: Request, entry: RequestEntry | None) -> Response:
        if not is_welcome(request):
            return json_answer({"detail": "The simulator answers this machine's own."}, 403)
        route, args = self._map.bind_to_environ(request.environ).match()
        if route.is_control:
            return self._work(route, request, args)
        user = self._username_behind(request)
        fault = self.faults.meet(request.method, request.path, user)
        if entry is not None:
            entry.user, entry.fault = user, fault.name if fault else None
        if self.settings.latency_ms and request.path.startswith("/2/"):
            self._pause(self.settings.latency_ms)
        if fault is None:
            return self._work(route, request, args)
        work = partial(self._work, route, request, args)
        return fault.answer(Visit(request.path, self.dialect.name, work, self._pause))

    def reset(self) -> None:
        """An empty X with default settings, no faults and a fresh request log."""
        self.state.clear()
        self.settings = Settings()
        be_ahead(self.settings.ahead_seconds)
        self.limits = RateLimits(self.settings)
        self.faults.take_down()
        self.log.forget()

    def stop(self) -> None:
        """End the waits and close the journal; nobody writes afterwards."""
        self._stopping.set()
        self.state.lock.acquire()
        self.state.journal.close()

    def _pause(self, milliseconds: float) -> None:
        self._stopping.wait(milliseconds / 1000)

    def _work(self, route: Route, request: Request, args: Mapping[str, str]) -> Response:
        call = Call(self, request, args, now_ms())
        try:
            with self.state.lock:
                return self._api_answer(route, call) if route.scopes else route.view(call)
        except Refusal as refusal:
            return refusal.response()
        except Exception:  # noqa: BLE001  # the last resort of a server: tell the log, keep serving
            traceback.print_exc(file=sys.stderr)
            return blank(500, "Internal Server Error").response()

    def _api_answer(self, route: Route, call: Call) -> Response:
        """X's order: who is it, may it ask again, may it ask this, then the work."""
        token = _bearer_token(call.request)
        call.family = self.state.grants.bearer(token, call.now) if token else None
        if call.family is None:
            allowance = self.limits.untouched(route.template, call.now)
        else:
            allowance = self.limits.take(route.template, call.family.user_id, call.now)
        try:
            if call.family is None:
                raise unauthorized()
            if allowance.spent:
                raise too_many_requests()
            if not (route.scopes or frozenset()) <= call.family.scopes():
                raise forbidden()
            if route.writes and call.caller.suspended:
                raise forbidden(SUSPENDED_TEXT)
            answer = route.view(call)
        except Refusal as refusal:
            answer = refusal.response()
        answer.headers.update(allowance.headers())
        return answer

    def _username_behind(self, request: Request) -> str | None:
        """Whose request it is, as far as its token, code or form tells: for the log and for faults."""
        secret = _bearer_token(request)
        form = request.form if request.path.startswith(("/2/oauth2/", "/i/", "/intent/")) else {}
        secret = secret or form.get("refresh_token") or form.get("code") or form.get("token")
        with self.state.lock:
            if not secret:
                user = self.state.world.user_named(form.get("user", ""))
            else:
                owner = self.state.grants.owner_of(secret)
                user = self.state.world.users.get(owner) if owner else None
        return user.username if user else None


def _bearer_token(request: Request) -> str | None:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token.strip() else None


def _refused(path: str, error: HTTPException) -> Response:
    """X's edge says nothing about paths under /2 that it does not know."""
    if path.startswith("/2/"):
        return Response(b"", status=error.code or 404)
    return views.nothing_here(error.code or 404)

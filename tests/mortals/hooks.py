"""How a worker is stopped: at a function, a statement, a COMMIT, or between two pieces of a request.

Nothing here knows how a service is built inside: functions are named, statements are matched by
what they say, and the wire is watched below the client.
"""

from __future__ import annotations

import http.client
import re
import sys
import threading
from dataclasses import dataclass, field
from functools import partial, reduce, wraps
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

if TYPE_CHECKING:
    from collections.abc import Callable

When = Literal["before", "after"]
_OURS = ("revfirst", "workspaces", "x_integration", "publishing", "control", "tests")
_running = threading.local()


def rewire(path: str, change: Callable[[Any], Any]) -> None:
    """Replace `module:name` or `module:Class.name` by `change` of it, wherever it was imported to."""
    module, _, dotted = path.partition(":")
    *owners, name = dotted.split(".")
    owner = reduce(getattr, owners, import_module(module))
    before = getattr(owner, name)
    after = change(before)
    setattr(owner, name, after)
    for other in list(sys.modules.values()):
        if getattr(other, "__name__", "").split(".")[0] in _OURS:
            for known_as, value in list(vars(other).items()):
                if value is before:
                    setattr(other, known_as, after)


@dataclass
class Hook:
    """A place: the `nth` time that it is come by, with each function of `inside` running."""

    what: str
    when: When = "before"
    inside: tuple[str, ...] = ()
    nth: int = 1
    _seen: int = field(default=0, init=False)

    def plant(self, act: Callable[[], None]) -> None:
        """Have `act` called there."""
        for path in self.inside:
            rewire(path, partial(_noting, path))
        self.hang(act)

    def hang(self, act: Callable[[], None]) -> None:
        """Where it hangs depends on what it is."""
        raise NotImplementedError

    def come_by(self, when: When, act: Callable[[], None]) -> None:
        """Act if this is the place."""
        running = getattr(_running, "names", ())
        if when == self.when and set(self.inside) <= set(running):
            self._seen += 1
            if self._seen == self.nth:
                act()


def _noting(path: str, function: Any) -> Any:
    """The function, which is known to be running while it runs."""

    @wraps(function)
    def noted(*args: Any, **kwargs: Any) -> Any:
        before = getattr(_running, "names", ())
        _running.names = (*before, path)
        try:
            return function(*args, **kwargs)
        finally:
            _running.names = before

    return noted


@dataclass
class Function(Hook):
    """Before a function is called, or after it returned or raised; `what` as `rewire` names it."""

    def hang(self, act: Callable[[], None]) -> None:
        def wrap(function: Any) -> Any:
            @wraps(function)
            def wrapped(*args: Any, **kwargs: Any) -> Any:
                self.come_by("before", act)
                try:
                    return function(*args, **kwargs)
                finally:
                    self.come_by("after", act)

            return wrapped

        rewire(self.what, wrap)


@dataclass
class Statement(Hook):
    """Before or after a statement that matches `what`, on any connection."""

    def hang(self, act: Callable[[], None]) -> None:
        wanted = re.compile(self.what, re.DOTALL)

        def watch(execute: Any, sql: Any, params: Any, many: bool, context: Any) -> Any:
            matches = wanted.search(str(sql))
            if matches:
                self.come_by("before", act)
            result = execute(sql, params, many, context)
            if matches:
                self.come_by("after", act)
            return result

        _watch_statements(watch)


@dataclass
class Commit(Hook):
    """Before or after the COMMIT of a transaction in which something matched `what` was executed."""

    def hang(self, act: Callable[[], None]) -> None:
        wanted = re.compile(self.what, re.DOTALL)
        commit, rollback = BaseDatabaseWrapper.commit, BaseDatabaseWrapper.rollback
        matched = threading.local()

        def watch(execute: Any, sql: Any, params: Any, many: bool, context: Any) -> Any:
            if context["connection"].in_atomic_block and wanted.search(str(sql)):
                matched.it = True
            return execute(sql, params, many, context)

        def committing(connection: BaseDatabaseWrapper) -> None:
            is_it, matched.it = getattr(matched, "it", False), False
            if is_it:
                self.come_by("before", act)
            commit(connection)
            if is_it:
                self.come_by("after", act)

        def rolling_back(connection: BaseDatabaseWrapper) -> None:
            matched.it = False
            rollback(connection)

        _watch_statements(watch)
        BaseDatabaseWrapper.commit = committing  # type: ignore[method-assign, assignment]
        BaseDatabaseWrapper.rollback = rolling_back  # type: ignore[method-assign, assignment]


def _watch_statements(watch: Any) -> None:
    """Every statement of every connection that is opened from now on passes `watch`."""

    def born(connection: BaseDatabaseWrapper, **_: Any) -> None:
        connection.execute_wrappers.append(watch)

    connection_created.connect(born, weak=False)


Moment = Literal["connected", "headers sent", "half of the body sent", "sent", "answer begun"]


@dataclass
class Wire(Hook):
    """At a `moment` of a request; `what` matches `POST /2/tweets`, its method and path."""

    moment: Moment = "sent"

    def hang(self, act: Callable[[], None]) -> None:
        wanted, ours = re.compile(self.what), http.client.HTTPConnection
        putrequest, send, getresponse = ours.putrequest, ours.send, ours.getresponse
        pieces: dict[int, int] = {}  # of the requests that are watched, by connection

        def at(connection: Any, moment: Moment) -> None:
            if moment == self.moment and id(connection) in pieces:
                self.come_by(self.when, act)

        def putting(self_: Any, method: str, url: str, *args: Any, **kwargs: Any) -> None:
            pieces.pop(id(self_), None)
            if wanted.search(f"{method} {url}"):
                pieces[id(self_)] = 0
            if self_.sock is not None:  # else it is only about to connect
                at(self_, "connected")
            putrequest(self_, method, url, *args, **kwargs)

        def sending(self_: Any, data: Any) -> None:
            if id(self_) in pieces:
                pieces[id(self_)] += 1
            is_body = pieces.get(id(self_), 0) > 1
            if is_body and self.moment == "half of the body sent":
                send(self_, data[: len(data) // 2])
                at(self_, "half of the body sent")
                data = data[len(data) // 2 :]
            send(self_, data)
            if not is_body:
                at(self_, "headers sent")

        def answering(self_: Any) -> Any:
            at(self_, "sent")
            answer = getresponse(self_)
            at(self_, "answer begun")
            return answer

        ours.putrequest, ours.send, ours.getresponse = putting, sending, answering  # type: ignore

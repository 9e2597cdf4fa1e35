"""What a page of the queue costs in a small workspace and in a large one; imported when the stage stands.

Asked over HTTP of gunicorn as deployed, small and large in turns, so that what disturbs one disturbs the
other. The deep page is the one that some seconds of turning pages lead to.
"""

import json
from dataclasses import dataclass, field
from http.client import HTTPConnection
from time import monotonic, perf_counter
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.test import Client

from revfirst.processes import free_port
from tests.benchmarks.figures import Figures
from tests.benchmarks.stage import Stage
from tests.clusters import Web
from workspaces.models import User, Workspace

MOST_TIMES = 1.5  # what a page may cost at many rows, in pages at 1,000
_LIMIT, _TURNING_SECONDS = 50, 3.0
_QUEUE = "/publishing/queue/"


@dataclass
class _Reader:
    """One person's browser, which keeps its connection."""

    url: str
    cookie: str = field(repr=False)

    def __post_init__(self) -> None:
        self._line = HTTPConnection(urlsplit(self.url).netloc, timeout=60)

    def get(self, path: str) -> tuple[int, bytes]:
        self._line.request("GET", path, headers={"Cookie": self.cookie})
        answer = self._line.getresponse()
        return answer.status, answer.read()

    def page(self, path: str) -> dict[str, Any]:
        status, body = self.get(path)
        if status != 200:
            raise RuntimeError(f"{path}: {status} {body[:200]!r}")
        return dict(json.loads(body))

    def milliseconds(self, path: str) -> float:
        begun = perf_counter()
        self.page(path)
        return (perf_counter() - begun) * 1000


def measure(
    stage: Stage,
    figures: Figures,
    *,
    person: User,
    small: Workspace,
    large: Workspace,
    rows: int,
    rounds: int,
) -> None:
    """The first page, a deep one and a filtered one, in both workspaces."""
    figures.title(f"Queue list: a page of {_LIMIT} of 1,000 items, and of {rows:,}")
    browser = Client(SERVER_NAME="127.0.0.1")
    browser.force_login(person)
    name = settings.SESSION_COOKIE_NAME
    web = Web(stage.env, free_port())
    web.env["WEB_CONCURRENCY"] = "2"
    with web:
        reader = _Reader(web.url, f"{name}={browser.cookies[name].value}")
        pages = {
            "first page": (_first(small), _first(large)),
            "deep page": (_deep(reader, small), _deep(reader, large)),
            "rejected ones": (
                f"{_first(small)}&state=rejected",
                f"{_first(large)}&state=rejected",
            ),
        }
        for what, (of_small, of_large) in pages.items():
            _compare(reader, figures, what, of_small, of_large, rounds=rounds)


def _first(workspace: Workspace) -> str:
    return f"{_QUEUE}{workspace.pk}?limit={_LIMIT}"


def _deep(reader: _Reader, workspace: Workspace) -> str:
    """A full page as far behind as we get in the time; not the last one, which may be short."""
    begun, path = monotonic(), _first(workspace)
    while monotonic() < begun + _TURNING_SECONDS:
        following = _next(reader.page(path), workspace)
        if following is None or _next(reader.page(following), workspace) is None:
            return path
        path = following
    return path


def _next(page: dict[str, Any], workspace: Workspace) -> str | None:
    """The address of the page behind this one, or None on the last."""
    cursor = page["next_cursor"]
    return None if cursor is None else f"{_first(workspace)}&cursor={cursor}"


def _compare(
    reader: _Reader, figures: Figures, what: str, small: str, large: str, *, rounds: int
) -> None:
    took: dict[str, list[float]] = {small: [], large: []}
    for path in (small, large) * 5:
        reader.page(path)  # caches, plans, connections of both processes
    for _ in range(rounds):
        for path, found in took.items():
            found.append(reader.milliseconds(path))
    p95 = {path: sorted(found)[int(len(found) * 0.95) - 1] for path, found in took.items()}
    figures.show(f"{what}, 95 of 100 within", f"{p95[small]:.1f} / {p95[large]:.1f} ms")
    figures.hold(f"{what}: large in smalls", p95[large] / p95[small], at_most=MOST_TIMES)

"""The measuring of tests.benchmarks.status; imported when the stage stands."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from http.client import HTTPConnection
from itertools import cycle
from statistics import median
from time import monotonic, process_time
from urllib.parse import urlsplit

from django.conf import settings
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from revfirst.processes import free_port
from tests.benchmarks.figures import Figures
from tests.benchmarks.seeding import seed_accounts
from tests.benchmarks.stage import Stage
from tests.clusters import Web
from workspaces.models import Membership, User, Workspace

CLIENTS = 8  # as many as gunicorn has threads: 2 workers of 4
ROUNDS = 8  # of each, in turns: what disturbs one disturbs the other
REQUESTS_PER_CONNECTION = 50  # then a new one, so that no worker keeps them all
MOST_QUERIES = 4
STATUS, BARE = "/integrations/x/oauth/status/", "/bare/"


def measure(stage: Stage, figures: Figures, *, workspaces: int, seconds: float) -> None:
    """Queries of one request, and requests per second beside the bare view's."""
    figures.title(f"Status of an account: {workspaces:,} workspaces, 2 gunicorn workers, {CLIENTS} clients")  # fmt: skip
    person = _seed(stage, workspaces)
    ids = [str(pk) for pk in Workspace.objects.values_list("pk", flat=True)]
    browser = Client(SERVER_NAME="127.0.0.1")
    browser.force_login(person)
    cookie = f"{settings.SESSION_COOKIE_NAME}={browser.cookies[settings.SESSION_COOKIE_NAME].value}"
    with CaptureQueriesContext(connection) as queries:
        told = browser.get(STATUS + ids[0])
    if not told.json()["publish_ready"]:
        raise RuntimeError(f"The account is not as it was seeded: {told.content!r}")
    figures.hold("queries of one request", len(queries), at_most=MOST_QUERIES)
    web = Web(stage.env, free_port())
    web.env["WEB_CONCURRENCY"] = "2"
    rates: dict[str, list[float]] = {STATUS: [], BARE: []}
    with web:
        for path in rates:
            _rate(web.url, path, ids, cookie, seconds=0.5)  # connections, caches, first imports
        begun, client = monotonic(), process_time()
        for path in [STATUS, BARE] * ROUNDS:
            rates[path].append(_rate(web.url, path, ids, cookie, seconds=seconds))
        client_share = (process_time() - client) / (monotonic() - begun)
    ratios = [bare / status for status, bare in zip(rates[STATUS], rates[BARE], strict=True)]
    figures.show("status, requests per second", _spread(rates[STATUS]))
    figures.show("bare view, requests per second", _spread(rates[BARE]))
    figures.show("status costs, in bare views", _spread(ratios, digits=1))
    figures.show("the client's share of one core", f"{client_share:.0%}")


def _seed(stage: Stage, workspaces: int) -> User:
    expiry = timezone.now() + timedelta(hours=2)
    seed_accounts(stage.simulator, dict.fromkeys(range(1, workspaces + 1), expiry))
    person = User.objects.create_user("member")
    Membership.objects.bulk_create(
        Membership(workspace=workspace, user=person, role=Membership.Role.MEMBER)
        for workspace in Workspace.objects.all()
    )
    return person


def _rate(url: str, path: str, ids: list[str], cookie: str, *, seconds: float) -> float:
    """Requests per second that were answered with 200; anything else raises."""
    begun = monotonic()

    def ask(number: int) -> int:
        wanted = cycle(ids[number:] + ids[:number])
        done = 0
        while monotonic() < begun + seconds:
            done += sum(1 for _ in _answers(url, path, wanted, cookie, until=begun + seconds))
        return done

    with ThreadPoolExecutor(CLIENTS) as pool:
        done = sum(pool.map(ask, range(0, len(ids), -(-len(ids) // CLIENTS))))
    return done / (monotonic() - begun)


def _answers(
    url: str, path: str, ids: Iterator[str], cookie: str, *, until: float
) -> Iterator[None]:
    """One connection's worth of requests."""
    line = HTTPConnection(urlsplit(url).netloc, timeout=30)
    try:
        for _ in range(REQUESTS_PER_CONNECTION):
            if monotonic() > until:
                return
            line.request("GET", path + next(ids), headers={"Cookie": cookie})
            answer = line.getresponse()
            body = answer.read()
            if answer.status != 200:
                raise RuntimeError(f"{path}: {answer.status} {json.dumps(body.decode()[:200])}")
            yield
    finally:
        line.close()


def _spread(found: list[float], *, digits: int = 0) -> str:
    return f"{median(found):.{digits}f} ({min(found):.{digits}f}–{max(found):.{digits}f})"

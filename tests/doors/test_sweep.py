"""The route sweep: whoever uses whatever, nothing is posted without a live approval of exactly that."""

import logging
from time import monotonic

import pytest
from django.conf import settings as ours

from tests.doors import routes
from tests.doors.sweep import Sweep

PLENTY = {"key": "1000000/min", "user": "1000000/min", "anon": "1000000/min"}


@pytest.fixture
def sweep(x, settings, monkeypatch):
    """The world; no throttle, quota or wait keeps a call from what it would do."""
    settings.REST_FRAMEWORK = {**ours.REST_FRAMEWORK, "DEFAULT_THROTTLE_RATES": PLENTY}
    settings.MAX_REPLIES_PER_HOUR = settings.MAX_REPLIES_PER_DAY = 1_000_000
    settings.MAX_CONSECUTIVE_PUBLISH_FAILURES = 1_000_000
    settings.WORKER_PROCESSES = 1
    settings.PUBLISH_CONCURRENCY = 2
    monkeypatch.setattr("workspaces.services.switches.wait_out", lambda seconds: None)
    logging.disable(logging.CRITICAL)
    made = Sweep(x)
    yield made
    logging.disable(logging.NOTSET)
    made.books.close()


def test_every_url_by_everybody(sweep):
    begun = monotonic()
    for route in routes.urls():
        before = (sweep.calls, sweep.changes, monotonic())
        sweep.walk(route)
        if monotonic() - before[2] > 1:
            print(
                route.path,
                sweep.calls - before[0],
                sweep.changes - before[1],
                round(monotonic() - before[2], 2),
            )
    print(sweep.calls, sweep.changes, sweep.judge.posts, monotonic() - begun)

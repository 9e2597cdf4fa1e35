"""The sweep's world."""

import logging
from typing import Any

import pytest
from django.conf import settings as ours
from django.template.response import SimpleTemplateResponse

from tests.doors.sweep import Sweep

PLENTY = {"key": "1000000/min", "user": "1000000/min", "anon": "1000000/min"}


@pytest.fixture
def sweep(x, settings, monkeypatch):
    """The world; no throttle, quota or wait keeps a call from what it would do.

    A page is rendered for a GET alone: what a form came to is decided before its answer is drawn.
    """
    settings.REST_FRAMEWORK = {**ours.REST_FRAMEWORK, "DEFAULT_THROTTLE_RATES": PLENTY}
    settings.MAX_REPLIES_PER_HOUR = settings.MAX_REPLIES_PER_DAY = 1_000_000
    settings.MAX_CONSECUTIVE_PUBLISH_FAILURES = 1_000_000
    settings.WORKER_PROCESSES = 1
    settings.PUBLISH_CONCURRENCY = 2
    monkeypatch.setattr("workspaces.services.switches.wait_out", lambda seconds: None)
    drawn: Any = SimpleTemplateResponse.rendered_content

    def of_a_get(response):
        request = getattr(response, "_request", None)
        was_a_get = request is None or request.META["REQUEST_METHOD"] == "GET"
        return drawn.fget(response) if was_a_get else ""

    monkeypatch.setattr(SimpleTemplateResponse, "rendered_content", property(of_a_get))
    logging.disable(logging.CRITICAL)
    made = Sweep(x)
    yield made
    logging.disable(logging.NOTSET)
    made.books.close()

"""What reaches Sentry, as its own server would receive it: the error, and no secret."""

import gzip
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from tests.environments import bare, python

CANARY = "cAnArY-0123"

REQUEST = f"""
from wsgiref.util import setup_testing_defaults
from revfirst.wsgi import application
environ = {{
    "PATH_INFO": "/integrations/x/oauth/callback",
    "QUERY_STRING": "code={CANARY}&state={CANARY}&refresh_token={CANARY}",
    "HTTP_AUTHORIZATION": "Bearer {CANARY}",
    "HTTP_X_INTERNAL_KEY": "{CANARY}",
    "HTTP_COOKIE": "sessionid={CANARY}",
    "HTTP_HOST": "127.0.0.1",
}}
setup_testing_defaults(environ)
list(application(environ, lambda status, headers: print(status)))
"""

# The secret is no part of the source, of which Sentry shows some lines.
EXCEPTION = """
import django, logging, os, sentry_sdk
django.setup()
def renew(held):
    raise ValueError(f"refused: access_token={held}")
try:
    renew(os.environ["CANARY"])
except ValueError as error:
    sentry_sdk.capture_exception(error)
"""

LOG_LINE = f"""
import django, logging
django.setup()
logging.getLogger("revfirst").warning("a crumb: refresh_token={CANARY}")
logging.getLogger("revfirst").error(
    "renewal_failed",
    extra={{"access_token": "{CANARY}", "answer": {{"refresh_token": "{CANARY}"}}}},
)
"""

TASK = """
import django, os
django.setup()
from contextlib import suppress
from revfirst.tasks import TaskFailed, task
@task
def renew():
    raise ValueError(f"refused: access_token={os.environ['CANARY']}")
with suppress(TaskFailed):
    renew()
"""

FLUSH = "\nimport sentry_sdk; sentry_sdk.flush(5)"


class _Ingest(BaseHTTPRequestHandler):
    """Sentry's door: keeps each envelope as text."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        packed = self.headers.get("Content-Encoding") == "gzip"
        self.server.received.append((gzip.decompress(body) if packed else body).decode())  # type: ignore[attr-defined]
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's name
        """Nothing on the terminal."""


@pytest.fixture
def ingest() -> Iterator[ThreadingHTTPServer]:
    """A server that receives what is sent to Sentry."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Ingest) as server:
        server.received = []  # type: ignore[attr-defined]
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def report(ingest, tmp_path):
    """Run code that reports to Sentry; what Sentry received, whole and as events."""

    def run(code: str, **more: str) -> tuple[str, list[dict[str, Any]]]:
        dsn = f"http://key@127.0.0.1:{ingest.server_address[1]}/1"
        usual = {"SENTRY_DSN": dsn, "DJANGO_SETTINGS_MODULE": "revfirst.settings"}
        env = bare(tmp_path, **{**usual, "CANARY": CANARY, **more})
        python(code + FLUSH, env=env)
        text = "\n".join(ingest.received)
        rows = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
        return text, [row for row in rows if "exception" in row or "logentry" in row]

    return run


@pytest.mark.parametrize(
    "code", [REQUEST, EXCEPTION, LOG_LINE, TASK], ids=["request", "error", "log", "task"]
)
def test_a_credential_reaches_sentry_in_no_part_of_an_event(report, code):
    text, events = report(code)
    assert events
    assert "[hidden]" in text
    assert CANARY not in text


def test_an_event_of_a_request_says_where_it_happened(report):
    _, events = report(REQUEST)
    assert events[-1]["request"]["url"] == "http://127.0.0.1/integrations/x/oauth/callback"
    assert events[-1]["environment"] == "development"


def test_traced_requests_are_scrubbed_too(report):
    text, _ = report(REQUEST, SENTRY_TRACES_SAMPLE_RATE="1")
    assert '"type":"transaction"' in text
    assert CANARY not in text


def test_no_frame_carries_local_variables(report):
    _, (event,) = report(EXCEPTION)
    frames = event["exception"]["values"][0]["stacktrace"]["frames"]
    assert frames[-1]["function"] == "renew"
    assert not any("vars" in frame for frame in frames)


def test_a_task_that_fails_is_one_event_with_the_stack_of_its_cause(report):
    _, (event,) = report(TASK)
    (error,) = event["exception"]["values"]
    assert error["type"] == "ValueError"
    assert error["stacktrace"]["frames"][-1]["function"] == "renew"


def test_without_a_dsn_nothing_is_sent(ingest, tmp_path):
    env = bare(tmp_path, CANARY=CANARY, DJANGO_SETTINGS_MODULE="revfirst.settings")
    python(EXCEPTION + FLUSH, env=env)
    assert ingest.received == []

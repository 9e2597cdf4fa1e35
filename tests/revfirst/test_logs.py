"""One JSON object a line, and no credential in it, wherever it stood."""

import io
import json
import logging
import time
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from revfirst.logs import HIDDEN, JsonFormatter, redact
from tests.environments import bare, python

CANARY = "cAnArY-0123"


@pytest.fixture
def log():
    """A logger as the settings make it, and the lines that it has written."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter())
    logger = logging.getLogger("revfirst.tests")
    logger.handlers, logger.propagate = [handler], False
    logger.setLevel("INFO")

    def lines() -> list[dict[str, Any]]:
        return [json.loads(line) for line in stream.getvalue().splitlines()]

    logger.lines = lines  # type: ignore[attr-defined]
    return logger


@pytest.mark.parametrize(
    "text",
    [
        f"Authorization: Bearer {CANARY}",
        f"authorization: bearer {CANARY}",
        f"Authorization: {CANARY}",
        f"sent with Basic {CANARY}==",
        f'"Authorization": "Bearer {CANARY}"',
        f"GET /integrations/x/oauth/callback?code={CANARY}&state={CANARY} HTTP/1.1",
        f"/oauth?oauth_token={CANARY}",
        f"grant_type=refresh_token&refresh_token={CANARY}&client_id=ours",
        f"code_verifier={CANARY}&client_secret={CANARY}",
        f'{{"access_token": "{CANARY}", "expires_in": 7200}}',
        f'{{"access_token":"{CANARY}"}}',
        f"{{'refresh_token': '{CANARY}'}}",
        f'b\'{{"id_token":"{CANARY}"}}\'',
        json.dumps(json.dumps({"access_token": CANARY})),
        f'{{"password": "correct horse {CANARY} battery"}}',
        f'{{"token": "an escaped \\" and {CANARY}"}}',
        f"postgres://revfirst:{CANARY}@db.example:5432/revfirst",
        f"redis://:{CANARY}@cache.example",
        f"https://user:p@{CANARY}@proxy.example/",
        f"host=db.example password={CANARY} dbname=revfirst",
        f"SECRET_KEY={CANARY}",
        f"TOKEN_ENCRYPTION_KEY={CANARY},{CANARY}",
        f"X-Internal-Key: {CANARY}",
        f"X-Telegram-Bot-Api-Secret-Token: {CANARY}",
        f"https://api.telegram.org/bot123456:{CANARY}/sendMessage",
        f"Cookie: sessionid={CANARY}; csrftoken={CANARY}",
        f"Set-Cookie: sessionid={CANARY}; Path=/",
        f'token: "{CANARY}',
    ],
)
def test_a_credential_named_in_running_text_is_hidden(text):
    assert CANARY not in redact(text)
    assert HIDDEN in redact(text)


@pytest.mark.parametrize(
    "text",
    [
        "the token of account 7 was refused with 401",
        "token_type: bearer",
        "https://x.com/i/status/1?lang=pt&page=2",
        '{"state": "approved", "code": "duplicate"}',
        "item #42 published as 1900000000000000001",
        "postgres://revfirst@db.example/revfirst",
    ],
)
def test_what_is_no_credential_stays_readable(text):
    assert redact(text) == text


def test_the_text_around_a_hidden_value_stays():
    assert redact(f'{{"access_token": "{CANARY}", "scope": "tweet.read"}}') == (
        f'{{"access_token": "{HIDDEN}", "scope": "tweet.read"}}'
    )


@pytest.mark.parametrize(
    "text", ["a-" * 50_000, "https://a:" * 10_000, "token='" * 10_000, "\\" * 50_000, "x" * 100_000]
)
def test_no_text_takes_long_to_read(text):
    begun = time.monotonic()
    redact(text)
    assert time.monotonic() - begun < 3


def test_a_line_is_one_json_object_with_time_level_logger_event_and_extra(log):
    log.warning("item_published", extra={"item_id": 7})
    (line,) = log.lines()
    at = datetime.fromisoformat(line.pop("at"))
    assert abs((datetime.now(UTC) - at).total_seconds()) < 5
    assert line == {
        "level": "warning",
        "logger": "revfirst.tests",
        "event": "item_published",
        "item_id": 7,
    }


def test_a_message_of_many_lines_is_one_line(log):
    log.info("first\nsecond\r\nthird")
    assert [line["event"] for line in log.lines()] == ["first\nsecond\r\nthird"]


@pytest.mark.parametrize(
    "extra",
    [
        {"access_token": CANARY},
        {"client_secret": CANARY.encode()},
        {"authorization": f"Bearer {CANARY}"},
        {"password": CANARY},
        {"api_key": CANARY},
        {"X-Internal-Key": CANARY},
        {"code": CANARY},
        {"tokens": [CANARY, (CANARY,)]},
        {"tokens": {"first": CANARY}},
        {"cookies": {"sessionid": CANARY}},
        {"request": {"headers": {"Authorization": f"Bearer {CANARY}"}}},
        {"request": {"form": [{"refresh_token": CANARY}]}},
        {"url": f"/callback?code={CANARY}"},
        {"body": {f"access_token={CANARY}"}},
        {"body": f'{{"access_token": "{CANARY}"}}'.encode()},
        {"error_seen": ValueError(f"refused: access_token={CANARY}")},
    ],
)
def test_a_credential_in_extra_is_hidden_however_deep(log, extra):
    log.info("called", extra=extra)
    (line,) = log.lines()
    assert CANARY not in json.dumps(line)
    assert HIDDEN in json.dumps(line)


def test_numbers_and_plain_values_of_extra_stay(log):
    log.info("called", extra={"token_version": 3, "seconds": 0.25, "items": [1, "two"], "no": None})
    (line,) = log.lines()
    assert (line["token_version"], line["seconds"], line["items"], line["no"]) == (
        3,
        0.25,
        [1, "two"],
        None,
    )


def test_what_json_cannot_hold_is_printed_as_text(log):
    log.info("called", extra={"price": Decimal("0.015"), "when": datetime(2026, 1, 1, tzinfo=UTC)})
    (line,) = log.lines()
    assert (line["price"], line["when"]) == ("0.015", "2026-01-01 00:00:00+00:00")


def test_the_arguments_of_a_message_are_searched_too(log):
    log.info("called with %s", {"access_token": CANARY})
    assert CANARY not in log.lines()[0]["event"]


def test_an_exception_is_in_the_line_without_what_its_text_gives_away(log):
    try:
        raise ValueError(f"X refused: access_token={CANARY}")
    except ValueError:
        log.exception("renewal_failed")
    (line,) = log.lines()
    assert "ValueError: X refused: access_token=[hidden]" in line["error"]
    assert CANARY not in json.dumps(line)


def test_the_exception_behind_an_exception_is_searched_too(log):
    try:
        try:
            raise ValueError(f"refresh_token={CANARY}")
        except ValueError as error:
            raise RuntimeError("renewal") from error
    except RuntimeError:
        log.exception("renewal_failed")
    assert CANARY not in json.dumps(log.lines())


def test_a_process_of_ours_logs_such_lines(tmp_path):
    code = (
        "import sys; sys.stderr = sys.stdout\n"
        "import django, logging; django.setup()\n"
        f"logging.getLogger('anything').info('started', extra={{'token': '{CANARY}'}})"
    )
    env = bare(tmp_path, DJANGO_SETTINGS_MODULE="revfirst.settings")
    line = json.loads(python(code, env=env))
    assert (line["event"], line["token"]) == ("started", HIDDEN)

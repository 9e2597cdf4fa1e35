"""Where a secret could come out, and a hunt for it; also the processes whose every word is kept.

`python -m tests.sinks worker` is `manage.py qcluster`, `… simulator` the simulator, and gunicorn serves
`tests.sinks:web()`: all three are the real thing, only that our client breaks while the file that
`TEST_BREAKS` names is there, and that the simulator writes what it mints into `TEST_MINTED`.
"""

from __future__ import annotations

import gzip
import json
import logging
import os
import secrets
import signal
import subprocess
import sys
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import Any, Self
from urllib.parse import quote, urlencode

from django.db import connection

from x_integration.simulator.process import SimulatorProcess

ROOT = Path(__file__).resolve().parent.parent
MARKER = "canarybird"
"""No secret: it goes wherever a secret could go, and is found there."""


# --- the hunt -------------------------------------------------------------------------------------


def forms(secret: str) -> set[str]:
    """How a secret may stand in a text: plain, escaped, in hex, or anywhere within base64."""
    raw = secret.encode()
    encoded = {
        _within(encode, raw, at) for encode in (b64encode, urlsafe_b64encode) for at in range(3)
    }
    quoted = {quote(secret), quote(secret, safe="")}
    return {secret, *quoted, json.dumps(secret)[1:-1], raw.hex(), *encoded}


def _within(encode: Callable[[bytes], bytes], raw: bytes, at: int) -> str:
    """The part of the base64 of `raw`, `at` bytes into a longer text, that its neighbours leave alone."""
    return encode(b"\0" * at + raw).decode()[-(-at * 8 // 6) : (at + len(raw)) * 8 // 6]


def find(sinks: Mapping[str, str], known: Mapping[str, str]) -> set[tuple[str, str]]:
    """Which secret, by its name, stands in which sink in any form."""
    assert min(map(len, known.values())) >= 10  # of what is shorter, the hunt would see ghosts
    each_once = {secret: name for name, secret in known.items()}
    return {
        (sink, name)
        for secret, name in each_once.items()
        for form in forms(secret)
        for sink, text in sinks.items()
        if form in text
    }


# --- Sentry ---------------------------------------------------------------------------------------


class Sentry(ThreadingHTTPServer):
    """A place that takes what is sent to Sentry, and keeps each envelope as text."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Ingest)
        self.envelopes: list[str] = []
        self.dsn = f"http://key@127.0.0.1:{self.server_address[1]}/1"

    def __enter__(self) -> Self:
        self._thread = Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()

    def events(self) -> list[dict[str, Any]]:
        """The errors among the envelopes' items."""
        lines = "\n".join(self.envelopes).splitlines()
        items = [json.loads(line) for line in lines if line.startswith("{")]
        return [item for item in items if "exception" in item or "logentry" in item]


class _Ingest(BaseHTTPRequestHandler):
    server: Sentry

    def do_POST(self) -> None:
        """Keep one envelope; an encoding that we cannot read is an error, not a blind spot."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        unpack: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.decompress, "identity": bytes}
        encoding = self.headers.get("Content-Encoding", "identity")
        self.server.envelopes.append(unpack[encoding](body).decode())
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's name
        """Nothing on the terminal."""


# --- the database ---------------------------------------------------------------------------------

_WATCHED = ("x_integration_xaccount", "x_integration_oauthstate", "django_q_ormq")
_WATCH = """
    CREATE TABLE canary_trail (row jsonb);
    CREATE FUNCTION canary_note() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN INSERT INTO canary_trail VALUES (to_jsonb(NEW)); RETURN NULL; END $$;
"""


@contextmanager
def trail() -> Iterator[Callable[[str], list[str]]]:
    """Keep every version of the rows with tokens and of queued tasks: `read(column)` tells its values."""
    with connection.cursor() as cursor:
        cursor.execute(_WATCH)
        for table in _WATCHED:
            cursor.execute(
                f"CREATE TRIGGER canary_note AFTER INSERT OR UPDATE ON {table} "
                "FOR EACH ROW EXECUTE FUNCTION canary_note()"
            )

    def read(column: str) -> list[str]:
        with connection.cursor() as cursor:
            cursor.execute("SELECT DISTINCT row ->> %s FROM canary_trail", [column])
            return sorted(value for (value,) in cursor.fetchall() if value)

    try:
        yield read
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP FUNCTION canary_note CASCADE; DROP TABLE canary_trail")


def rows() -> dict[str, str]:
    """By table, everything that stands in the database."""
    tables = set(connection.introspection.table_names()) - {"canary_trail"}
    with connection.cursor() as cursor:
        return {table: _rows_of(cursor, table) for table in sorted(tables)}


def _rows_of(cursor: Any, table: str) -> str:
    cursor.execute(f"SELECT to_jsonb(t)::text FROM {connection.ops.quote_name(table)} t")  # noqa: S608
    return "\n".join(row for (row,) in cursor.fetchall())


# --- processes ------------------------------------------------------------------------------------


class Process:
    """A process of ours whose standard output and error go to a file."""

    def __init__(self, log: Path, env: Mapping[str, str], *command: str) -> None:
        self.log, self._env, self._command = log, env, command

    def __enter__(self) -> Self:
        with self.log.open("w") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", *self._command],
                cwd=ROOT,
                env=dict(self._env),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        return self

    def __exit__(self, *_: object) -> None:
        """SIGTERM to the main process only (a group TERM hangs the task engine), then the rest."""
        self._process.terminate()
        try:
            self._process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(timeout=5)


def worker(log: Path, env: Mapping[str, str]) -> Process:
    """A worker host."""
    return Process(log, env, "tests.sinks", "worker")


def gunicorn(log: Path, env: Mapping[str, str], port: int) -> Process:
    """A web host, as talkative as it can be."""
    own = {
        "WEB_BIND": f"127.0.0.1:{port}",
        "WEB_CONCURRENCY": "1",
        "GUNICORN_CMD_ARGS": "--log-level=debug",
    }
    return Process(
        log, {**env, **own}, "gunicorn", "-c", "deploy/gunicorn.conf.py", "tests.sinks:web()"
    )


class OpenSimulator(SimulatorProcess):
    """A simulator that tells which codes and tokens it minted, also those that nobody received."""

    def minted(self) -> list[str]:
        """Every one so far."""
        return self._minted_file.read_text().split()

    def words(self) -> str:
        """What it wrote: standard error, the journal, and who asked what."""
        journal = (self.state / "journal.jsonl").read_text()
        return "\n".join([self.errors(), journal, json.dumps(self.requests())])

    @property
    def _minted_file(self) -> Path:
        return self.state.with_suffix(".minted")

    def _command(self) -> list[str]:
        python, _, _, *options = super()._command()
        return [python, "-m", "tests.sinks", "simulator", *options]

    def _environment(self) -> dict[str, str]:
        return super()._environment() | {"TEST_MINTED": str(self._minted_file)}


# --- inside of them -------------------------------------------------------------------------------


class Planted(Exception):
    """Nobody expects it; it says what a library that is bad at keeping secrets would say."""


def _break_on_sight(flag: Path) -> None:
    from x_integration.client import XClient

    send = XClient._send

    def break_or_send(self: XClient, method: str, url: str, **parts: Any) -> Any:
        if flag.exists():
            wire = {"headers": parts.get("headers"), "body": urlencode(parts.get("data") or {})}
            raise Planted(f"{MARKER}: {method} {url} {wire}")
        return send(self, method, url, **parts)

    XClient._send = break_or_send  # type: ignore[method-assign]
    logging.getLogger(__name__).debug("debug_lines_are_on")


def web() -> Any:
    """For gunicorn: our application."""
    from revfirst.wsgi import application

    _break_on_sight(Path(os.environ["TEST_BREAKS"]))
    return application


def _work() -> None:
    import django

    django.setup()
    _break_on_sight(Path(os.environ["TEST_BREAKS"]))
    from django.core.management import call_command

    call_command("qcluster")


def _simulate() -> None:
    from x_integration.simulator import grants
    from x_integration.simulator.__main__ import main

    def mint(size: int) -> str:
        minted = secrets.token_urlsafe(size)
        with Path(os.environ["TEST_MINTED"]).open("a") as file:
            file.write(f"{minted}\n")
        return minted

    vars(grants)["secrets"] = SimpleNamespace(token_urlsafe=mint)
    main()


if __name__ == "__main__":
    {"worker": _work, "simulator": _simulate}[sys.argv.pop(1)]()

"""Starts the simulator as a real process and speaks to its control door.

For tests and benchmarks; needs nothing but the standard library.
"""

import http.client
import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self
from urllib.parse import quote, urlencode, urlsplit

_ROOT = Path(__file__).resolve().parents[2]
_START_SECONDS = 20.0
_READY = "x simulator listening on "


class SimulatorFailed(RuntimeError):
    """The simulator did not start, or its control door refused; the text says why."""


@dataclass(frozen=True, slots=True)
class TokenPair:
    """What an account's consent gave. Secrets stay out of the repr."""

    user_id: str
    username: str
    scope: str
    expires_in: int
    access_token: str = field(repr=False)
    refresh_token: str | None = field(repr=False)

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.access_token}"}


class SimulatorProcess:
    """A simulator of one's own. Starting again after stop or kill keeps port and state."""

    def __init__(
        self,
        state: Path,
        *,
        port: int = 0,
        sample: bool = False,
        dialect: str = "legacy",
        client_id: str = "simulated-client",
        client_secret: str = "simulated-secret",  # noqa: S107  # the secret of an app that exists nowhere
        redirect_uri: str = "http://127.0.0.1:8000/integrations/x/oauth/callback",
    ) -> None:
        self.state, self.port, self.sample, self.dialect = state, port, sample, dialect
        self.client_id, self.client_secret = client_id, client_secret
        self.redirect_uri = redirect_uri
        self.process: subprocess.Popen[str] | None = None
        self._errors: IO[str] | None = None
        self._last_errors = ""

    # --- life ---------------------------------------------------------------------------------

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> Self:
        """Start and wait until it listens. Raises SimulatorFailed with its own sentence."""
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115  # _end closes it
        self.process = subprocess.Popen(
            self._command(),
            cwd=_ROOT,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )
        line = self._first_line(self.process)
        if not line.startswith(_READY):
            self.kill()
            raise SimulatorFailed(self.errors() or "The simulator did not start in time.")
        self.port = urlsplit(line.removeprefix(_READY).strip()).port or 0
        return self

    def stop(self) -> int:
        """SIGTERM; returns the exit status, which is 0 when all is well."""
        return self._end(signal.SIGTERM)

    def kill(self) -> int:
        """SIGKILL, as a power cut would."""
        return self._end(signal.SIGKILL)

    def errors(self) -> str:
        """What it has written to standard error."""
        if self._errors is not None:
            self._errors.seek(0)
            self._last_errors = self._errors.read().strip()
        return self._last_errors

    def __enter__(self) -> Self:
        return self.start() if self.process is None else self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def _command(self) -> list[str]:
        return [
            sys.executable, "-m", "x_integration.simulator", "--port", str(self.port),
            "--state", str(self.state), "--dialect", self.dialect,
            "--sample" if self.sample else "--no-sample",
        ]  # fmt: skip

    def _environment(self) -> dict[str, str]:
        return os.environ | {
            "X_CLIENT_ID": self.client_id,
            "X_CLIENT_SECRET": self.client_secret,
            "X_REDIRECT_URI": self.redirect_uri,
        }

    def _first_line(self, process: "subprocess.Popen[str]") -> str:
        lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        output = process.stdout
        if output is None:
            return ""
        threading.Thread(target=lambda: lines.put(output.readline()), daemon=True).start()
        try:
            return lines.get(timeout=_START_SECONDS)
        except queue.Empty:
            return ""

    def _end(self, number: signal.Signals) -> int:
        if self.process is None:
            return 0
        self.process.send_signal(number)
        status = self.process.wait(timeout=10)
        if self.process.stdout is not None:
            self.process.stdout.close()
        self.process = None
        self.errors()
        if self._errors is not None:
            self._errors.close()
            self._errors = None
        return status

    # --- the control door ---------------------------------------------------------------------

    def control(self, method: str, path: str = "", body: Mapping[str, Any] | None = None) -> Any:
        """One control request, /control in front of `path`. Raises SimulatorFailed when refused."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            data = None if body is None else json.dumps(body)
            headers = {} if body is None else {"Content-Type": "application/json"}
            connection.request(method, f"/control{path}", body=data, headers=headers)
            answer = connection.getresponse()
            text = answer.read().decode()
        finally:
            connection.close()
        if answer.status >= 400:
            raise SimulatorFailed(f"{method} /control{path}: {answer.status} {text}")
        return json.loads(text) if text else None

    def overview(self) -> dict[str, Any]:
        return dict(self.control("GET"))

    def reset(self, *, sample: bool = False) -> None:
        self.control("POST", "/reset", {"sample": sample})

    def make_user(self, username: str, **fields: Any) -> dict[str, Any]:
        """Make a user, or change one."""
        return dict(self.control("POST", "/users", {"username": username, **fields}))

    def say(self, username: str, text: str, **fields: Any) -> dict[str, Any]:
        """Somebody says something: in_reply_to, quote, created_at, indexed_after_seconds and others."""
        return dict(self.control("POST", "/posts", {"username": username, "text": text, **fields}))

    def say_all(self, posts: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Many things are said, in order, each as by `say` with its username and text."""
        return list(self.control("POST", "/posts/bulk", {"posts": list(posts)}))

    def take_down(self, post_id: str) -> None:
        self.control("DELETE", f"/posts/{quote(post_id)}")

    def posts(self, **query: str) -> list[dict[str, Any]]:
        """What stands or stood on X, oldest first; by username and source."""
        return list(self.control("GET", f"/posts?{urlencode(query)}"))

    def say_sample(self, username: str | None = None, *, by: str = "") -> dict[str, Any]:
        """The next sample mention is said, now; `by` somebody else than who says it there."""
        wish = {"username": username, "by": by}
        said = {name: value for name, value in wish.items() if value}
        return dict(self.control("POST", "/sample", said))

    def connect(self, username: str, **fields: Any) -> TokenPair:
        """Make sure of the user and give a token pair: scope, expires_in."""
        self.make_user(username)
        granted = self.control("POST", "/grants", {"username": username, **fields})
        del granted["token_type"]
        return TokenPair(**granted)

    def requests(self, since: int = 0) -> list[dict[str, Any]]:
        """What was asked of X, oldest first."""
        return list(self.control("GET", f"/requests?since={since}"))

    def settings(self, **changes: Any) -> None:
        """access_tier, expires_in, latency_ms, rate_limits, ahead_seconds and others (settings.py)."""
        self.control("PATCH", "/settings", changes)

    def bill(self) -> dict[str, Any]:
        """What X charged: {"users": {username: {day: {kind: {"count", "usd"}}}}, "total_usd"}."""
        return dict(self.control("GET", "/bill"))

    def fault(self, kind: str, method: str, path: str, **fields: Any) -> dict[str, Any]:
        """Hang a fault: times, user, and the kind's own fields."""
        return dict(
            self.control(
                "POST", "/faults", {"kind": kind, "method": method, "path": path, **fields}
            )
        )

    def faults(self) -> list[dict[str, Any]]:
        return list(self.control("GET", "/faults"))

    def clear_faults(self) -> None:
        self.control("DELETE", "/faults")

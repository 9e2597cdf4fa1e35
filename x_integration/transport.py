"""One request on the wire: not begun too late, not waited for too long.

requests bounds the wait for each piece of an answer but not for the whole: a peer that sends a byte
a second holds its caller for hours. And it may spend seconds on finding and greeting the peer before
the first byte leaves, long after whoever asked was last allowed to. A `Flight` says until when a
request may begin and until when its answer may last, and knows afterwards whether any of it left.
"""

from __future__ import annotations

import io
import time
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from http import HTTPStatus
from http.client import HTTPResponse
from math import inf
from typing import TYPE_CHECKING, Any

from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

from x_integration.errors import XNotSent

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator, Mapping

    from requests import Response


@dataclass(frozen=True)
class Answer:
    """A complete HTTP answer; `json` is None when the body is not JSON."""

    status: int
    json: Any = field(repr=False)  # tokens travel in it
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


_latest_begin: ContextVar[float] = ContextVar("latest_begin", default=inf)


@contextmanager
def begins_before(instant: float) -> Iterator[None]:
    """No request of this thread begins after `instant`, on `time.monotonic()`: it raises XNotSent."""
    before = _latest_begin.set(instant)
    try:
        yield
    finally:
        _latest_begin.reset(before)


@dataclass
class Flight:
    """One request; both limits are on `time.monotonic()`."""

    deadline: float
    begin_before: float = field(default_factory=_latest_begin.get)
    unsent: bool = False  # true from the first knock at the peer until the request's first byte

    def check_can_begin(self) -> None:
        """Raise XNotSent when it is too late to begin."""
        if time.monotonic() >= self.begin_before:
            raise XNotSent(
                "The claim ran out before the request began.", code="claim_ran_out", counts=False
            )

    def seconds_left(self) -> float:
        """How long the answer may still take. Raises TimeoutError when that is over."""
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("The answer took too long.")
        return left


_current: ContextVar[Flight] = ContextVar("flight")


@contextmanager
def in_flight(flight: Flight) -> Iterator[None]:
    """Let the connections of this thread work for `flight`."""
    before = _current.set(flight)
    try:
        yield
    finally:
        _current.reset(before)


class Transport(HTTPAdapter):
    """Sends by connections that know their flight; use it within `in_flight`."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """As requests does, but with our connections."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}

    def build_response(self, *args: Any) -> Response:
        """As requests does, but it points nowhere: to see where it leads, requests would read all of it."""
        response = super().build_response(*args)
        response.headers.pop("Location", None)
        return response


class _BoundedReader(io.RawIOBase):
    """A socket's stream whose every read ends by the flight's deadline."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket, flight: Flight) -> None:
        self._raw, self._sock, self._flight = raw, sock, flight
        self._each = sock.gettimeout()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._flight.seconds_left()
        self._sock.settimeout(left if self._each is None else min(left, self._each))
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Response(HTTPResponse):
    """Status line, headers and body all come through the bounded reader."""

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp = io.BufferedReader(_BoundedReader(self.fp.detach(), sock, _current.get()))

    def begin(self) -> None:
        """Read up to the last word: interim answers are passed over (RFC 9110, 15.2), not 100 alone.

        Taken for the last word, they would leave the real one to whoever asks next on this connection.
        """
        super().begin()
        while HTTPStatus.SWITCHING_PROTOCOLS < self.status < HTTPStatus.OK:
            self.headers = None  # type: ignore[assignment]  # not begun
            super().begin()
        self.will_close = self.will_close or self.status == HTTPStatus.SWITCHING_PROTOCOLS


class _Connection(HTTPConnection):
    response_class = _Response

    def connect(self) -> None:
        _current.get().unsent = True
        super().connect()

    def request(self, *args: Any, **kwargs: Any) -> None:
        """Connect first: what comes after the check is nothing but sending."""
        if self.is_closed:
            self.connect()
        flight = _current.get()
        flight.check_can_begin()
        flight.unsent = False
        super().request(*args, **kwargs)


class _SecureConnection(_Connection, HTTPSConnection):
    pass


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection

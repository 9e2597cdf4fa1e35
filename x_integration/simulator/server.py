"""HTTP/1.1 over loopback: keep-alive, one thread a connection, and connections that can be cut.

werkzeug's own server closes every connection and cannot leave a request unanswered; this one keeps
them open, and hangs up where a fault says so.
"""

import contextlib
import io
import socket
import socketserver
import sys
import traceback
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import unquote_to_bytes

from werkzeug.wrappers import Request, Response

from x_integration.simulator.app import Simulator
from x_integration.simulator.faults import HangUp
from x_integration.simulator.problems import json_answer

_MAX_BODY = 1_000_000
_IDLE_SECONDS = 600


class SimulatorServer(ThreadingHTTPServer):
    """Listens for the simulator. Threads end with the process."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 512

    def __init__(self, host: str, port: int, simulator: Simulator, *, bind: bool = True) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.simulator = simulator
        super().__init__((host, port), _Handler, bind_and_activate=bind)

    @classmethod
    def on_socket(cls, listening: socket.socket, simulator: Simulator) -> Self:
        """Serve on a socket that listens already."""
        host, port = listening.getsockname()[:2]
        server = cls(host, port, simulator, bind=False)
        server.socket.close()
        server.socket, server.server_name, server.server_port = listening, host, port
        return server

    def server_bind(self) -> None:
        """Bind without asking a name server who we are."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news; anything else is a fault of ours."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            traceback.print_exc(file=sys.stderr)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "x-simulator"
    sys_version = ""
    disable_nagle_algorithm = True
    timeout = _IDLE_SECONDS
    server: SimulatorServer

    def parse_request(self) -> bool:
        """The request line has arrived: this is the instant that witnesses ask for."""
        self._arrived = datetime.now(UTC)
        return super().parse_request()

    def _serve(self) -> None:
        """Read the body, answer, and keep the connection in step whatever the answer is."""
        body = self._read_body()
        if body is None:
            return
        request = Request(self._environ(body))
        logged = not request.path.startswith("/control")
        log = self.server.simulator.log
        entry = log.open(self._arrived, self.command, request.path) if logged else None
        try:
            answer = self.server.simulator.answer(request, entry)
        except HangUp:
            self._hang_up()
            return
        if entry is not None:
            entry.status = answer.status_code
        self._send(answer, request)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _serve

    def _read_body(self) -> bytes | None:
        """The body; None after an answer that ends the connection."""
        length = self.headers.get("Content-Length", "0")
        if "Transfer-Encoding" in self.headers or not (length.isascii() and length.isdecimal()):
            self._refuse_body(411, "A request needs a Content-Length.")
            return None
        if len(length) > 10 or int(length) > _MAX_BODY:
            self._refuse_body(413, "The body is too large.")
            return None
        body = self.rfile.read(int(length))
        if len(body) < int(length):  # the client went away in the middle
            self.close_connection = True
            return None
        return body

    def _refuse_body(self, status: int, sentence: str) -> None:
        self.close_connection = True
        self._write(json_answer({"detail": sentence}, status), {}, with_body=True)

    def _environ(self, body: bytes) -> dict[str, Any]:
        path, _, query = self.path.partition("?")
        host, port = self.server.server_address[:2]
        environ: dict[str, Any] = {
            "REQUEST_METHOD": self.command,
            "SCRIPT_NAME": "",
            "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
            "QUERY_STRING": query,
            "SERVER_NAME": host,
            "SERVER_PORT": str(port),
            "SERVER_PROTOCOL": "HTTP/1.1",
            "CONTENT_LENGTH": str(len(body)),
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(body),
        }
        for name, value in self.headers.items():
            environ.setdefault(f"HTTP_{name.upper().replace('-', '_')}", value)
        return environ

    def _send(self, answer: Response, request: Request) -> None:
        headers = dict(answer.get_wsgi_headers(request.environ))
        self._write(answer, headers, with_body=self.command != "HEAD")

    def _write(self, answer: Response, headers: dict[str, str], *, with_body: bool) -> None:
        """One write for the whole answer: a client never sees half of it unless it asked to."""
        body = b"" if answer.status_code in (204, 304) else answer.get_data()
        lines = [f"HTTP/1.1 {answer.status_code} {answer.status.partition(' ')[2]}"]
        headers = {**(headers or dict(answer.headers)), "Date": self.date_time_string()}
        if answer.status_code not in (204, 304):  # RFC 9110, 8.6: these have none
            headers["Content-Length"] = str(len(body))
        if self.close_connection:
            headers["Connection"] = "close"
        lines += [f"{name}: {value}" for name, value in headers.items()]
        head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")
        with contextlib.suppress(ConnectionError):
            self.wfile.write(head + body if with_body else head)

    def _hang_up(self) -> None:
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the base class's name
        """Quiet: /control/requests tells what was asked."""

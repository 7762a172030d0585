"""A PostgreSQL whose write-ahead log lies on a small tmpfs, in a mount namespace of its own, so that it can be full."""

import shutil
import subprocess
from pathlib import Path

from hpctl.embedded.postgres import Postgres
from hpctl.embedded.process import ServerError, dying_with_parent

from tests.cluster.client import eventually

MEGABYTES = 192
_FILL = "SELECT pg_logical_emit_message(false, 'fill', repeat('x', 1000000)) FROM generate_series(1, 40)"


class SmallWal(Postgres):
    """No root is needed: the namespaces of a user are its own. `fill` leaves no room for the next segment."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory, durable=False)
        self._wal = directory.resolve() / "wal"
        self._keeper: subprocess.Popen[bytes] | None = None

    def prepare(self) -> None:
        """The namespace lives as long as its keeper, over every restart of the server."""
        fresh = not self.data.exists()
        super().prepare()
        if fresh:
            self._wal.mkdir()
            unshare = shutil.which("unshare") or "unshare"
            mount = f"mount -t tmpfs -o size={MEGABYTES}m tmpfs {self._wal} && exec sleep infinity"
            words = [unshare, "--user", "--map-root-user", "--mount", "sh", "-c", mount]
            self._keeper = subprocess.Popen(dying_with_parent(words), stdin=subprocess.DEVNULL)
            eventually(lambda: self._inside("mountpoint", "-q", str(self._wal)), "a tmpfs for the log", 10)
            own = self.data.resolve() / "pg_wal"
            assert self._inside("sh", "-c", f"cp -a {own}/. {self._wal} && rm -r {own} && ln -s {self._wal} {own}")

    def command(self) -> list[str]:
        """Inside the namespace, and there no root either."""
        words = super().command()
        if "unshare" not in words[0]:
            words = ["unshare", "--user", "--map-user=1000", "--map-group=1000", *words]
        return [*self._entering(), shutil.which(words[0]) or words[0], *words[1:]]

    def fill(self) -> None:
        """Take all room for further segments, then write until the one in use is full: the server panics."""
        self._inside("sh", "-c", f"cat /dev/zero > {self._wal}/filler")
        try:
            self.execute(_FILL)
        except ServerError:
            return
        raise AssertionError("the log was never full")

    def make_room(self) -> None:
        """The mend; a server that gave up is started again, as any supervisor would."""
        assert self._inside("rm", str(self._wal / "filler"))
        if self.running:
            eventually(lambda: not self.running or self._ready(), "an end of the recovery", 20)
        self.start()

    def stop(self) -> None:
        """The namespace ends with the server."""
        super().stop()
        if self._keeper is not None:
            self._keeper.kill()
            self._keeper.wait(10)

    def _entering(self) -> list[str]:
        assert self._keeper is not None
        nsenter = shutil.which("nsenter") or "nsenter"
        return [nsenter, "--preserve-credentials", "--user", "--mount", "-t", str(self._keeper.pid)]

    def _inside(self, *words: str) -> bool:
        return subprocess.run([*self._entering(), *words], capture_output=True, check=False).returncode == 0

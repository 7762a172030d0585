"""A PostgreSQL whose write-ahead log lies on a small tmpfs, in a mount namespace of its own, so that it can be full.

Where user namespaces are forbidden, the kernel's limit on the size of files (RLIMIT_FSIZE) fails the same writes.
"""

import shutil
import subprocess
from pathlib import Path
from resource import RLIMIT_FSIZE

import psutil
from hpctl.embedded.postgres import Postgres
from hpctl.embedded.process import ServerError, dying_with_parent

from tests.cluster.client import eventually

MEGABYTES = 192
LARGEST_BYTES = 8_000_000
"""Half of a segment of the log."""
_FILL = "SELECT pg_logical_emit_message(false, 'fill', repeat('x', 1000000)) FROM generate_series(1, 40)"


class SmallWal(Postgres):
    """No root is needed: a user's namespaces are its own. `fill` leaves no room for the log, `make_room` mends it."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory, durable=False)
        self._wal = directory.resolve() / "wal"
        self._keeper: subprocess.Popen[bytes] | None = None

    def prepare(self) -> None:
        """The namespace lives as long as its keeper, over every restart of the server."""
        fresh = not self.data.exists()
        super().prepare()
        if fresh and self._enter():
            own = self.data.resolve() / "pg_wal"
            assert self._inside("sh", "-c", f"cp -a {own}/. {self._wal} && rm -r {own} && ln -s {self._wal} {own}")

    def _enter(self) -> bool:
        self._wal.mkdir()
        mount = f"mount -t tmpfs -o size={MEGABYTES}m tmpfs {self._wal} && echo mounted && exec sleep infinity"
        words = [shutil.which("unshare") or "/usr/bin/unshare", "--user", "--map-root-user", "--mount"]
        keeper = subprocess.Popen(
            dying_with_parent([*words, "sh", "-c", mount]), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
        )
        assert keeper.stdout is not None
        with keeper.stdout as told:
            mounted = told.readline() == b"mounted\n"
        if not mounted:
            keeper.wait(10)
            return False
        self._keeper = keeper
        return True

    def command(self) -> list[str]:
        """Inside the namespace, and there no root either."""
        words = super().command()
        if self._keeper is None:
            return words
        if "unshare" not in words[0]:
            words = ["unshare", "--user", "--map-user=1000", "--map-group=1000", *words]
        return [*self._entering(), shutil.which(words[0]) or words[0], *words[1:]]

    def fill(self) -> None:
        """Take all room for further segments, then write until the one in use is full: the server panics."""
        if self._keeper is None:
            self._limit(LARGEST_BYTES)
        else:
            self._inside("sh", "-c", f"cat /dev/zero > {self._wal}/filler")
        try:
            self.execute(_FILL)
        except ServerError:
            return
        raise AssertionError("the log was never full")

    def make_room(self) -> None:
        """The mend; a server that gave up is started again, as any supervisor would."""
        if self._keeper is None:
            self._limit(None)
        else:
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

    def _limit(self, size: int | None) -> None:
        main = psutil.Process(self.pid)
        for process in (main, *main.children(recursive=True)) if self.running else ():
            hard = process.rlimit(RLIMIT_FSIZE)[1]
            process.rlimit(RLIMIT_FSIZE, (hard if size is None else size, hard))

    def _entering(self) -> list[str]:
        assert self._keeper is not None
        nsenter = shutil.which("nsenter") or "nsenter"
        return [nsenter, "--preserve-credentials", "--user", "--mount", "-t", str(self._keeper.pid)]

    def _inside(self, *words: str) -> bool:
        return subprocess.run([*self._entering(), *words], capture_output=True, check=False).returncode == 0

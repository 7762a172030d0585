"""One server process: starts, stops, freezes, dies with its parent, and keeps its port and data over a restart."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil

# prctl(PR_SET_PDEATHSIG, SIGKILL), then become the server. macOS has no prctl: there the next `up` clears leftovers.
_CHILD = (
    "import os, sys\n"
    "if sys.platform == 'linux':\n"
    "    import ctypes\n"
    "    ctypes.CDLL(None).prctl(1, 9)\n"
    "    if os.getppid() != int(sys.argv[1]): sys.exit('the parent is gone')\n"
    "os.execv(sys.argv[2], sys.argv[2:])\n"
)
# The death signal is sent when the *thread* that started the child ends, so children start from a thread that stays.
_starter = ThreadPoolExecutor(max_workers=1, thread_name_prefix="embedded")


class ServerError(RuntimeError):
    """A server did not start, or stopped by itself; the text names the server and its log."""


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def dying_with_parent(command: list[str]) -> list[str]:
    """The command, wrapped so that the kernel kills it when this process ends, however it ends."""
    return [sys.executable, "-I", "-S", "-c", _CHILD, str(os.getpid()), *command]


class Server(ABC):
    """A server of the embedded stack; `start` returns when it answers."""

    name: str
    polite = signal.SIGTERM
    start_within = 60.0
    stop_within = 20.0

    def __init__(self, directory: Path, port: int | None = None) -> None:
        self.directory = directory
        self.host = "127.0.0.1"
        self.port = port or free_port()
        self.log = directory / f"{self.name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def prepare(self) -> None:
        """Make what the first start needs; nothing to do when it is there."""

    @abstractmethod
    def command(self) -> list[str]:
        """The command line, the program by its full path; the process runs in `directory`."""

    @abstractmethod
    def answers(self) -> bool:
        """Whether a client would be served now; OSError counts as no."""

    def environment(self) -> Mapping[str, str]:
        """The process's environment."""
        return os.environ

    @property
    def pid(self) -> int:
        """The process id; ServerError when it was never started."""
        if self._process is None:
            raise ServerError(f"{self.name} is not started")
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the process exists."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start and wait until it answers; nothing to do when it runs. ServerError names the log."""
        if not self.running:
            self.launch()
        self.wait()

    def launch(self) -> None:
        """Start without waiting, so that several servers can come up side by side."""
        self.directory.mkdir(parents=True, exist_ok=True)
        self.prepare()
        if threading.current_thread() is threading.main_thread():
            self._process = self._spawn()
        else:
            self._process = _starter.submit(self._spawn).result()

    def wait(self) -> None:
        """Return when it answers; ServerError when it ends or the deadline passes first."""
        deadline = time.monotonic() + self.start_within
        while not self._ready():
            if not self.running:
                raise ServerError(f"{self.name} ended while starting; its log says: {self.last_words()} ({self.log})")
            if time.monotonic() > deadline:
                raise ServerError(f"{self.name} does not answer after {self.start_within:.0f} s; see {self.log}")
            time.sleep(0.02)

    def stop(self) -> None:
        """End it in order; killed when that takes longer than `stop_within`."""
        if self._process is None:
            return
        self.terminate()
        try:
            self._process.wait(self.stop_within)
        except subprocess.TimeoutExpired:
            self.kill()

    def terminate(self) -> None:
        """Ask it to end, without waiting."""
        if self._process is not None and self.running:
            self.resume()
            self._process.send_signal(self.polite)

    def kill(self) -> None:
        """SIGKILL it and everything it started."""
        if self._process is not None:
            for process in self._tree():
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
            self._process.wait()

    def pause(self) -> None:
        """SIGSTOP: connections stay open and nothing answers."""
        for process in self._tree():
            process.suspend()

    def resume(self) -> None:
        """SIGCONT."""
        for process in self._tree():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.resume()

    def last_words(self) -> str:
        """The last line of its log."""
        lines = self.log.read_text(errors="replace").strip().splitlines() if self.log.exists() else []
        return lines[-1] if lines else "nothing"

    def _spawn(self) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            return subprocess.Popen(  # noqa: S603  (programs of our own wheels, by full path)
                self.command(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=dict(self.environment()),
                cwd=self.directory,
                start_new_session=True,
            )

    def _ready(self) -> bool:
        try:
            return self.answers()
        except OSError:
            return False

    def _tree(self) -> list[psutil.Process]:
        try:
            server = psutil.Process(self.pid)
            return [server, *server.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

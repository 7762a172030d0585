"""A service as a child process: forked from this warm one, or spawned where forking is unsafe (macOS) or unwanted."""

import ctypes
import gc
import os
import runpy
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from hpctl.embedded.process import dying_with_parent
from hpctl.layout import Failure

CAN_FORK = sys.platform == "linux" and os.environ.get("HPCTL_START") != "spawn"
_LARGEST_LOG = 10 * 1024 * 1024
_SET_DEATH_SIGNAL, _SET_NAME = 1, 15  # prctl(2)


class Running(Protocol):
    """A started process, forked or spawned."""

    pid: int

    def poll(self) -> int | None:
        """Its exit code once it ended."""

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it ended."""


class Forked:
    """A child of this process, with the part of Popen's interface that is needed."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._code: int | None = None

    def poll(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""
        if self._code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self._code = os.waitstatus_to_exitcode(status)
        return self._code

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it was reaped."""
        if self.poll() is None:
            os.kill(self.pid, number)


class Module:
    """`python -m <package> <words>` in a process of its own, with its own environment and log.

    `serve` is what a forked child does instead, with what was built for it before.
    """

    def __init__(
        self,
        name: str,
        package: str,
        environ: Mapping[str, str],
        log: Path,
        words: Sequence[str] = (),
        serve: Callable[[], None] | None = None,
    ) -> None:
        self.name = name
        self.log = log
        self._package = package
        self._words = list(words)
        self._environ = dict(environ)
        self._serve = serve
        self._process: Running | None = None

    @property
    def pid(self) -> int:
        """The process id; 0 before the first start."""
        return self._process.pid if self._process else 0

    @property
    def code(self) -> int | None:
        """The exit code once it ended."""
        return self._process.poll() if self._process else None

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    def launch(self) -> None:
        """Start it; its log goes on where it was."""
        if self.log.exists() and self.log.stat().st_size > _LARGEST_LOG:
            self.log.rename(self.log.with_suffix(".log.1"))
        self._process = fork(self.name, self._run, self._environ, self.log) if CAN_FORK else self._spawn()

    def terminate(self) -> None:
        """SIGTERM."""
        if self._process:
            self._process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL, and reap it."""
        if self._process:
            self._process.send_signal(signal.SIGKILL)
            while self._process.poll() is None:
                time.sleep(0.005)

    def last_words(self) -> str:
        """The last line of its log."""
        lines = self.log.read_text(errors="replace").strip().splitlines() if self.log.exists() else []
        return lines[-1] if lines else "nothing"

    def _run(self) -> None:
        sys.argv = [self._package, *self._words]
        if self._serve:
            self._serve()
        else:
            runpy.run_module(self._package, run_name="__main__", alter_sys=True)

    def _spawn(self) -> Running:
        with self.log.open("ab") as log:
            return subprocess.Popen(  # noqa: S603
                dying_with_parent([sys.executable, "-m", self._package, *self._words]),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environ,
                start_new_session=True,
            )


def finish(modules: Sequence[Module], within: float) -> None:
    """Wait until each has done its work and ended; Failure names the one that did not, and its log."""
    deadline = time.monotonic() + within
    for module in modules:
        while module.running:
            if time.monotonic() > deadline:
                raise Failure(f"the step before {module.name} can start takes too long; see {module.log}")
            time.sleep(0.01)
        if module.code:
            raise Failure(f"{module.name}: {module.last_words()} ({module.log})")


def fork(name: str, run: Callable[[], None], environ: Mapping[str, str], log: Path) -> Forked:
    """Run a function in a child that dies with this process; it shares the memory of everything imported so far."""
    parent = os.getpid()
    pid = os.fork()
    if pid:
        return Forked(pid)
    code = 1
    try:
        _become(name, parent, environ, log)
        run()
        code = 0
    except SystemExit as exit_:
        code = exit_.code if isinstance(exit_.code, int) else int(exit_.code is not None)
        if isinstance(exit_.code, str):
            print(exit_.code, file=sys.stderr)  # noqa: T201  (what sys.exit("…") does)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _become(name: str, parent: int, environ: Mapping[str, str], log: Path) -> None:
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    os.setsid()
    libc = ctypes.CDLL(None)
    libc.prctl(_SET_DEATH_SIGNAL, signal.SIGKILL)
    libc.prctl(_SET_NAME, name.encode()[:15])
    if os.getppid() != parent:
        os._exit(1)
    target = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, descriptor in ((nothing, 0), (target, 1), (target, 2)):
        os.dup2(source, descriptor)
    sys.stdout, sys.stderr = (os.fdopen(each, "w", buffering=1, closefd=False) for each in (1, 2))
    # The supervisor's own files stay its own: its lock must be free, and its progress pipe closed, when it is gone.
    os.closerange(3, os.sysconf("SC_OPEN_MAX") if os.sysconf("SC_OPEN_MAX") < 65_536 else 65_536)
    os.environ.clear()
    os.environ.update(environ)
    gc.enable()

"""Starting, stopping and forgetting a stack."""

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO

import psutil

from hpctl import state
from hpctl.embedded.kafka import trained_cache
from hpctl.embedded.process import ServerError
from hpctl.layout import PORTS, Failure, Layout
from hpctl.probe import holder, in_use
from hpctl.progress import Line, lines

_STOP_SECONDS = 45.0


@contextmanager
def one_at_a_time(layout: Layout) -> Iterator[None]:
    """Held by an `up`: a second one waits, and finds what the first one started."""
    layout.directory.mkdir(parents=True, exist_ok=True)
    layout.directory.chmod(0o700)  # also where an earlier release made it
    with (layout.directory / "up.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def start(layout: Layout, show: Callable[[Line], None]) -> None:
    """Start everything and return when it answers; Failure is one sentence. The stack lives on after this process."""
    state.clear_leftovers(layout)
    check_ports(layout)
    layout.logs.mkdir(parents=True, exist_ok=True)
    try:
        trained_cache()  # here, so that the first run's long download is seen
    except ServerError as error:
        raise Failure(str(error)) from error
    supervisor, source = _launch(layout)
    try:
        with source:
            for line in lines(source):
                show(line)
    except BaseException as error:
        if not isinstance(error, Failure):
            supervisor.terminate()
        supervisor.wait(_STOP_SECONDS)  # it has something to stop
        raise
    found = state.running(layout)
    if found is None or not found.ready:
        raise Failure(f"the stack did not start; see {layout.logs / 'supervisor.log'}")


def _launch(layout: Layout) -> tuple[subprocess.Popen[bytes], IO[bytes]]:
    reader, writer = os.pipe()
    with (layout.logs / "supervisor.log").open("ab") as log:
        supervisor = subprocess.Popen(  # noqa: S603
            [sys.executable, "-m", "hpctl.supervisor", str(writer)],
            pass_fds=[writer],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**layout.environ, "PORT_OFFSET": str(layout.offset)},
            start_new_session=True,
        )
    os.close(writer)
    return supervisor, os.fdopen(reader, "rb")


def stop(layout: Layout) -> bool:
    """Stop the stack and whatever a killed one left; whether there was anything. Its data stays."""
    found = state.running(layout)
    if found is None:
        return state.clear_leftovers(layout) > 0
    supervisor = found.supervisor.find()
    if supervisor is not None:
        supervisor.send_signal(signal.SIGTERM)
        _, left = psutil.wait_procs([supervisor], timeout=_STOP_SECONDS)
        if left:
            state.clear_leftovers(layout)
    return True


def reset(layout: Layout) -> bool:
    """Stop the stack and delete its data, logs and passwords; whether there was anything."""
    stopped = stop(layout)
    there = layout.directory.exists()
    if there:
        shutil.rmtree(layout.directory)
    return stopped or there


def wait_until_ready(layout: Layout, within: float = 90.0) -> state.State:
    """The state of a stack that somebody else is starting, once it is ready; Failure when that does not happen."""
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        found = state.running(layout)
        if found is None:
            raise Failure(f"the stack that was starting is gone; see {layout.logs / 'supervisor.log'}")
        if found.ready:
            return found
        time.sleep(0.1)
    raise Failure(f"the stack is still not ready after {within:.0f} s; see {layout.logs}")


def check_ports(layout: Layout) -> None:
    """Failure names the first port that is in use, who holds it, and the variables that move it."""
    seen: dict[int, str] = {}
    for variable in PORTS:
        port = layout.port(variable)
        if port in seen:
            raise Failure(f"{variable} and {seen[port]} are both {port}; give one of them another port")
        seen[port] = variable
        if in_use(port):
            raise Failure(
                f"port {port} ({variable}) is in use by {holder(port)}: free it, set {variable}, "
                "or move the whole stack with PORT_OFFSET"
            )

"""Waiting that a signal ends early."""

import os
import select
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def stop_signals() -> Iterator[Callable[[float], bool]]:
    """Yields a wait: it takes at most so many seconds, ends early on a signal, and says whether to stop."""
    stopping = False

    def stop(_number: int, _frame: object) -> None:
        nonlocal stopping
        stopping = True

    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    signal.signal(signal.SIGCHLD, lambda _number, _frame: None)

    def wait(seconds: float) -> bool:
        if select.select([reader], [], [], seconds)[0]:
            os.read(reader, 4096)
        return stopping

    yield wait
    signal.set_wakeup_fd(-1)
    os.close(reader)
    os.close(writer)

"""What the supervisor tells `up` while it starts: one JSON line per step, over a pipe."""

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import IO

from hpctl.layout import Failure


@dataclass(frozen=True)
class Line:
    """A step that began (`seconds` is None) or is done, or the sentence that says what failed."""

    step: str
    text: str
    seconds: float | None = None
    failed: bool = False


class Progress:
    """The supervisor's end. A reader that went away changes nothing."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @contextmanager
    def step(self, name: str, text: str) -> Iterator[None]:
        """Tell when the step begins and when it is done; a failure is for the caller to tell."""
        began = time.monotonic()
        self._send(Line(name, text))
        yield
        self._send(Line(name, text, seconds=time.monotonic() - began))

    def fail(self, sentence: str) -> None:
        """Tell why the stack did not start."""
        self._send(Line("failed", sentence, failed=True))

    def close(self) -> None:
        """No more lines: the stack is up, or gone."""
        with suppress(OSError):
            os.close(self._descriptor)

    def _send(self, line: Line) -> None:
        with suppress(OSError):
            os.write(self._descriptor, json.dumps(line.__dict__).encode() + b"\n")


def lines(source: IO[bytes]) -> Iterator[Line]:
    """The reader's end, until the supervisor closes its own; Failure when it said what failed."""
    for raw in source:
        line = Line(**json.loads(raw))
        if line.failed:
            raise Failure(line.text)
        yield line

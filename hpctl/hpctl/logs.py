"""The log files of a stack, printed as they stand."""

import sys
import time
from collections import deque
from pathlib import Path

from hpctl import stack, state
from hpctl.layout import Layout, UsageError


def show(layout: Layout, name: str | None, lines: int, *, follow: bool) -> None:
    """Print the last lines of one log or of all; follow until interrupted."""
    files = _files(layout, name)
    for file in files:
        _print_end(file, lines, titled=len(files) > 1)
    if follow:
        _follow(layout, name)


def follow_until_stopped(layout: Layout) -> None:
    """Print every log while the stack runs; an interrupt stops the stack."""
    try:
        _follow(layout, None)
    except KeyboardInterrupt:
        stack.stop(layout)


def _files(layout: Layout, name: str | None) -> list[Path]:
    files = sorted(layout.logs.glob("*.log"))
    if name is None:
        return files
    chosen = [file for file in files if file.stem == name]
    if not chosen:
        names = ", ".join(file.stem for file in files) or "none yet"
        raise UsageError(f"there is no log of {name!r}; there are {names}")
    return chosen


def _print_end(file: Path, lines: int, *, titled: bool) -> None:
    if titled:
        sys.stdout.write(f"== {file.stem}\n")
    with file.open(errors="replace") as handle:
        sys.stdout.writelines(deque(handle, maxlen=lines))


def _follow(layout: Layout, name: str | None) -> None:
    places = {file: file.stat().st_size for file in _files(layout, name)}
    while name is not None or state.running(layout) is not None:
        for file in _files(layout, name):
            places[file] = _print_from(file, places.get(file, 0))
        sys.stdout.flush()
        time.sleep(0.2)


def _print_from(file: Path, place: int) -> int:
    with file.open("rb") as handle:
        handle.seek(min(place, file.stat().st_size))
        sys.stdout.write(handle.read().decode(errors="replace"))
        return handle.tell()

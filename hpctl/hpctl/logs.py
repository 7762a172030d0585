"""The log files of a stack: for people readable, for programs as they stand."""

import sys
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

from hpctl import stack, state
from hpctl.layout import Failure, Layout, UsageError
from hpctl.log_lines import Wanted


def show(layout: Layout, name: str | None, lines: int, wanted: Wanted, *, follow: bool) -> None:
    """Print the last lines of one log or of all; follow until interrupted. Failure when there is no log yet."""
    files = _files(layout, name)
    places = {file: file.stat().st_size for file in files}
    for file in files:
        _print_end(file, lines, wanted, titled=len(files) > 1)
    if follow:
        _follow(layout, name, places, wanted, lambda: True)


def follow_until_stopped(layout: Layout) -> None:
    """Print every log while the stack runs; an interrupt stops the stack."""
    places = {file: file.stat().st_size for file in _files(layout, None)}
    try:
        _follow(layout, None, places, Wanted(readable=sys.stdout.isatty()), lambda: state.running(layout) is not None)
    except KeyboardInterrupt:
        stack.stop(layout)


def _files(layout: Layout, name: str | None) -> list[Path]:
    files = sorted(layout.logs.glob("*.log"))
    if name is not None and name not in {file.stem for file in files}:
        names = ", ".join(file.stem for file in files) or "none yet"
        raise UsageError(f"there is no log of {name!r}; there are {names}")
    if not files:
        raise Failure(f"there are no logs in {layout.logs}; `hpctl up` starts the stack")
    return [file for file in files if name in (None, file.stem)]


def _print_end(file: Path, lines: int, wanted: Wanted, *, titled: bool) -> None:
    with file.open(errors="replace") as handle:
        last = deque(filter(None, map(wanted.print, handle)), maxlen=lines)
    if titled and (last or wanted == Wanted()):
        sys.stdout.write(f"== {file.stem}\n")
    sys.stdout.writelines(last)


def _follow(
    layout: Layout, name: str | None, places: dict[Path, int], wanted: Wanted, going: Callable[[], bool]
) -> None:
    """Print what is added, whole lines only; a title tells whose they are when that changes."""
    sys.stdout.flush()
    told: Path | None = None
    while going():
        for file in _files(layout, name):
            text, places[file] = _added(file, places.get(file, 0))
            added = "".join(map(wanted.print, text.splitlines(keepends=True)))
            if added and name is None and file != told:
                sys.stdout.write(f"== {file.stem}\n")
                told = file
            sys.stdout.write(added)
        sys.stdout.flush()
        time.sleep(0.2)


def _added(file: Path, place: int) -> tuple[str, int]:
    """The lines after a place, and the place after them; from the beginning when the log began anew."""
    with file.open("rb") as handle:
        handle.seek(place if place <= file.stat().st_size else 0)
        start, content = handle.tell(), handle.read()
    whole = content[: content.rfind(b"\n") + 1]
    return whole.decode(errors="replace"), start + len(whole)

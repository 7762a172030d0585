"""What a stack wrote down about itself, and whether that is still true."""

import json
import secrets
import shutil
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import psutil

from hpctl.layout import ROOT, Layout

FULL_BYTES = 10 * 2**20
"""Below it the services report `diskSpace` as DOWN, too."""


@dataclass
class Process:
    """A process by pid and start time: a pid alone may have been given to somebody else since."""

    name: str
    pid: int
    started: float
    restarts: int = 0

    @classmethod
    def of(cls, name: str, pid: int, restarts: int = 0) -> "Process":
        """The process with that pid, now; a start time of 0 when it is gone already."""
        try:
            started = psutil.Process(pid).create_time()
        except psutil.NoSuchProcess:
            started = 0.0
        return cls(name, pid, started, restarts)

    def find(self) -> psutil.Process | None:
        """The living process, or None when it ended, even when its pid is in use again."""
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.started) < 1.0
            if same and process.status() != psutil.STATUS_ZOMBIE:
                return process
        return None


@dataclass
class State:
    """The supervisor and its processes; `ready` once everything answered."""

    supervisor: Process
    processes: list[Process] = field(default_factory=list)
    ready: bool = False

    def write(self, layout: Layout) -> None:
        """Replace the stack's state file in one step."""
        _replace(layout.directory / "state.json", json.dumps(asdict(self), indent=1))


def read(layout: Layout) -> State | None:
    """What was written last, true or not; None when there is nothing readable."""
    try:
        content: dict[str, Any] = json.loads((layout.directory / "state.json").read_text())
        processes = [Process(**each) for each in content["processes"]]
        return State(Process(**content["supervisor"]), processes, content["ready"])
    except (OSError, ValueError, TypeError, KeyError):
        return None


def running(layout: Layout) -> State | None:
    """The state of a stack whose supervisor lives."""
    state = read(layout)
    return state if state is not None and state.supervisor.find() is not None else None


def offsets(except_for: int) -> list[int]:
    """The offsets of the other stacks of this checkout that run."""
    folders = (ROOT / ".run").glob("*/state.json")
    found = sorted(int(file.parent.name) for file in folders if file.parent.name.isdecimal())
    return [offset for offset in found if offset != except_for and running(Layout(offset)) is not None]


def full_disk(layout: Layout) -> str:
    """One sentence where the stack's disk has no room left; empty otherwise."""
    place = next(each for each in (layout.directory, *layout.directory.parents) if each.exists())
    free = shutil.disk_usage(place).free
    if free >= FULL_BYTES:
        return ""
    return f"the disk of {place} is full ({free // 2**20} MiB left): free some space, and everything goes on by itself"


def clear_leftovers(layout: Layout) -> int:
    """Kill what a killed stack left behind, and forget it; how many processes that were."""
    state = read(layout)
    if state is None:
        return 0
    left = [found for each in (state.supervisor, *state.processes) if (found := each.find()) is not None]
    trees = [process for each in left for process in (each, *_children(each))]
    for process in trees:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(trees, timeout=10)
    (layout.directory / "state.json").unlink(missing_ok=True)
    return len(left)


def password(layout: Layout, name: str) -> str:
    """A generated password that stays with the stack's data, in a file that only its owner reads."""
    file = layout.directory / "secrets.json"
    known: dict[str, str] = json.loads(file.read_text()) if file.exists() else {}
    if name not in known:
        known[name] = secrets.token_urlsafe(24)
        layout.directory.mkdir(parents=True, exist_ok=True)
        _replace(file, json.dumps(known, indent=1))
    return known[name]


def _children(process: psutil.Process) -> list[psutil.Process]:
    children: list[psutil.Process] = []
    with suppress(psutil.NoSuchProcess):
        children += process.children(recursive=True)
    return children


def _replace(file: Path, content: str) -> None:
    beside = file.with_suffix(".new")
    beside.unlink(missing_ok=True)
    beside.touch(mode=0o600)
    beside.write_text(content)
    beside.rename(file)

"""What the platform needs of this machine, one sentence each."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata

from hpctl import state
from hpctl.embedded.jars import KAFKA_VERSION, cache_directory
from hpctl.embedded.kafka import find_java
from hpctl.embedded.postgres import as_plain_user, find_programs
from hpctl.embedded.process import ServerError
from hpctl.embedded.valkey import find_program
from hpctl.layout import SERVICES, Failure, Layout
from hpctl.stack import check_ports

_GIBIBYTE = 1024**3
_DISK_GIBIBYTES = 2


@dataclass(frozen=True)
class Finding:
    """One check: whether it is well, and the sentence that says so."""

    well: bool
    sentence: str


def examine(layout: Layout) -> Iterator[Finding]:
    """Run every check, in the order in which `up` would meet them."""
    for check in (_python, _packages, _postgres, _valkey, _java, _jars):
        yield _guarded(check)
    yield _disk(layout)
    yield _leftovers(layout)
    yield _ports(layout)
    if state.running(layout) is not None:
        from hpctl.collisions import collisions  # with what `make install` may not have installed

        yield from (Finding(False, sentence) for sentence in collisions(layout))


def _guarded(check: Callable[[], Finding]) -> Finding:
    try:
        return check()
    except ServerError as error:
        return Finding(False, str(error))


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    return Finding(sys.version_info >= (3, 11), f"Python is {version}; 3.11 or newer is needed")


def _packages() -> Finding:
    missing = [service.name for service in SERVICES if not _installed(service.name)]
    if missing:
        return Finding(False, f"not installed: {', '.join(missing)}; run `make install`")
    return Finding(True, "the services' packages are installed")


def _postgres() -> Finding:
    command = as_plain_user([str(find_programs() / "postgres"), "--version"])
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        return Finding(False, f"PostgreSQL does not start: {done.stderr.strip()}; as an ordinary user it may")
    return Finding(True, f"{done.stdout.strip()}, from {find_programs()}")


def _valkey() -> Finding:
    done = subprocess.run([find_program(), "--version"], capture_output=True, text=True, check=False)  # noqa: S603
    return Finding(done.returncode == 0, f"{(done.stdout or done.stderr).strip()}")


def _java() -> Finding:
    done = subprocess.run([find_java(), "-version"], capture_output=True, text=True, check=False)  # noqa: S603
    return Finding(done.returncode == 0, f"Java for Kafka: {(done.stderr or done.stdout).splitlines()[0]}")


def _jars() -> Finding:
    if (cache_directory() / f"kafka-{KAFKA_VERSION}").exists():
        return Finding(True, f"Apache Kafka {KAFKA_VERSION} is in {cache_directory()}")
    return Finding(True, f"Apache Kafka {KAFKA_VERSION} is not fetched yet; the first `up` does that (45 MB)")


def _disk(layout: Layout) -> Finding:
    directory = next(each for each in (layout.directory, *layout.directory.parents) if each.exists())
    if not os.access(directory, os.W_OK) or not directory.is_dir():
        return Finding(False, f"{directory} cannot be written to; a stack keeps its data in {layout.directory}")
    if full := state.full_disk(layout):
        return Finding(False, full)
    free = shutil.disk_usage(directory).free / _GIBIBYTE
    return Finding(free >= _DISK_GIBIBYTES, f"{free:.1f} GiB of disk are free; {_DISK_GIBIBYTES} are needed")


def _leftovers(layout: Layout) -> Finding:
    found = state.read(layout)
    if found is not None and state.running(layout) is None:
        return Finding(True, f"a stack was killed and left its state in {layout.directory}; the next `up` clears it")
    return Finding(True, "the stack is running" if found else "no stack was left behind")


def _ports(layout: Layout) -> Finding:
    if state.running(layout) is not None:
        return Finding(True, "the ports are in use by this stack")
    try:
        check_ports(layout)
    except Failure as error:
        return Finding(False, str(error))
    return Finding(True, "every port is free")


def _installed(distribution: str) -> bool:
    try:
        metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return False
    return True

"""Stacks for the tests of the command line, each on ports of its own."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from chassis.testing import deadline
from hpctl.layout import ROOT, Layout
from hpctl.report import Row

from hpctl import report, state
from tests.ports import free_offset


@dataclass(frozen=True)
class Platform:
    """One stack, and the command line that speaks to it."""

    offset: int

    @property
    def layout(self) -> Layout:
        return Layout(self.offset, {})

    def hpctl(self, *words: str, within: float = 120.0, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "hpctl", *words],
            cwd=ROOT,
            env={**os.environ, "PORT_OFFSET": str(self.offset), **variables},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=within,
            check=False,
        )

    def process(self, name: str) -> Row:
        return next(row for row in self.rows() if row.name == name)

    def rows(self) -> list[Row]:
        found = state.running(self.layout)
        return report.rows(self.layout, found) if found else []

    def well(self) -> bool:
        """Everything runs, and what has a health page says UP."""
        listed = self.rows()
        return bool(listed) and all(row.health == "UP" for row in listed)

    def beside(self) -> "Platform":
        """Another stack, not started."""
        return new_platform()

    def eventually(self, check: Callable[[], Any], within: float = 30.0) -> Any:
        return wait_for(check, within)


def wait_for(check: Callable[[], Any], within: float = 30.0) -> Any:
    """The first true value of the check."""
    until = deadline(within)
    while not (found := check()):
        assert time.monotonic() < until, f"still not so after {within:g} s"
        time.sleep(0.05)
    return found


def new_platform() -> Platform:
    """At an offset that is no other stack's."""
    return Platform(free_offset())


@pytest.fixture(scope="session")
def platform() -> Iterator[Platform]:
    platform = new_platform()
    up = platform.hpctl("up")
    assert up.returncode == 0, up.stdout + up.stderr
    yield platform
    platform.hpctl("reset", "--yes")
    assert not platform.layout.directory.exists()


@pytest.fixture
def running(platform: Platform) -> Platform:
    """The session's stack, whatever the test before did to it."""
    if not platform.well():
        up = platform.hpctl("up")
        assert up.returncode == 0, up.stdout + up.stderr
        wait_for(platform.well)
    return platform


@pytest.fixture(scope="module")
def spawned() -> Iterator[Platform]:
    """A stack whose services are spawned, as on macOS, and are taken for hung after 3 s."""
    platform = new_platform()
    up = platform.hpctl("up", within=240, HPCTL_START="spawn", HPCTL_HUNG_SECONDS="3")
    assert up.returncode == 0, up.stdout + up.stderr
    yield platform
    platform.hpctl("reset", "--yes")
    assert not platform.layout.directory.exists()

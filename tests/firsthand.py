"""A failure is told when it happens: whoever waits for a long run, or loses its end, knows what and why."""

from typing import Any

import pytest

LONGEST = 300
_reporters: list[Any] = []


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    _reporters[:] = [config.pluginmanager.get_plugin("terminalreporter")]


@pytest.hookimpl(trylast=True)
def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """One line behind the dots; the whole follows at the end, as ever. In workers there is no terminal."""
    if report.failed and (reporter := _reporters[0]) is not None:
        crash = getattr(report.longrepr, "reprcrash", None)
        why = " ".join(str(crash.message if crash else report.longrepr).split())[:LONGEST]
        reporter.write("\n")
        reporter.write_line(f"{report.when} of {report.nodeid} failed after {report.duration:.0f} s: {why}", red=True)

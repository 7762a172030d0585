"""What this machine lacks is one line at the end of a run, with the tests that were therefore not tried.

Code that tests stand on raises `Lacking`, in a fixture or in a test, where a program is neither here nor to be had
from a registry. Locally such tests count as skipped; with CI=true the run fails, for nothing may be left untried there.
"""

import os
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

PREFIX = "this machine lacks "


class Lacking(Exception):
    """Something that tests need is not here. `what` names it; `remedy` says in one line how it is had."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(f"{PREFIX}{what}: {remedy}")
        self.what = what


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """A test whose setup or call raised Lacking was not tried; it did not fail."""
    report: Any = yield
    error = call.excinfo.value if call.excinfo else None
    if isinstance(error, Lacking):
        path, line, _ = item.location
        report.outcome = "skipped"
        report.longrepr = (path, line or 0, str(error))
    return report


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """One line for each thing, with the number of tests and the folders that they are in."""
    for reason, reports in _untried(terminalreporter).items():
        folders = Counter(report.nodeid.partition("::")[0].rpartition("/")[0] for report in reports)
        places = ", ".join(f"{folder} ({number})" for folder, number in folders.most_common())
        terminalreporter.write_line(f"not tried: {reason}; {len(reports)} tests in {places}", yellow=True)


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """With CI=true nothing may be lacking."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("CI") == "true" and exitstatus == 0 and reporter and _untried(reporter):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _untried(reporter: Any) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for report in reporter.stats.get("skipped", []):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else ""
        if reason.startswith(PREFIX):
            found.setdefault(reason, []).append(report)
    return found

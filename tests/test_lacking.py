"""A machine that lacks a program gets one line for it; where nothing may be left untried the run fails."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

SUITE = """
import pytest
from tests.lacking import Lacking

@pytest.fixture(scope="session")
def compiler():
    raise Lacking("a compiler", "install gcc")

@pytest.mark.parametrize("number", range(109))
def test_compiled(compiler, number):
    raise AssertionError("never reached")

def test_plain():
    assert True
"""


def run(folder: Path, ci: str, *words: str) -> subprocess.CompletedProcess[str]:
    (folder / "test_suite.py").write_text(SUITE)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "xdist.plugin",
        "-p",
        "tests.lacking",
        "-c",
        os.devnull,
        *words,
        str(folder),
    ]
    environ = os.environ | {"PYTHONPATH": str(ROOT), "CI": ci, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    environ.pop("PYTEST_XDIST_WORKER", None)  # it is a run of its own
    return subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize("words", [(), ("-n", "2")], ids=["alone", "in workers"])
def test_what_is_lacking_is_one_line_and_no_failure(tmp_path: Path, words: tuple[str, ...]) -> None:
    done = run(tmp_path, "", *words)
    lines = [line for line in done.stdout.splitlines() if line.startswith("not tried: ")]
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(lines) == 1
    assert "this machine lacks a compiler: install gcc; 109 tests" in lines[0]


@pytest.mark.parametrize("words", [(), ("-n", "2")], ids=["alone", "in workers"])
def test_ci_fails_where_something_was_not_tried(tmp_path: Path, words: tuple[str, ...]) -> None:
    assert run(tmp_path, "true", *words).returncode == 1

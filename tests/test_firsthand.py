"""What fails is on the terminal before the run is over, in workers, too."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

SUITE = """
import pytest
@pytest.mark.parametrize("number", range(5))
def test_numbers(number): assert number != 2, "two is " + "long " * 1000
@pytest.fixture
def broken(): raise OSError("no room")
def test_broken(broken): pass
"""


@pytest.mark.parametrize("words", [(), ("-n", "2")], ids=["alone", "in workers"])
def test_a_failure_is_told_when_it_happens(tmp_path: Path, words: tuple[str, ...]) -> None:
    (tmp_path / "test_suite.py").write_text(SUITE)
    plugins = ["-p", "xdist.plugin", "-p", "tests.firsthand", "-c", os.devnull]
    environ = os.environ | {"PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    environ.pop("PYTEST_XDIST_WORKER", None)  # it is a run of its own
    command = [sys.executable, "-m", "pytest", "-q", *plugins, *words, str(tmp_path)]
    done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=120, check=False)
    told = [line for line in done.stdout.partition("= ERRORS =")[0].splitlines() if " failed after " in line]
    assert len(told) == 2, done.stdout + done.stderr
    call, setup = sorted(told)
    assert "call of test_suite.py::test_numbers[2] failed after 0 s: AssertionError: two is long" in call
    assert "setup of test_suite.py::test_broken failed after 0 s: OSError: no room" in setup
    assert max(map(len, told)) < 450

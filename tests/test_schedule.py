"""Whole platforms end as soon as no test of the next file uses them, and files that are named exist."""

import os
import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT
from tests.schedule import LONGEST

PLATFORM = """
import pytest

@pytest.fixture(scope="session")
def stack():
    print("up")
    yield "stack"
    print("down")

@pytest.fixture(scope="module")
def busy(stack):
    yield stack
    print("idle")
"""
USES = "def test_with(busy): print('used')\ndef test_without(): print('unused')\ndef test_again(stack): print('used')\n"


def test_the_longest_files_exist() -> None:
    assert [name for name in LONGEST if not (ROOT / name).is_file()] == []


def test_a_platform_lasts_from_the_first_to_the_last_file_in_a_row_that_uses_it(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(PLATFORM)
    files = {"test_a.py": USES, "test_b.py": USES, "test_c.py": "def test_c(): print('unused')\n", "test_d.py": USES}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    command = [sys.executable, "-m", "pytest", "-q", "-s", "-p", "tests.schedule", "-c", os.devnull, str(tmp_path)]
    environ = os.environ | {"PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    environ.pop("PYTEST_XDIST_WORKER", None)  # it is a run of its own
    done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=120, check=False)
    said = [
        word.strip(".") for word in done.stdout.split() if word.strip(".") in ("up", "down", "idle", "used", "unused")
    ]
    a_file = ["used", "unused", "used", "idle"]
    assert said == ["up", *a_file, *a_file, "down", "unused", "up", *a_file, "down"], done.stdout + done.stderr

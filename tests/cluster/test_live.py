"""The inner loop's images take new code without being built anew: docker/live.py, as an image has it."""

import os
import subprocess
import sys
from pathlib import Path

from hpctl.layout import ROOT

from tests.cluster.controlplane import eventually

PROGRAM = "import os, time\nfrom {package} import text\nprint(text.TEXT, os.getpid(), flush=True)\ntime.sleep(60)\n"


def test_a_changed_file_replaces_the_program_under_the_same_process_id(tmp_path: Path) -> None:
    installed, live, hooks = tmp_path / "installed", tmp_path / "tmp/live", tmp_path / "hooks"
    package = installed / "some_service"
    package.mkdir(parents=True)
    hooks.mkdir()
    live.parent.mkdir()
    (hooks / "sitecustomize.py").symlink_to(ROOT / "docker/live.py")
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text(PROGRAM.format(package="some_service"))
    (package / "text.py").write_text('TEXT = "old"\n')
    environ = {"PYTHONPATH": f"{hooks}:{installed}", "LIVE_DIR": str(live), "SERVICE": "some-service"}
    output = tmp_path / "output"
    with output.open("w") as handle:
        command = [sys.executable, "-m", "some_service"]
        program = subprocess.Popen(command, env=os.environ | environ, stdout=handle, stdin=subprocess.DEVNULL)
    try:
        eventually(lambda: output.read_text().startswith("old"), "the installed code", 30)
        (live / "some_service/text.py").write_text('TEXT = "new"\n')
        eventually(lambda: "new" in output.read_text(), "the changed code", 30)
    finally:
        program.kill()
        program.wait()
    assert output.read_text() == f"old {program.pid}\nnew {program.pid}\n"
    assert (package / "text.py").read_text() == 'TEXT = "old"\n'

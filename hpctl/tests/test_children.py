"""Child processes: forked and spawned ones behave alike."""

import json
import os
import signal
import subprocess
import sys
from functools import partialmethod
from typing import Any

import psutil
import pytest
from chassis.testing import eventually, free_port
from hpctl.probe import listens
from hpctl.watched import Watched

ANSWERS = """
import json, pathlib, sys
from hpctl import children
name, package, environ, log, fork = json.loads(sys.argv[1])
children.CAN_FORK = fork and children.CAN_FORK
module = children.Module(name, package, environ, pathlib.Path(log))
for line in sys.stdin:
    answer = getattr(module, line.strip())
    print(json.dumps(answer() if callable(answer) else answer), flush=True)
module.kill()
"""


class Elsewhere:
    """A Module in a process that has no threads, as the supervisor's has none: from one with threads, as pytest's,
    nobody can fork safely."""

    def __init__(self, *given: object) -> None:
        command = [sys.executable, "-c", ANSWERS, json.dumps(given)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def _ask(self, word: str) -> Any:
        self._process.stdin.write(word + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    running = property(lambda self: self._ask("running"))
    code = property(lambda self: self._ask("code"))
    launch = partialmethod(_ask, "launch")
    terminate = partialmethod(_ask, "terminate")
    kill = partialmethod(_ask, "kill")
    last_words = partialmethod(_ask, "last_words")

    def close(self) -> None:
        self._process.communicate(timeout=30)


@pytest.fixture(params=["forked", "spawned"])
def start(request, tmp_path):
    """Makes a Module of `hpctl.doors` with this environment."""
    made = []

    def starting(**environ: str) -> Elsewhere:
        environ |= {"PATH": os.environ["PATH"]}
        made.append(Elsewhere("doors", "hpctl.doors", environ, str(tmp_path / "log"), request.param == "forked"))
        return made[-1]

    yield starting
    for each in made:
        each.close()


@pytest.fixture
def module(start):
    """`hpctl.doors` on a free port."""
    port = free_port()
    return start(DOORS=str(port), DOORS_TO=str(free_port())), port


async def test_it_runs_with_its_own_log_and_ends_when_asked(module):
    child, port = module
    assert not child.running
    child.launch()
    await eventually(lambda: listens(port))
    assert child.running
    child.terminate()
    await eventually(lambda: not child.running)


async def test_it_is_started_again_later_and_later(module):
    child, port = module
    child.launch()
    await eventually(lambda: listens(port))
    watched, now = Watched(child), 1000.0
    delays = []
    for _ in range(8):
        child.kill()
        assert watched.tend(now)
        delays.append(watched.due_in(now))
        assert not watched.tend(now)
        now += delays[-1]
        assert watched.tend(now)
        assert watched.due_in(now) is None
    assert delays[0] == pytest.approx(0.2)
    assert delays == sorted(delays)
    assert delays[:4] == pytest.approx([0.2, 0.4, 0.8, 1.6])
    assert delays[-1] == pytest.approx(3)
    assert watched.restarts == 8


async def test_a_failure_is_told_by_its_code_and_its_log(start):
    bad = start()
    bad.launch()
    await eventually(lambda: bad.code is not None)
    assert bad.code == 1
    assert bad.last_words() == "KeyError: 'DOORS'"


@pytest.mark.skipif(sys.platform != "linux", reason="the death signal is Linux's")
async def test_it_dies_with_its_parent(tmp_path):
    port = free_port()
    program = (
        "import time; from pathlib import Path; from hpctl.children import Module; "
        f"Module('d', 'hpctl.doors', {{'DOORS': '{port}', 'DOORS_TO': '1'}}, Path('{tmp_path}/log')).launch(); "
        "time.sleep(60)"
    )
    parent = psutil.Popen([sys.executable, "-c", program])
    await eventually(lambda: listens(port))
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    await eventually(lambda: not listens(port))

"""Child processes: forked and spawned ones behave alike."""

import os
import signal
import sys

import psutil
import pytest
from chassis.testing import eventually, free_port
from hpctl.children import Module
from hpctl.probe import listens
from hpctl.watched import Watched

from hpctl import children


@pytest.fixture(params=["forked", "spawned"])
def module(request, monkeypatch, tmp_path):
    """`hpctl.doors` on a free port; forking happens in a process of its own, for pytest has threads."""
    monkeypatch.setattr(children, "CAN_FORK", request.param == "forked" and sys.version_info < (3, 12))
    port = free_port()
    environ = {"DOORS": str(port), "DOORS_TO": str(free_port()), "PATH": os.environ["PATH"]}
    module = Module("doors", "hpctl.doors", environ, tmp_path / "log")
    yield module, port
    module.kill()


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
    assert delays[:-2] == sorted(set(delays[:-2]))
    assert delays[-1] == pytest.approx(10)
    assert watched.restarts == 8


@pytest.mark.usefixtures("module")
async def test_a_failure_is_told_by_its_code_and_its_log(tmp_path):
    bad = Module("bad", "hpctl.doors", {"PATH": os.environ["PATH"]}, tmp_path / "bad.log")
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

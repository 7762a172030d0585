"""A stack whose services are spawned, as on macOS, and are soon taken for hung when they do not answer."""

import os
import signal

import psutil
import pytest
from hpctl.layout import SERVICES

from hpctl import state


def test_each_service_is_a_program_of_its_own_and_everything_is_well(spawned):
    assert spawned.well()
    for service in SERVICES:
        command = psutil.Process(spawned.process(service.name).pid).cmdline()
        assert command[-2:] == ["-m", service.package]


def test_a_killed_one_is_spawned_again(spawned):
    before = spawned.process("auth-service")
    os.kill(before.pid, signal.SIGKILL)
    spawned.eventually(lambda: spawned.process("auth-service").pid not in (None, before.pid))
    spawned.eventually(spawned.well)


def test_a_hung_service_is_told_killed_and_started_again(spawned):
    spawned.eventually(spawned.well)
    before = spawned.process("billing-service")
    others = {row.name: row.pid for row in spawned.rows() if row.name != "billing-service"}
    os.kill(before.pid, signal.SIGSTOP)
    assert spawned.process("billing-service").health == "NO ANSWER"
    spawned.eventually(lambda: spawned.process("billing-service").pid not in (None, before.pid))
    spawned.eventually(spawned.well)
    assert spawned.process("billing-service").restarts == before.restarts + 1
    assert {row.name: row.pid for row in spawned.rows() if row.name != "billing-service"} == others
    log = (spawned.layout.logs / "supervisor.log").read_text()
    assert "billing-service runs but does not answer: it is killed" in log


def test_a_supervisor_that_was_stopped_itself_takes_nothing_for_hung(spawned):
    spawned.eventually(spawned.well)
    before = {row.name: row.pid for row in spawned.rows()}
    supervisor = state.running(spawned.layout).supervisor.find()
    supervisor.suspend()
    with pytest.raises(AssertionError):  # nobody looks after anything meanwhile, for longer than a hung one is given
        spawned.eventually(lambda: {row.name: row.pid for row in spawned.rows()} != before, within=5)
    supervisor.resume()
    with pytest.raises(AssertionError):
        spawned.eventually(lambda: {row.name: row.pid for row in spawned.rows()} != before, within=5)

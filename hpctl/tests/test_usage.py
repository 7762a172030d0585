"""What the command line says when it cannot do what it was asked: one sentence, and an exit code that tells why."""

import json
import os
import socket
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from hpctl.layout import HIGHEST_OFFSET, PORTS, PORTS_AT_AN_OFFSET, SERVICES, STEP, Layout, UsageError
from hpctl.log_lines import readable


@pytest.fixture
def nothing(tmp_path, monkeypatch):
    """The command line beside ports that nobody uses."""

    def hpctl(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        for name, value in {"PORT_OFFSET": "9000", **variables}.items():
            monkeypatch.setenv(name, value)
        return subprocess.run(
            [sys.executable, "-m", "hpctl", *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return hpctl


@pytest.mark.parametrize(
    ("words", "variables"),
    [
        (["frobnicate"], {}),
        (["up", "--nope"], {}),
        (["dlq", "show"], {}),
        (["dlq", "discard", "x", "--count", "0"], {}),
        (["logs", "nobody"], {}),
        (["status"], {"PORT_OFFSET": "many"}),
        (["status"], {"PORT_OFFSET": "60000"}),
        (["status"], {"PORT_OFFSET": "150"}),
        (["status"], {"PORT_OFFSET": "1000"}),
        (["status"], {"PORT_OFFSET": "5000"}),
        (["backup", "--service", "api-gateway"], {}),
        (["logs", "--level", "loud"], {}),
        (["up"], {"HPCTL_HUNG_SECONDS": "soon"}),
        (["up"], {"PATIENT_SERVICE_PORT": "0"}),
    ],
)
def test_bad_use_is_one_sentence_and_exit_code_2(nothing, words, variables):
    done = nothing(*words, **variables)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("hpctl: ")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.contract("X14")
def test_a_port_in_use_is_one_sentence_naming_the_variable(nothing):
    with socket.socket() as squatter:
        squatter.bind(("127.0.0.1", PORTS["AUTH_SERVICE_PORT"] + 9000))
        squatter.listen()
        done = nothing("up")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert f"port {PORTS['AUTH_SERVICE_PORT'] + 9000} (AUTH_SERVICE_PORT) is in use by" in done.stderr
    assert "PORT_OFFSET" in done.stderr


def test_two_variables_with_one_port_are_named(nothing):
    done = nothing("up", PATIENT_SERVICE_PORT="4005")
    assert done.returncode == 1
    assert "AUTH_SERVICE_PORT and PATIENT_SERVICE_PORT are both 13005" in done.stderr


def test_without_a_stack_nothing_is_wrong_and_nothing_is_claimed(nothing):
    assert nothing("down").stdout == "nothing was running\n"
    assert nothing("status").returncode == 1
    asked = nothing("token")
    assert asked.returncode == 1
    assert "does not answer" in asked.stderr


def test_routes_are_those_of_the_gateway(nothing):
    from api_gateway.routes import ROUTES

    printed = nothing("routes").stdout.splitlines()[1:]
    assert [(line.split()[0], line.split()[1]) for line in printed] == [(r.path, r.upstream) for r in ROUTES]


def test_the_doctor_examines_this_machine(nothing):
    done = nothing("doctor")
    assert done.returncode == 0, done.stdout
    for subject in ("Python", "PostgreSQL", "Valkey", "Java", "Kafka", "disk", "port", "stack"):
        assert subject in done.stdout
    assert "PG_BINDIR" not in done.stdout


def test_the_doctor_sees_a_port_in_use(nothing):
    with socket.socket() as squatter:
        squatter.bind(("127.0.0.1", PORTS_AT_AN_OFFSET["KAFKA_PORT"] + 9000))
        squatter.listen()
        done = nothing("doctor")
    assert done.returncode == 1
    assert "KAFKA_PORT" in done.stdout


def test_no_two_offsets_share_a_port() -> None:
    holders: dict[int, int] = {}
    refused = []
    for offset in range(0, HIGHEST_OFFSET + 1, STEP):
        try:
            layout = Layout.from_environ({"PORT_OFFSET": str(offset)})
        except UsageError as error:
            refused.append(str(error).rpartition("; use ")[2])
            continue
        for variable in PORTS:
            port = layout.port(variable)
            assert holders.setdefault(port, offset) == offset, f"{variable} at {offset} is {holders[port]}'s"
            assert port < 32_768 or not offset, "Linux hands such a port out to clients"
    assert refused == ["PORT_OFFSET=1100", "PORT_OFFSET=5100"]


def test_http_ports_move_by_the_offset_itself() -> None:
    for service in SERVICES:
        assert Layout(700, {}).port(service.port) == PORTS[service.port] + 700


def test_version_help_and_completion(nothing) -> None:
    assert nothing("--version").stdout == f"hpctl {metadata.version('hpctl')}\n"
    assert nothing("-h").stdout == nothing("--help").stdout != ""
    assert nothing("dlq", "list", "-h").returncode == 0
    program = Path(sys.executable).with_name("hpctl")
    environ = os.environ | {"_HPCTL_COMPLETE": "complete_bash", "COMP_WORDS": "hpctl dl", "COMP_CWORD": "1"}
    completed = subprocess.run([program], env=environ, capture_output=True, text=True, check=False)
    assert completed.stdout.split() == ["dlq"]


@pytest.mark.parametrize("words", [["routes"], ["doctor"]])
def test_what_programs_read_is_json(nothing, words) -> None:
    assert isinstance(json.loads(nothing(*words, "--json").stdout), list)


def test_a_line_of_the_log_reads_for_people() -> None:
    line = {
        "time": "2026-05-20T08:00:00.123456Z",
        "level": "info",
        "service": "patient-service",
        "event": "patient updated",
    }
    read = readable(line | {"version": 3, "module": "x", "requestId": "r1", "traceId": "t", "spanId": "s"})
    assert read.split(" ", 1)[1] == "INFO    patient-service      patient updated version=3 [r1]"
    request = {"event": "request", "method": "GET", "route": "/patients", "status": 200, "milliseconds": 2.5}
    assert readable(line | request).endswith("GET /patients 200 2.5 ms")

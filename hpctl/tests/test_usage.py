"""What the command line says when it cannot do what it was asked: one sentence, and an exit code that tells why."""

import socket
import subprocess
import sys

import pytest
from hpctl.layout import PORTS


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
        squatter.bind(("127.0.0.1", PORTS["KAFKA_PORT"] + 9000))
        squatter.listen()
        done = nothing("doctor")
    assert done.returncode == 1
    assert "KAFKA_PORT" in done.stdout

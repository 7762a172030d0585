"""Each service starts and answers with nothing beside it but its own database."""

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest
from chassis.testing import deadline, free_port
from hpctl.layout import SERVICES, Service


@pytest.mark.contract("A18")
@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
def test_it_answers_without_kafka_redis_and_neighbours(service: Service, postgres, tmp_path):
    nobody, port, database = str(free_port()), free_port(), f"alone_{service.package}"
    postgres.create_database(database, "secret")
    environ = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "LANG"}}
    environ |= {"HOST": "127.0.0.1", "KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{nobody}", "REDIS_HOST": "127.0.0.1"}
    environ |= {"REDIS_PORT": nobody, service.port: str(port), "BILLING_SERVICE_GRPC_PORT": str(free_port())}
    environ |= {"SHUTDOWN_DRAIN_SECONDS": "0", "DATABASE_USER": database, "DATABASE_PASSWORD": "secret"}
    environ |= {"DATABASE_URL": f"postgresql://{postgres.host}:{postgres.port}/{database}"}
    log = tmp_path / "log"
    with log.open("wb") as output:
        command = [sys.executable, "-m", service.package]
        process = subprocess.Popen(command, env=environ, stdout=output, stderr=output, cwd=tmp_path)
    try:
        until = deadline(30)
        while (status := _health(port)) != 200:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < until, f"{status}: {log.read_text()}"
            time.sleep(0.05)
    finally:
        process.terminate()
        assert process.wait(20) == 0


def _health(port: int) -> int:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/actuator/health", timeout=5) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        error.close()
        return error.code
    except OSError:
        return 0

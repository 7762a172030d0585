"""The Postman collection, run by newman against the running platform."""

import json
from pathlib import Path

import pytest

from tests.clients.nodetools import package, run
from tests.conftest import ROOT, Stack

COLLECTION = ROOT / "postman" / "healthcare-platform.postman_collection.json"
ENVIRONMENT = ROOT / "postman" / "local.postman_environment.json"


@pytest.mark.contract("X09")
def test_the_collection_passes(stack: Stack, tmp_path: Path) -> None:
    newman = package("newman", "6.2.1") / "newman/bin/newman.js"
    report = tmp_path / "report.json"
    words = ["run", str(COLLECTION), "--environment", str(ENVIRONMENT), "--env-var", f"gateway={stack.gateway}"]
    words += ["--delay-request", "120", "--reporters", "json", "--reporter-json-export", str(report)]
    done = run(newman, *words, within=200)
    ran = json.loads(report.read_text())["run"]
    failures = [f"{each['source']['name']}: {each['error']['message']}" for each in ran["failures"]]
    assert not failures, failures
    assert done.returncode == 0, done.stdout + done.stderr
    assert ran["stats"]["assertions"]["total"] >= 60
    assert {each["name"] for each in json.loads(COLLECTION.read_text())["item"]} == {
        "Auth flows",
        "Patients",
        "Appointment lifecycle",
        "Event-driven scenarios",
    }

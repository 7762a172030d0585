"""The documents that client generators read: valid, linted, complete, and the same as the code."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from healthcare_contracts import asyncapi
from healthcare_contracts.topics import TOPICS
from openapi_spec_validator import validate

from tests.clients.documents import documents, operations
from tests.clients.nodetools import package, run
from tests.conftest import ROOT, Stack

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def found(stack: Stack) -> dict[str, dict[str, Any]]:
    return documents(stack)


@pytest.mark.contract("S11", "W02")
def test_every_service_has_a_valid_document(found: dict[str, dict[str, Any]]) -> None:
    for name, document in found.items():
        validate(document)
        assert document["openapi"].startswith("3.1"), name


def test_a_linter_finds_nothing(found: dict[str, dict[str, Any]], tmp_path: Path) -> None:
    files = [tmp_path / f"{name}.json" for name in found]
    for file in files:
        file.write_text(json.dumps(found[file.stem]))
    modules = package("@redocly/openapi-core", "1.34.5")
    done = run(HERE / "lint.mjs", str(modules), *map(str, files), str(asyncapi.FILE))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    broken = json.loads(files[0].read_text())
    del broken["info"]["license"]
    files[0].write_text(json.dumps(broken))
    assert "info-license" in run(HERE / "lint.mjs", str(modules), str(files[0])).stdout, "it would find something"


def test_operations_have_stable_names_and_problems(found: dict[str, dict[str, Any]]) -> None:
    names: list[str] = []
    for document in found.values():
        for path, method, operation in operations(document):
            names.append(operation["operationId"])
            assert re.fullmatch(r"[a-z][A-Za-z]+", operation["operationId"]), operation["operationId"]
            assert operation.get("summary"), (path, method)
            assert "422" not in operation["responses"]
            for status, response in operation["responses"].items():
                if status.startswith("4") or status == "default":
                    problem = response["content"]["application/problem+json"]
                    assert problem["schema"] == {"$ref": "#/components/schemas/Problem"}, (path, method, status)
    assert len(set(names)) == len(names), "a name stands for one operation over all services"


def test_the_asyncapi_parser_reads_every_channel_message_and_reader() -> None:
    assert asyncapi.FILE.read_text() == asyncapi.text(), "`make protos` has not been run"
    done = run(HERE / "parse.mjs", str(package("@asyncapi/parser", "3.6.0")), str(asyncapi.FILE))
    assert done.returncode == 0, done.stderr
    understood = json.loads(done.stdout)
    assert understood["problems"] == []
    assert understood["channels"] == sorted(topic.name for topic in TOPICS)
    assert set(understood["messages"]) == {kind for topic in TOPICS for kind in topic.types}
    wanted = {f"{group} reads {topic.name}" for topic in TOPICS for group in topic.groups}
    assert set(understood["operations"]) == wanted | {f"send {topic.name}" for topic in TOPICS}


def test_the_lines_of_the_page_about_the_api_work(stack: Stack) -> None:
    page = (ROOT / "docs" / "api.md").read_text()
    script = "\n".join(re.findall(r"```sh\n(.*?)```", page, re.DOTALL)).replace("http://localhost:4004", stack.gateway)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert '"patientName":"Grace Hopper"' in done.stdout

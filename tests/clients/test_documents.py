"""The documents that client generators read: valid, complete, stable, and the same as the code."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import httpx2 as httpx
import jsonschema
import pytest
from healthcare_contracts import asyncapi
from healthcare_contracts.topics import TOPICS
from openapi_spec_validator import validate

from tests.clients.nodetools import program
from tests.conftest import ROOT, Stack

SERVICES = ("patients", "appointments", "auth", "billing", "analytics")


@pytest.fixture(scope="module")
def documents(stack: Stack) -> dict[str, dict[str, Any]]:
    return {name: httpx.get(f"{stack.gateway}/api-docs/{name}", timeout=10).json() for name in SERVICES}


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [(path, method, each) for path, item in document["paths"].items() for method, each in item.items()]


@pytest.mark.contract("S11", "W02")
def test_every_service_has_a_valid_document(documents: dict[str, dict[str, Any]]) -> None:
    for name, document in documents.items():
        validate(document)
        assert document["openapi"].startswith("3.1"), name


def test_operations_have_stable_names_tokens_and_problems(documents: dict[str, dict[str, Any]]) -> None:
    names: list[str] = []
    for service, document in documents.items():
        shown = operations(document)
        assert shown, service
        for path, method, operation in shown:
            names.append(operation["operationId"])
            assert re.fullmatch(r"[a-z][A-Za-z]+", operation["operationId"]), operation["operationId"]
            assert operation.get("summary"), (path, method)
            assert "422" not in operation["responses"]
            problem = operation["responses"]["default"]["content"]["application/problem+json"]
            assert problem["schema"] == {"$ref": "#/components/schemas/Problem"}
            if service != "auth":
                assert operation["security"] == [{"bearer": []}], (path, method)
                assert document["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
    assert len(set(names)) == len(names), "a name stands for one operation over all services"


def test_bodies_come_with_an_example_that_is_accepted(stack: Stack, documents: dict[str, dict[str, Any]]) -> None:
    for document in documents.values():
        for path, method, operation in operations(document):
            if "requestBody" in operation:
                schema = operation["requestBody"]["content"]["application/json"]["schema"]
                name = schema["$ref"].rpartition("/")[2]
                assert document["components"]["schemas"][name].get("examples"), f"{method} {path}: {name}"


def test_the_asyncapi_document_is_valid_and_says_what_the_contracts_say() -> None:
    committed = json.loads(asyncapi.FILE.read_text())
    assert asyncapi.FILE.read_text() == asyncapi.text(), "`make protos` has not been run"
    schemas = Path(program("@asyncapi/specs", "6.8.1", "@asyncapi/specs/index.js")[1]).parent / "schemas"
    jsonschema.Draft7Validator(json.loads((schemas / "3.0.0.json").read_text())).validate(committed)
    assert committed["channels"].keys() == {topic.name for topic in TOPICS}
    assert {kind for topic in TOPICS for kind in topic.types} == committed["components"]["messages"].keys()


def test_the_lines_of_the_page_about_the_api_work(stack: Stack) -> None:
    page = (ROOT / "docs" / "api.md").read_text()
    script = "\n".join(re.findall(r"```sh\n(.*?)```", page, re.DOTALL)).replace("http://localhost:4004", stack.gateway)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert '"patientName":"Grace Hopper"' in done.stdout

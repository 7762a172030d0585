"""What the documents say of an operation is what the running platform does: bodies, answers, headers, problems."""

import time
import uuid
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import httpx2 as httpx
import pytest
from chassis.testing import deadline
from jsonschema import Draft202012Validator, FormatChecker

from tests.clients.documents import SERVICES, documents, operations
from tests.conftest import Stack

OPERATIONS = {
    "patients": {"listPatients", "createPatient", "getPatient", "replacePatient", "deletePatient"},
    "appointments": {
        "listAppointments", "createAppointment", "getAppointment", "replaceAppointment", "deleteAppointment",
    },
    "auth": {"login", "register", "me", "validate", "jwks"},
    "billing": {"getBillingAccount"},
    "analytics": {"analyticsSummary", "recentEvents"},
}  # fmt: skip
OPEN = {"login", "register", "jwks"}
"""Operations that need no token."""
FORMATS = FormatChecker(["uuid", "date"])
UNKNOWN = str(uuid.uuid4())


@FORMATS.checks("date-time", ValueError)
def _with_offset(value: object) -> bool:
    return not isinstance(value, str) or datetime.fromisoformat(value).tzinfo is not None


@FORMATS.checks("date-time-local", ValueError)
def _local(value: object) -> bool:
    return not isinstance(value, str) or datetime.fromisoformat(value).tzinfo is None


def conforms(document: dict[str, Any], schema: dict[str, Any], value: Any) -> None:
    """Raises where a value is not as a schema of the document says."""
    whole = schema | {"components": document["components"]}
    Draft202012Validator(whole, format_checker=FORMATS).validate(value)


def asked(http: httpx.Client, method: str, address: str, **what: Any) -> httpx.Response:
    """The answer; at a route's limit a client waits as long as it is told, and so does this one."""
    until = deadline(20)
    while True:
        answer = http.request(method, address, **what)
        if answer.status_code != 429 or time.monotonic() > until:
            return answer
        time.sleep(int(answer.headers["Retry-After"]))


class Caller:
    """Calls operations by their ids, as a generated client does, and holds every answer against the document."""

    def __init__(self, http: httpx.Client, found: dict[str, dict[str, Any]]) -> None:
        self._http = http
        self._known = {
            operation["operationId"]: (document, path, method, operation)
            for document in found.values()
            for path, method, operation in operations(document)
        }
        self.called: set[str] = set()

    def example(self, name: str) -> dict[str, Any]:
        """The body that the document shows."""
        document, _, _, operation = self._known[name]
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        return dict(document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]["examples"][0])

    def __call__(
        self, name: str, status: int, *ids: str, body: Any = None, headers: dict[str, str] | None = None, **query: str
    ) -> httpx.Response:
        document, path, method, operation = self._known[name]
        address = document["servers"][0]["url"].rstrip("/")
        for part in path.split("/")[1:]:
            address += "/" + (next(each for each in ids) if part.startswith("{") else part)
        answer = asked(self._http, method, address, json=body, params=query, headers=headers or {})
        assert answer.status_code == status, answer.text
        said = operation["responses"][str(status)]
        for kind, content in said.get("content", {}).items():
            assert answer.headers["content-type"].startswith(kind)
            conforms(document, content["schema"], answer.json())
        assert {each.lower() for each in said.get("headers", {})} <= set(answer.headers)
        if status < 300:
            self.called.add(name)
        return answer


@pytest.fixture(scope="module")
def found(stack: Stack) -> dict[str, dict[str, Any]]:
    return documents(stack)


@pytest.fixture(scope="module")
def call(stack: Stack, found: dict[str, dict[str, Any]]) -> Iterator[Caller]:
    with stack.client() as http:
        yield Caller(http, found)


def test_the_operations_are_those_that_clients_were_generated_from(found: dict[str, dict[str, Any]]) -> None:
    named = {name: {each["operationId"] for _, _, each in operations(document)} for name, document in found.items()}
    assert named == OPERATIONS


def test_whether_an_operation_needs_a_token_is_said_and_true(stack: Stack, found: dict[str, dict[str, Any]]) -> None:
    for document in found.values():
        assert document["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
        for path, method, operation in operations(document):
            needed = operation["security"] == [{"bearer": []}]
            assert needed is (operation["operationId"] not in OPEN)
            address = document["servers"][0]["url"].rstrip("/") + path.replace("{id}", UNKNOWN)
            with httpx.Client(base_url=stack.gateway, timeout=10) as nobody:
                answer = asked(nobody, method, address.replace("{patientId}", UNKNOWN))
            assert (answer.status_code == 401) is needed, (method, path)


@pytest.mark.parametrize("service", SERVICES)
def test_every_example_is_as_its_schema_says(found: dict[str, dict[str, Any]], service: str) -> None:
    document = found[service]
    for _, _, operation in operations(document):
        bodies = [operation["requestBody"]] if "requestBody" in operation else []
        bodies += [each for status, each in operation["responses"].items() if status.startswith("2")]
        for body in bodies:
            for content in body.get("content", {}).values():
                schema = document["components"]["schemas"][content["schema"]["$ref"].rpartition("/")[2]]
                assert schema["examples"], operation["operationId"]
                for example in schema["examples"]:
                    conforms(document, schema, example)


def test_people_and_their_appointments(call: Caller) -> None:
    new = call.example("createPatient") | {"email": f"{uuid.uuid4().hex}@example.com"}
    patient = call("createPatient", 201, body=new)
    id, match = patient.json()["id"], {"If-Match": patient.headers["etag"]}
    call("createPatient", 409, body=new)
    call("createPatient", 400, body={})
    call("getPatient", 200, id)
    call("getPatient", 304, id, headers={"If-None-Match": patient.headers["etag"]})
    call("getPatient", 404, UNKNOWN)
    call("getPatient", 400, "no-id")
    call("listPatients", 200, sort="name,asc", search="john")
    call("listPatients", 400, sort="shoe size")
    call("replacePatient", 200, id, body=call.example("replacePatient") | {"email": new["email"]}, headers=match)
    call("replacePatient", 412, id, body=new, headers=match)
    call("replacePatient", 409, id, body=new | {"version": 1})
    booked = call("createAppointment", 201, body=call.example("createAppointment") | {"patientId": id}).json()["id"]
    call("createAppointment", 400, body=call.example("createAppointment") | {"startTime": "2026-05-20T09:00:00Z"})
    call("getAppointment", 200, booked)
    call("listAppointments", 200, **{"from": "2026-05-20T00:00:00", "to": "2026-05-21T00:00:00"})
    call("replaceAppointment", 200, booked, body=call.example("replaceAppointment") | {"patientId": id})
    call("replaceAppointment", 412, booked, body=call.example("replaceAppointment"), headers={"If-Match": '"1"'})
    call("deleteAppointment", 204, booked)
    call("deletePatient", 204, id)
    call("deletePatient", 404, id)
    assert OPERATIONS["patients"] | OPERATIONS["appointments"] <= call.called


def test_users_bills_and_numbers(call: Caller) -> None:
    call("login", 200, body=call.example("login"))
    call("login", 401, body=call.example("login") | {"password": "not this one"})
    user = call.example("register") | {"email": f"{uuid.uuid4().hex}@example.com"}
    call("register", 201, body=user)
    call("register", 409, body=user)
    call("register", 400, body=user | {"password": "short"})
    call("me", 200)
    call("validate", 200)
    call("jwks", 200)
    call("getBillingAccount", 200, "123e4567-e89b-12d3-a456-426614174000")
    call("getBillingAccount", 404, UNKNOWN)
    call("analyticsSummary", 200)
    call("recentEvents", 200)
    assert OPERATIONS["auth"] | OPERATIONS["billing"] | OPERATIONS["analytics"] <= call.called

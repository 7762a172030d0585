"""What is generated agrees with its sources, and what is published stays readable."""

import copy
import json
from typing import Any

import pytest
from google.protobuf.descriptor import Descriptor
from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto
from healthcare_contracts import billing_service_pb2 as billing
from healthcare_contracts.events import MODELS
from healthcare_contracts.generate import PACKAGE, grpc_code
from healthcare_contracts.schemas import breaks, closed_schema_of, committed, schema_of
from healthcare_contracts.topics import ALL_TOPICS, TOPICS
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

EXAMPLE = {
    "eventId": "d94a4b4c-5ca6-4e76-8d5a-9b2b705a5a30",
    "type": "patient.updated",
    "occurredAt": "2025-09-10T11:22:33Z",
    "data": {
        "patientId": "f0a8c1f7-4e92-4205-88f8-3f0497bb1c2a",
        "name": "John Doe",
        "email": "john@example.com",
        "phone": "+1-555-0102",
        "address": "123 Main St",
        "attributes": {"gender": "M", "dob": "1990-01-01"},
    },
}


@pytest.mark.contract("B01", "B02", "B06")
def test_the_grpc_contract_is_the_documented_one() -> None:
    assert billing.DESCRIPTOR.package == "billing"
    service = billing.DESCRIPTOR.services_by_name["BillingService"]
    method = service.methods_by_name["CreateAccount"]
    assert method.input_type.name == "CreateAccountRequest"
    assert method.output_type.name == "CreateAccountResponse"
    assert _fields(method.input_type) == {"patientId": (1, "string"), "email": (2, "string"), "name": (3, "string")}
    assert _fields(method.output_type) == {"accountId": (1, "string"), "status": (2, "string")}


def _fields(message: Descriptor) -> dict[str, tuple[int, str]]:
    """Number and type of each field: another type is another wire format."""
    made = DescriptorProto()
    message.CopyToProto(made)
    kind, label = FieldDescriptorProto.Type, FieldDescriptorProto.Label
    assert {label.Name(each.label) for each in made.field} == {"LABEL_OPTIONAL"}
    return {each.name: (each.number, kind.Name(each.type).removeprefix("TYPE_").lower()) for each in made.field}


@pytest.mark.contract("X22")
def test_generating_again_changes_nothing(tmp_path) -> None:
    grpc_code(tmp_path)
    for made in tmp_path.iterdir():
        assert made.read_text() == (PACKAGE / made.name).read_text(), f"run `make protos`: {made.name} drifted"
    for event_type in MODELS:
        published = committed(event_type)
        assert schema_of(event_type) == published[max(published)], f"run `make protos`: {event_type} drifted"


@pytest.mark.contract("E02", "E04")
def test_the_documented_example_is_a_valid_event_and_round_trips() -> None:
    Draft202012Validator(schema_of("patient.updated")).validate(EXAMPLE)
    read = MODELS["patient.updated"].model_validate(EXAMPLE["data"])
    again = read.model_dump(mode="json", by_alias=True, exclude_none=True)
    assert again == EXAMPLE["data"]


@pytest.mark.contract("E05")
def test_readers_ignore_what_they_do_not_know_and_producers_may_not_send_it() -> None:
    later = copy.deepcopy(EXAMPLE)
    later["data"]["bloodType"] = "AB"
    Draft202012Validator(schema_of("patient.updated")).validate(later)
    assert MODELS["patient.updated"].model_validate(later["data"])
    with pytest.raises(ValidationError):
        Draft202012Validator(closed_schema_of("patient.updated")).validate(later)


@pytest.mark.parametrize("event_type", sorted(MODELS))
def test_every_published_version_can_still_be_read(event_type: str) -> None:
    assert [problem for old in committed(event_type).values() for problem in breaks(old, schema_of(event_type))] == []


def _changed(change: str) -> dict[str, Any]:
    schema = json.loads(json.dumps(schema_of("patient.created")))
    data = schema["properties"]["data"]
    match change:
        case "optional added":
            data["properties"]["nickname"] = {"type": "string"}
        case "removed":
            del data["properties"]["phone"]
        case "renamed":
            data["properties"]["fullName"] = data["properties"].pop("name")
        case "retyped":
            data["properties"]["name"] = {"type": "integer"}
        case "required added":
            data["properties"]["nickname"] = {"type": "string"}
            data["required"].append("nickname")
        case "required now":
            data["required"].append("phone")
        case "nested removed":
            del schema["$defs"]["PatientAttributes"]["properties"]["dob"]
        case "narrowed":
            data["properties"]["version"] = {"type": "integer"}
    return schema


@pytest.mark.parametrize("change", ["optional added"])
def test_an_optional_field_may_be_added(change: str) -> None:
    assert breaks(schema_of("patient.created"), _changed(change)) == []


@pytest.mark.parametrize(
    "change", ["removed", "renamed", "retyped", "required added", "required now", "nested removed", "narrowed"]
)
def test_the_check_goes_red_for_what_would_break_readers(change: str) -> None:
    assert breaks(schema_of("patient.created"), _changed(change))


@pytest.mark.parametrize("event_type", [name for name in MODELS if name.startswith("appointment.")])
def test_the_local_times_of_appointments_are_not_called_moments(event_type: str) -> None:
    published = committed(event_type)
    for name in ("startTime", "endTime"):
        assert published[max(published)]["properties"]["data"]["properties"][name]["format"] == "date-time-local"
    assert published[max(published)]["properties"]["occurredAt"]["format"] == "date-time"
    moments = copy.deepcopy(published[max(published)])
    moments["properties"]["data"]["properties"]["startTime"]["format"] = "date-time"
    assert breaks(published[max(published)], moments) == ["data.startTime.: its type changed"]


LINES = {"type": "object", "properties": {"code": {"type": "string"}}, "required": ["code"]}
RETYPED = LINES | {"properties": {"code": {"type": "integer"}}}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"type": "array", "items": LINES}, {"type": "array", "items": RETYPED}),
        ({"anyOf": [LINES, {"type": "null"}]}, {"anyOf": [RETYPED, {"type": "null"}]}),
        ({"anyOf": [LINES, {"type": "null"}]}, {"anyOf": [LINES | {"properties": {}}, {"type": "null"}]}),
    ],
)
def test_the_check_looks_into_lists_and_optional_objects(old: dict[str, Any], new: dict[str, Any]) -> None:
    assert breaks({"properties": {"lines": old}}, {"properties": {"lines": old}}) == []
    assert breaks({"properties": {"lines": old}}, {"properties": {"lines": new}})


@pytest.mark.contract("D16", "E01")
def test_topics_are_the_documented_ones() -> None:
    names = {topic.name for topic in TOPICS}
    assert {"patient.created", "patient.updated", "billing-account"} <= names
    assert {
        "patient.deleted",
        "appointment.booked",
        "appointment.updated",
        "appointment.cancelled",
        "auth.audit",
    } <= names
    compacted = {topic.name for topic in TOPICS if topic.compacted}
    assert compacted == {"patient.created", "patient.updated", "patient.deleted"}
    dead = {topic.name: topic.config["retention.ms"] for topic in ALL_TOPICS if topic.name.endswith(".dlq")}
    assert dead["patient.updated.appointments-cg.dlq"] == str(14 * 86_400_000)
    assert {each for topic in TOPICS for each in topic.types} == set(MODELS)

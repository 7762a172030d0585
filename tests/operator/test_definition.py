"""The definition, its table of fields and the samples follow the models."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from healthcare_operator import claims, conditions, crd, notices, reference
from healthcare_operator.spec import Spec
from hpctl.layout import ROOT

from tests.cluster.controlplane import ControlPlane
from tests.operator.platforms import resource

SAMPLES = sorted((ROOT / "k8s" / "samples").glob("*.yaml"))


def test_what_is_committed_is_what_the_models_say() -> None:
    assert crd.FILE.read_text() == crd.text(), "run `make crd`"
    document = reference.DOCUMENT.read_text()
    assert document == reference.updated(document), "run `make crd`"


def test_every_condition_that_is_explained_exists() -> None:
    rows = re.findall(r"^\| (`\w+=.*?) \| `(\w+)` \|", reference.DOCUMENT.read_text(), re.MULTILINE)
    rows += re.findall(r"^\| (`KafkaReady`.*?) \| `(\w+)` \|", reference.DOCUMENT.read_text(), re.MULTILINE)
    told = "".join(Path(str(each.__file__)).read_text() for each in (conditions, notices, claims))
    assert len(rows) == 14
    for types, reason in rows:
        assert f'"{reason}"' in told, reason
        assert all(f'"{kind}"' in told for kind in re.findall(r"`(\w+)", types)), types


@pytest.mark.contract("C06")
@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_a_sample_is_taken(defined: ControlPlane, namespace: str, path) -> None:
    defined.apply(yaml.safe_load(path.read_text()), namespace=namespace)
    taken = defined.get("hcp", "healthcare", namespace)
    assert taken
    assert Spec.model_validate(taken["spec"]).images.tag


def test_an_empty_spec_is_a_whole_platform(defined: ControlPlane, namespace: str) -> None:
    defined.apply(resource({}), namespace=namespace)
    taken = defined.get("hcp", "care", namespace)
    assert taken
    assert Spec.model_validate(taken["spec"]) == Spec()
    assert taken["spec"]["kafka"]["mode"] == "strimzi"
    assert taken["spec"]["services"]["patient-service"]["enabled"] is True


def test_explain_reads_like_documentation(defined: ControlPlane) -> None:
    said = " ".join(defined.kubectl("explain", "hcp.spec.postgres", "--recursive=false").split())
    assert "PostgreSQL, a database for each service." in said
    assert "Who runs PostgreSQL. cloudnative-pg: the CloudNativePG operator" in said
    assert "enum: cloudnative-pg, builtin, external" in said
    assert "The first object that is not, and why." in defined.kubectl("explain", "hcp.status.components")


def test_every_field_of_spec_and_status_is_explained_in_a_sentence() -> None:
    """The last word of `kubectl explain`: no field is without one, and none is a word or two."""
    unexplained = [
        path
        for path, field in _fields("", crd.schema())
        if not field["description"].endswith(".") or len(field["description"].split()) < 3
    ]
    assert not unexplained


def _fields(path: str, node: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, field in node.get("properties", {}).items():
        yield f"{path}.{name}", field
        yield from _fields(f"{path}.{name}", field)
        yield from _fields(f"{path}.{name}[]", field.get("items", {}))

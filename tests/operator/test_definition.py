"""The definition, its table of fields and the samples follow the models."""

import re
from pathlib import Path

import pytest
import yaml
from healthcare_operator import crd, reference, status
from healthcare_operator.spec import Spec
from hpctl.layout import ROOT

from tests.cluster.controlplane import ControlPlane, KubectlError

SAMPLES = sorted((ROOT / "k8s" / "samples").glob("*.yaml"))


@pytest.fixture(scope="session")
def defined(cluster: ControlPlane) -> ControlPlane:
    """The cluster, with the definition."""
    cluster.apply(crd.definition())
    cluster.established(["healthcareplatforms.healthcareplatform.io"])
    return cluster


def resource(spec: dict, name: str = "care") -> dict:
    kind = {"apiVersion": "healthcareplatform.io/v1alpha1", "kind": "HealthcarePlatform"}
    return {**kind, "metadata": {"name": name}, "spec": spec}


def test_what_is_committed_is_what_the_models_say() -> None:
    assert crd.FILE.read_text() == crd.text(), "run `make crd`"
    document = reference.DOCUMENT.read_text()
    assert document == reference.updated(document), "run `make crd`"


def test_every_condition_that_is_explained_exists() -> None:
    rows = re.findall(r"^\| (`\w+=.*?) \| `(\w+)` \|", reference.DOCUMENT.read_text(), re.MULTILINE)
    rows += re.findall(r"^\| (`KafkaReady`.*?) \| `(\w+)` \|", reference.DOCUMENT.read_text(), re.MULTILINE)
    told = Path(status.__file__).read_text()
    assert len(rows) == 10
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


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ({"kafka": {"mode": "external"}}, "needs bootstrapServers"),
        ({"kafka": {"mode": "strimzi", "bootstrapServers": "b:9092"}}, "needs kafka.mode external"),
        ({"kafka": {"mode": "builtin", "replicas": 3}}, "one node"),
        ({"postgres": {"mode": "builtin", "instances": 2}}, "one server"),
        ({"postgres": {"mode": "external"}}, "needs secrets"),
        ({"redis": {"mode": "external"}}, "needs host"),
        ({"exposure": {"mode": "gateway-api"}}, "needs gateways"),
        ({"profile": "production", "demoData": True}, "refused with profile production"),
        ({"profile": "laptop"}, "Unsupported value"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_spec_that_contradicts_itself_is_refused(
    defined: ControlPlane, namespace: str, spec: dict, reason: str
) -> None:
    with pytest.raises(KubectlError, match=reason):
        defined.apply(resource(spec), namespace=namespace)


def test_explain_reads_like_documentation(defined: ControlPlane) -> None:
    said = defined.kubectl("explain", "hcp.spec.postgres")
    assert "who runs it" in said
    assert "PostgreSQL" in said

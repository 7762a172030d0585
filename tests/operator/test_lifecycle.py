"""A platform from its first apply to its end, on a real API server."""

import pytest
import yaml

from tests.cluster.controlplane import eventually
from tests.operator.platforms import BUILTIN, OWNED, SAMPLES, Platforms
from tests.operator.process import Operator

SERVICES = ["patient-service", "appointment-service", "auth-service", "billing-service", "analytics-service"]


@pytest.mark.contract("C04", "C06")
def test_the_laptop_sample_comes_up_with_nothing_but_the_operator(platforms: Platforms) -> None:
    platforms.cluster.apply(yaml.safe_load((SAMPLES / "laptop.yaml").read_text()), namespace=platforms.namespace)
    status = platforms.ready("healthcare")
    names = {name for kind, name in platforms.children(name="healthcare") if kind in ("Deployment", "StatefulSet")}
    assert {f"healthcare-{each}" for each in [*SERVICES, "api-gateway", "kafka", "postgres", "redis"]} <= names
    assert any("prometheus" in name for name in names)
    assert any("grafana" in name for name in names)
    assert status["version"]["current"] == "latest"
    shown = platforms.kubectl("get", "hcp", "healthcare")
    assert "Ready" in shown
    assert "latest" in shown


@pytest.mark.contract("C04", "C05", "C06", "E01")
def test_an_empty_spec_brings_up_everything(platforms: Platforms) -> None:
    platforms.apply({})
    platforms.ready()
    topics = platforms.cluster.list("kafkatopics", platforms.namespace)
    assert {"patient.created", "patient.updated", "billing-account"} <= {each["spec"]["topicName"] for each in topics}
    for kind in ("kafka", "kafkanodepool", "cluster.postgresql.cnpg.io", "prometheus", "alertmanager"):
        assert platforms.cluster.list(kind, platforms.namespace), kind
    assert len(platforms.cluster.list("kafkausers", platforms.namespace)) == 5
    assert len(platforms.cluster.list("databases.postgresql.cnpg.io", platforms.namespace)) == 5
    assert platforms.cluster.list("prometheusrules", platforms.namespace)
    assert len(platforms.cluster.list("servicemonitors", platforms.namespace)) == 6
    assert [
        condition["status"] for condition in platforms.status()["conditions"] if condition["type"].endswith("Ready")
    ]


@pytest.mark.contract("C04")
def test_an_edit_rolls_only_what_it_changes(platforms: Platforms, operator: Operator) -> None:
    platforms.apply()
    platforms.ready()
    before = platforms.versions()
    platforms.edit({"services": {"billing-service": {"replicas": 2}}})
    platforms.ready()
    after = platforms.versions()
    changed = {key for key in before if before[key] != after.get(key)}
    assert changed == {("Deployment", "care-billing-service")} | {
        key for key in changed if key[0] == "PodDisruptionBudget"
    }
    assert set(after) - set(before) <= {("PodDisruptionBudget", "care-billing-service")}


@pytest.mark.contract("C04")
def test_deletion_with_retain_keeps_data_and_a_new_platform_adopts_it(platforms: Platforms) -> None:
    platforms.apply()
    platforms.ready()
    password = platforms.there("secret", "care-patient-service-db")["data"]["password"]
    platforms.kubectl("delete", "hcp", "care", "--timeout=20s")
    eventually(lambda: not platforms.children(), "end of everything that holds no data", 60)
    assert platforms.there("secret", "care-patient-service-db")["data"]["password"] == password
    assert len(platforms.cluster.list("persistentvolumeclaims", platforms.namespace)) == 3
    platforms.apply()
    platforms.ready()
    assert platforms.there("secret", "care-patient-service-db")["data"]["password"] == password


@pytest.mark.contract("C04")
def test_deletion_with_delete_leaves_nothing(platforms: Platforms) -> None:
    platforms.apply({**BUILTIN, "deletionPolicy": "Delete"})
    platforms.ready()
    platforms.kubectl("delete", "hcp", "care", "--timeout=20s")
    everything = f"{OWNED},secrets"
    eventually(lambda: not platforms.children(everything), "end of everything", 60)
    eventually(lambda: not platforms.cluster.list("persistentvolumeclaims", platforms.namespace), "end of volumes", 60)

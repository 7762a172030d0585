"""Somebody's validating webhook that is down, on a real API server: HTTP 500 for the objects that it is asked about."""

import json

import pytest

from tests.cluster.controlplane import eventually
from tests.operator.platforms import BUILTIN, Platforms
from tests.operator.process import Operator

pytestmark = pytest.mark.contract("Z08")

SAID = "failed calling webhook"


class Webhook:
    """Answers nothing about one object of the test's namespace."""

    def __init__(self, platforms: Platforms) -> None:
        self._platforms = platforms
        self._name = f"broken-{platforms.namespace}"

    def breaks(self, group: str, resource: str, name: str) -> None:
        rule = {"apiGroups": [group], "apiVersions": ["*"], "operations": ["CREATE", "UPDATE"], "resources": [resource]}
        about = {"matchLabels": {"kubernetes.io/metadata.name": self._platforms.namespace}}
        hook = {
            "name": "broken.example.com",
            "clientConfig": {"url": "https://127.0.0.1:9/"},
            "rules": [rule],
            "namespaceSelector": about,
            "matchConditions": [{"name": "one", "expression": f"request.name == '{name}'"}],
            "sideEffects": "None",
            "admissionReviewVersions": ["v1"],
            "failurePolicy": "Fail",
            "timeoutSeconds": 2,
        }
        kind = {"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration"}
        self._platforms.cluster.apply({**kind, "metadata": {"name": self._name}, "webhooks": [hook]})

    def gone(self) -> None:
        self._platforms.kubectl("delete", "validatingwebhookconfiguration", self._name, "--ignore-not-found")


def image(platforms: Platforms, service: str) -> str:
    found = platforms.there("deployment", f"care-{service}")
    return str(found["spec"]["template"]["spec"]["containers"][0]["image"])


def test_an_object_that_a_webhook_keeps_back_silences_nothing(platforms: Platforms, operator: Operator) -> None:
    platforms.apply({**BUILTIN, "images": {"tag": "one"}})
    platforms.ready()
    webhook = Webhook(platforms)
    webhook.breaks("apps", "deployments", "care-billing-service")
    try:
        eventually(lambda: _broken(platforms), "a webhook that the API server asks", 20)
        platforms.edit({"images": {"tag": "two"}})
        told = platforms.holds("Degraded", "True", "ApplyFailed")
        assert told["message"].startswith("Deployment/care-billing-service is refused: ")
        assert SAID in told["message"]
        eventually(lambda: image(platforms, "patient-service").endswith(":two"), "the others", 20)
        assert image(platforms, "billing-service").endswith(":one")
        found = platforms.there("hcp", "care")
        assert found["status"]["observedGeneration"] == found["metadata"]["generation"]
        assert found["status"]["version"]["images"]["billing-service"].endswith(":two"), "the upgrade's clock"
        assert platforms.condition("Ready")["status"] == "False"
        lines = [json.loads(line) for line in operator.log.read_text().splitlines()]
        assert [each for each in lines if SAID in str(each.get("said")) and each.get("status") == 500]
        events = platforms.kubectl("get", "events", "-o", "jsonpath={.items[*].message}")
        assert SAID in events
    finally:
        webhook.gone()
    platforms.ready()
    assert image(platforms, "billing-service").endswith(":two")


def _broken(platforms: Platforms) -> bool:
    try:
        platforms.kubectl("annotate", "deployment", "care-billing-service", "asked=yes", "--overwrite")
    except Exception as refusal:
        return SAID in str(refusal)
    return False


def test_a_new_platform_comes_up_around_an_object_that_a_webhook_keeps_back(platforms: Platforms) -> None:
    webhook = Webhook(platforms)
    webhook.breaks("", "configmaps", "care-billing-service")
    try:
        platforms.apply()
        eventually(lambda: SAID in platforms.condition("Degraded")["message"], "a status that says so", 60)
        eventually(lambda: platforms.get("deployment", "care-patient-service"), "the others", 60)
        assert platforms.get("configmap", "care-billing-service") is None
    finally:
        webhook.gone()
    platforms.ready()


def test_a_status_that_a_webhook_keeps_back_is_written_when_it_is_gone(
    platforms: Platforms, operator: Operator
) -> None:
    platforms.apply()
    platforms.ready()
    webhook = Webhook(platforms)
    webhook.breaks("healthcareplatform.io", "healthcareplatforms/status", "care")
    try:
        platforms.edit({"images": {"tag": "two"}})
        eventually(lambda: image(platforms, "billing-service").endswith(":two"), "what the spec asks for", 40)
        eventually(lambda: SAID in operator.log.read_text(), "a line in the log", 30)
    finally:
        webhook.gone()
    platforms.ready()

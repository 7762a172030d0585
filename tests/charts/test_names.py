"""The names that charts give, and what selects what."""

from typing import Any

import pytest
from hpctl.layout import PORTS

from tests.charts.rendering import (
    EVERYTHING,
    OPERATOR,
    RS256,
    SERVICES,
    combinations,
    of,
    render,
)


@pytest.mark.contract("A16", "A18", "C03")
@pytest.mark.parametrize("service", SERVICES)
def test_a_lone_install_uses_the_documented_names(service: str) -> None:
    manifests = render(service, name=service.removesuffix("-service").removeprefix("api-"))
    [config] = of(manifests, "ConfigMap")
    own = of(manifests, "Service")[0]
    assert own["metadata"]["name"] == service
    told = config["data"]
    if service != "api-gateway":
        assert told["DATABASE_URL"] == f"postgresql://{service}-db:5432/db"
        assert told["KAFKA_BOOTSTRAP_SERVERS"] == "kafka:9092"
    if "REDIS_HOST" in told:
        assert told["REDIS_HOST"] == "redis"
    variable = (
        "BILLING_SERVICE_HTTP_PORT" if service == "billing-service" else f"{service.upper().replace('-', '_')}_PORT"
    )
    [port] = [each["port"] for each in own["spec"]["ports"] if each["name"] == "http"]
    assert port == int(told[variable]) == PORTS[variable]


def test_two_releases_fit_in_one_namespace() -> None:
    def names(chart: str, values: dict[str, Any], release: str) -> set[tuple[str, str]]:
        return {(each["kind"], each["metadata"]["name"]) for each in render(chart, values, name=release)}

    cases = [*combinations(), *((service, EVERYTHING) for service in SERVICES)]
    for chart, values in cases:
        if chart != OPERATOR:  # one per cluster
            assert not names(chart, values, "one") & names(chart, values, "two"), chart
            named = [{**values, "fullnameOverride": f"{platform}-{chart}"} for platform in ("one", "two")]
            assert not names(chart, named[0], "same") & names(chart, named[1], "same"), chart


@pytest.mark.contract("A16")
def test_lone_infrastructure_has_the_names_that_the_services_expect() -> None:
    def services(chart: str, **values: Any) -> set[str]:
        return {each["metadata"]["name"] for each in of(render(chart, values, name=chart), "Service")}

    databases = {f"{service}-db" for service in SERVICES if service != "api-gateway"}
    assert "redis" in services("redis")
    assert "kafka" in services("kafka")
    assert {"prometheus", "grafana"} <= services("monitoring")
    assert databases <= services("postgres")


def test_a_pod_selects_no_other_pod() -> None:
    """A Service, budget or policy selects the pods of its own workload, and a helm test's pod is nobody's."""
    for service in SERVICES:
        manifests = render(service, RS256)
        [deployment] = of(manifests, "Deployment")
        labels = deployment["spec"]["template"]["metadata"]["labels"]
        [test] = of(manifests, "Job")
        for kind in ("Service", "PodDisruptionBudget", "NetworkPolicy"):
            for each in of(manifests, kind):
                if "helm.sh/hook" in each["metadata"].get("annotations", {}):
                    continue
                spec = each["spec"]
                wanted = spec.get("podSelector", spec.get("selector", {}))
                wanted = wanted.get("matchLabels", wanted)
                assert wanted.items() <= labels.items()
                assert not wanted.items() <= test["spec"]["template"]["metadata"]["labels"].items()

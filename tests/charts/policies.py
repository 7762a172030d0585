"""What NetworkPolicies let through, as Kubernetes reads them: both ends have to agree."""

from typing import Any

from tests.charts.observed import Connection
from tests.charts.rendering import INFRASTRUCTURE, SERVICES, Manifest, of, render

COMPONENT = "healthcareplatform.io/component"
NAMES_ONLY = 53


def allowed() -> set[Connection]:
    """Between the platform's own pods: what the sender's policy lets out and the receiver's lets in."""
    policies = _policies()
    out = {each for name, policy in policies.items() for each in _peers(name, policy["spec"]["egress"], "to")}
    into = {
        (sender, name, port)
        for name, policy in policies.items()
        for name, sender, port in _peers(name, policy["spec"].get("ingress"), "from")
    }
    return out & into


def _policies() -> dict[str, Manifest]:
    """One policy for each component, all of it ours and built in."""
    found = {}
    for service in SERVICES:
        manifests = render(service, {"networkPolicy": {"external": []}}, name=service)
        found[service] = next(each for each in of(manifests, "NetworkPolicy") if each["metadata"]["name"] == service)
    for chart in INFRASTRUCTURE:
        for policy in of(render(chart, name=chart), "NetworkPolicy"):
            if "annotations" not in policy["metadata"]:  # those of `helm test` come and go with it
                found[policy["metadata"]["name"]] = policy
    return found


def _peers(name: str, rules: list[dict[str, Any]] | None, key: str) -> set[Connection]:
    """(this component, the other one, port) for every rule; one that names no pod is a client's or a name server's."""
    found = set()
    for rule in rules or []:
        for peer in rule.get(key, []):
            other = peer["podSelector"]["matchLabels"][COMPONENT]
            found |= {(name, other, port["port"]) for port in rule["ports"]}
        if key not in rule:
            assert name == "api-gateway" or {port["port"] for port in rule["ports"]} == {NAMES_ONLY}, rule
    return found

"""What a Gateway API 1.6 implementation says about a Gateway and the routes that ask to be attached to it."""

from tests.cluster.standin.world import Judge, Manifest, Report, World, condition

GROUP = "gateway.networking.k8s.io"
CONTROLLER = "healthcareplatform.io/stand-in"


def gateway(resource: Manifest, world: World) -> Report:
    """Accepted and programmed, with an address."""
    del world
    conditions = _observed(
        resource, [condition("Accepted", True, "Accepted"), condition("Programmed", True, "Programmed")]
    )
    return Report({"addresses": [{"type": "IPAddress", "value": "192.0.2.1"}], "conditions": conditions})


def route(resource: Manifest, world: World) -> Report:
    """One verdict for each parent that exists; the others get no word."""
    parents = [
        verdict for parent in resource["spec"].get("parentRefs", []) if (verdict := _parent(resource, parent, world))
    ]
    return Report({"parents": parents} if parents else None)


def failed(kind: str, reason: str) -> Manifest:
    """How a refused Gateway looks; a route's verdicts belong to its parents."""
    if kind != "Gateway":
        return {}
    return {
        "conditions": [
            condition("Accepted", False, "Invalid", reason),
            condition("Programmed", False, "Invalid", reason),
        ]
    }


def _parent(resource: Manifest, parent: Manifest, world: World) -> Manifest | None:
    namespace = parent.get("namespace", resource["metadata"]["namespace"])
    found = world.find(f"Gateway.{GROUP}", namespace, parent["name"])
    if found is None:
        return None
    section = parent.get("sectionName")
    known = section is None or section in {listener["name"] for listener in found["spec"]["listeners"]}
    accepted = condition("Accepted", known, "Accepted" if known else "NoMatchingParent", "listeners were compared")
    missing = _missing(resource, world)
    reason = f"no Service {', '.join(missing)}" if missing else "every Service is there"
    resolved = condition("ResolvedRefs", not missing, "BackendNotFound" if missing else "ResolvedRefs", reason)
    return {"parentRef": parent, "controllerName": CONTROLLER, "conditions": _observed(resource, [accepted, resolved])}


def _missing(resource: Manifest, world: World) -> list[str]:
    namespace = resource["metadata"]["namespace"]
    backends = [
        backend["name"] for rule in resource["spec"].get("rules", []) for backend in rule.get("backendRefs", [])
    ]
    return sorted({name for name in backends if world.find("Service", namespace, name) is None})


def _observed(resource: Manifest, conditions: list[Manifest]) -> list[Manifest]:
    generation = resource["metadata"]["generation"]
    return [{"message": "", **found, "observedGeneration": generation} for found in conditions]


def finalizer(resource: Manifest, world: World, *, clinging: bool) -> None:
    """None."""
    del resource, world, clinging


JUDGES: dict[str, Judge] = {f"Gateway.{GROUP}": gateway, f"HTTPRoute.{GROUP}": route}

"""The schema of a platform's status, as `healthcare_operator.status` fills it in."""

from typing import Any

Schema = dict[str, Any]


def _text(description: str, **more: Any) -> Schema:
    return {"type": "string", "description": description, **more}


def _texts(description: str) -> Schema:
    """Written as a whole: merged key by key, a map that loses its last key becomes null, which no schema takes."""
    map_of_text = {"type": "object", "additionalProperties": {"type": "string"}, "x-kubernetes-map-type": "atomic"}
    return {**map_of_text, "description": description}


def _object(description: str, **properties: Schema) -> Schema:
    return {"type": "object", "description": description, "properties": properties}


def _list(description: str, item: Schema) -> Schema:
    return {"type": "array", "description": description, "items": item}


def status_schema() -> Schema:
    """OpenAPI v3, structural, nothing open."""
    return _object(
        "What the operator saw and did.",
        observedGeneration={
            "type": "integer",
            "format": "int64",
            "description": "The metadata.generation that this status speaks of.",
        },
        phase=_text("Installing, Ready, Updating, Upgrading, Degraded, Stalled, Suspended: the conditions in a word."),
        ready=_text("How many components are ready, of how many, such as 9/10."),
        version=_version(),
        conditions=_conditions(),
        components=_components(),
        endpoints=_texts("Where the gateway and the token service answer inside the cluster, by service."),
        inventory=_inventory(),
        history=_history(),
    )


def _version() -> Schema:
    return _object(
        "Which images run, which are wanted, which last worked.",
        current=_text("The tag that runs; empty until it is ready."),
        target=_text("The tag that the spec asks for."),
        images=_texts("The images that are being tried or run, by service."),
        lastSuccessfulImages=_texts("The images that were all ready last, by service: a rollback returns to them."),
        failedImages=_texts("The images that were given up, by service; another attempt needs others."),
        failure=_text("Why those did not come up, as the kubelet said it."),
        kafka=_text("The newest minor version of the built-in Kafka that was ready: it does not go back behind it."),
        since=_text("When the present attempt began, in seconds of Unix time."),
    )


def _conditions() -> Schema:
    condition = _object(
        "One thing that holds or does not.",
        type=_text("What it speaks of, such as Ready or KafkaReady."),
        status=_text("Whether it holds.", enum=["True", "False", "Unknown"]),
        reason=_text("Why, as one word for programs."),
        message=_text("Why, as one sentence for people."),
        observedGeneration={
            "type": "integer",
            "format": "int64",
            "description": "The metadata.generation that it speaks of.",
        },
        lastTransitionTime=_text("When its status changed last.", format="date-time"),
    )
    condition["required"] = ["type", "status", "reason", "message", "lastTransitionTime"]
    keyed = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]}
    return _list("What holds; docs/kubernetes.md says what to do about each.", condition) | keyed


def _components() -> Schema:
    component = _object(
        "One component.",
        name=_text("Its name, such as kafka or patient-service."),
        ready={"type": "boolean", "description": "Whether all of its objects are ready."},
        message=_text("The first object that is not, and why."),
    )
    return _list("The parts of the platform and whether each is ready.", component)


def _inventory() -> Schema:
    entry = _object(
        "One object, in the platform's namespace.",
        apiVersion=_text("Its API version."),
        kind=_text("Its kind, such as Deployment."),
        name=_text("Its name in that namespace."),
    )
    return _list("Every object that belongs to the platform: what is no longer wanted is found by it.", entry)


def _history() -> Schema:
    entry = _object(
        "One upgrade.",
        at=_text("When it ended.", format="date-time"),
        event=_text("Succeeded or RolledBack."),
        tag=_text("The tag that was tried."),
    )
    return _list("The last ten upgrades.", entry)

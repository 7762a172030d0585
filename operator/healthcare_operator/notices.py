"""What runs, and yet is not as it was asked for until a person, or another operator, has done something; pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from healthcare_operator import kafka_keys
from healthcare_operator.platform import Manifest, Ref
from healthcare_operator.readiness import lacks_replicas

Notice = tuple[str, str]
"""One word for programs, one sentence for people."""


def notices(wanted: Mapping[str, Sequence[Manifest]], observed: Mapping[Ref, Manifest]) -> list[Notice]:
    """All that there is to say of the objects as they are."""
    live = [observed[ref] for found in wanted.values() for ref in map(Ref.of, found) if ref in observed]
    kafkas = [each for found in wanted.values() for each in found if each["kind"] == "Kafka"]
    return [*_topics(live), *_refused(live), *_keys(kafkas)]


def _topics(live: Sequence[Manifest]) -> Iterator[Notice]:
    topics = [each for each in live if each["kind"] == "KafkaTopic"]
    lacking = [each for each in topics if lacks_replicas(each)]
    if lacking:
        first, count = lacking[0]["spec"].get("topicName", ""), lacking[0]["spec"].get("replicas")
        yield (
            "TopicReplication",
            f"{len(lacking)} of {len(topics)} topics ({first} first) do not have the {count} replicas that"
            " kafka.replicas asks for, so a broker that is lost takes their messages along: set kafka.cruiseControl to"
            " true, or reassign their partitions by kafka-reassign-partitions.sh",
        )
    moving = [each for each in topics if each.get("status", {}).get("replicasChange")]
    if moving:
        said = next(filter(None, (_change(each).get("message") for each in moving)), "")
        yield (
            "TopicReplication",
            f"Cruise Control still has to give {len(moving)} of {len(topics)} topics their replicas"
            + (f"; it says: {said}" if said else ""),
        )


def _keys(kafkas: Sequence[Manifest]) -> Iterator[Notice]:
    for kafka in kafkas:
        for key in sorted(filter(kafka_keys.unknown, kafka["spec"]["kafka"].get("config", {}))):
            meant = f": {near} was meant, perhaps" if (near := kafka_keys.nearest(key)) else ""
            yield "UnknownKafkaKey", f"kafka.config.{key} is no key that Kafka 4.3 knows, so it has no effect{meant}"


def _change(topic: Manifest) -> dict[str, Any]:
    found: dict[str, Any] = topic["status"]["replicasChange"]
    return found


def _refused(live: Sequence[Manifest]) -> Iterator[Notice]:
    """Monitors, rules and routes that the one whom they are for has refused."""
    for each in live:
        status = each.get("status", {})
        for told in (*status.get("bindings", []), *status.get("parents", [])):
            for condition in told.get("conditions", []):
                refused = condition["type"] == "Accepted" and condition["status"] == "False"
                if refused and condition.get("observedGeneration", 0) >= each["metadata"].get("generation", 0):
                    why = condition.get("message") or condition.get("reason", "")
                    yield "Refused", f"{Ref.of(each)} is not accepted: {why}"

"""The built-in Kafka goes forward, and back only to where it never left: its files are of the newest version it ran."""

from typing import Any

import pytest
from healthcare_operator import kafka_version
from healthcare_operator.kafka_version import GoneBack
from healthcare_operator.platform import Ref

from tests.cluster.controlplane import eventually
from tests.operator.platforms import BUILTIN, Platforms


def image(platforms: Platforms) -> str:
    found: str = platforms.there("statefulset", "care-kafka")["spec"]["template"]["spec"]["containers"][0]["image"]
    return found


def runs(platforms: Platforms, version: str) -> None:
    """Ask for a version, and wait until it is the one that was ready."""
    platforms.edit({"kafka": {"version": version}})
    minor = version.rpartition(".")[0]
    eventually(lambda: platforms.status()["version"].get("kafka") == minor, f"Kafka {minor}", 90)
    platforms.ready()


@pytest.mark.contract("C04")
def test_an_older_kafka_is_refused_and_the_newer_one_runs_on(platforms: Platforms) -> None:
    platforms.apply({**BUILTIN, "kafka": {"mode": "builtin", "version": "4.1.0"}})
    platforms.ready()
    runs(platforms, "4.2.1")
    before = platforms.versions()
    for older in ("4.1.2", None):  # left out, it is the chart's 4.1.0
        platforms.edit({"kafka": {"version": older}})
        told = platforms.holds("Stalled", "True", "InvalidSpec")["message"]
        assert told == "the built-in Kafka cannot go back from 4.2 to 4.1: its files are of the newer version."
        assert platforms.versions() == before
        assert image(platforms).endswith(":4.2.1")
        platforms.edit({"kafka": {"version": "4.2.1"}})
        platforms.ready()
    platforms.edit({"kafka": {"version": "4.2.0"}})
    eventually(lambda: image(platforms).endswith(":4.2.0"), "the older patch", 60)
    platforms.ready()


def test_a_version_that_never_came_up_is_taken_back(platforms: Platforms) -> None:
    platforms.apply({**BUILTIN, "kafka": {"mode": "builtin", "version": "4.1.0"}})
    platforms.ready()
    broken = {"image": {"repository": "kafka-broken", "tag": "41.0.0"}}
    platforms.edit({"kafka": {"values": broken}})
    platforms.holds("KafkaReady", "False")
    platforms.edit({"kafka": {"values": {"image": None}}})
    eventually(lambda: image(platforms).endswith("kafka:4.1.0"), "the one before", 60)
    assert platforms.status()["version"]["kafka"] == "4.1"


def stateful_set(image: str, *, ready: bool = True) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": "care-kafka", "namespace": "here", "generation": 1},
        "spec": {"template": {"spec": {"containers": [{"image": image}]}}},
        "status": {"observedGeneration": 1, "readyReplicas": int(ready), "updatedReplicas": 1},
    }


@pytest.mark.parametrize(
    ("before", "image", "ready", "newest"),
    [
        ("", "apache/kafka:4.1.0", True, "4.1"),
        ("", "apache/kafka:4.1.0", False, ""),
        ("4.9", "apache/kafka:4.10.0", True, "4.10"),
        ("4.10", "apache/kafka:4.9.0", True, "4.10"),
        ("4.1", "localhost:5000/kafka:v4.2.0-jre@sha256:0a", True, "4.2"),
        ("4.1", "localhost:5000/kafka", True, "4.1"),
        ("4.1", "apache/kafka:latest", True, "4.1"),
    ],
)
def test_the_newest_version_that_was_ready_is_remembered(before: str, image: str, ready: bool, newest: str) -> None:
    live = stateful_set(image, ready=ready)
    assert kafka_version.newest(before, [live], {Ref.of(live): live}) == newest
    assert kafka_version.newest(before, [live], {}) == before


@pytest.mark.parametrize(
    ("ever", "image", "refused"),
    [
        ("4.10", "apache/kafka:4.9.0", True),
        ("4.1", "apache/kafka:3.9.1", True),
        ("4.9", "apache/kafka:4.10.0", False),
        ("4.1", "apache/kafka:4.1.0", False),
        ("4.1", "apache/kafka:latest", False),
        ("", "apache/kafka:4.1.0", False),
    ],
)
def test_only_an_older_minor_version_is_refused(ever: str, image: str, refused: bool) -> None:
    try:
        kafka_version.check(ever, [stateful_set(image)])
    except GoneBack:
        assert refused
    else:
        assert not refused

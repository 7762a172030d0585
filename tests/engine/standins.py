"""Stand-ins for the official images: the real server programs under the tags that docker-compose.yml asks for."""

import os
import shutil
import tempfile
from pathlib import Path

import yaml
from hpctl.embedded.jars import kafka_jars
from hpctl.embedded.kafka import find_java
from hpctl.layout import ROOT

from tests.engine.base import STANDINS, ensure_debian
from tests.engine.daemon import Engine
from tests.engine.programs import jaeger, kafka_exporter

# The compose service → the stand-in's stage. What has none can be had nowhere but from its registry.
STAGES = {
    "patient-service-db": "postgres",
    "redis": "valkey",
    "kafka": "kafka",
    "prometheus": "prometheus",
    "alertmanager": "alertmanager",
    "redis-exporter": "redis-exporter",
    "postgres-exporter": "postgres-exporter",
    "node-exporter": "node-exporter",
    "kafka-exporter": "kafka-exporter",
    "jaeger": "jaeger",
    "localstack": "localstack",
}
PROGRAMS = {"kafka-exporter": kafka_exporter, "jaeger": jaeger}
UNPROVEN = ("grafana",)


def image_of(service: str) -> str:
    """The image that docker-compose.yml pins for a service."""
    return str(yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"][service]["image"])


def build_standins(engine: Engine, *services: str) -> None:
    """Build the stand-in of each of these compose services, all without names."""
    ensure_debian(engine)
    with tempfile.TemporaryDirectory(prefix="standins-") as directory:
        context = Path(directory) / "context"
        shutil.copytree(STANDINS, context)
        shutil.copytree(find_java().parents[1], context / "java")
        (context / "libs").mkdir()
        for jar in kafka_jars():
            shutil.copy2(jar, context / "libs")
        (context / "programs").mkdir()
        for service in services or tuple(STAGES):
            if service in PROGRAMS:
                shutil.copy2(PROGRAMS[service](), context / "programs" / service)
            words = ["--network=host", f"--target={STAGES[service]}", f"--tag={image_of(service)}"]
            certificates = os.environ.get("SSL_CERT_FILE") or "/etc/ssl/certs/ca-certificates.crt"
            engine.docker("build", *words, f"--secret=id=ca,src={certificates}", context, timeout=900)

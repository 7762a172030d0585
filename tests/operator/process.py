"""The operator as a process of its own, with its own ServiceAccount's token and nothing more."""

import os
import re
import secrets
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from hpctl.embedded.process import Server

from tests.cluster import audit, charts
from tests.cluster.components import fetch
from tests.cluster.controlplane import ControlPlane, Manifest, kubeconfig

ACCOUNT = "healthcare-operator"
LEASE_SECONDS = 3


class Operator(Server):
    """`python -m healthcare_operator` against a cluster; `kill` is SIGKILL, `start` starts it again."""

    name = "operator"
    start_within = 60.0

    def __init__(self, cluster: ControlPlane, directory: Path) -> None:
        super().__init__(directory)
        self.cluster = cluster
        self.namespace = f"operator-{secrets.token_hex(4)}"

    @property
    def user(self) -> str:
        """Who it is to the API server."""
        return f"system:serviceaccount:{self.namespace}:{ACCOUNT}"

    @property
    def chart(self) -> list[Manifest]:
        """What its chart installs."""
        return charts.render("healthcare-operator", self.namespace)

    @property
    def rules(self) -> list[dict[str, Any]]:
        """What its chart allows it."""
        return [rule for each in self.chart if each["kind"] == "ClusterRole" for rule in each["rules"]]

    def denied(self) -> list[audit.Request]:
        """What it was refused, ever, by the API server's own record."""
        return [each for each in audit.requests(self.cluster.apiserver.audit, self.user) if each.denied]

    def prepare(self) -> None:
        config = self.directory / "kubeconfig"
        if config.exists():
            return
        self.cluster.kubectl("create", "namespace", self.namespace)
        self.cluster.apply(*self.chart, namespace=self.namespace)
        self.cluster.established(["healthcareplatforms.healthcareplatform.io"])
        token = self.cluster.kubectl("create", "token", ACCOUNT, "--namespace", self.namespace, "--duration=2h")
        config.write_text(yaml.safe_dump(kubeconfig(self.cluster.server, self.cluster.ca, token.strip())))

    def command(self) -> list[str]:
        return [sys.executable, "-m", "healthcare_operator"]

    def environment(self) -> Mapping[str, str]:
        own = {
            "KUBECONFIG": str(self.directory / "kubeconfig"),
            "HOST": "127.0.0.1",
            "PORT": str(self.port),
            "POD_NAMESPACE": self.namespace,
            "LEASE_SECONDS": str(LEASE_SECONDS),
            "RESYNC_SECONDS": "30",
        }
        return os.environ | own

    def answers(self) -> bool:
        return (
            '"UP"' in fetch(f"http://127.0.0.1:{self.port}/healthz") and self.metric("healthcare_operator_leader") == 1
        )

    def metric(self, name: str) -> float:
        """The sum of a metric over its labels."""
        page = fetch(f"http://127.0.0.1:{self.port}/metrics")
        return sum(float(value) for value in re.findall(rf"^{name}(?:{{[^}}]*}})? (\S+)$", page, re.MULTILINE))

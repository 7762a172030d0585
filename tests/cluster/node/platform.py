"""The platform's services on the node, each installed by its own chart beside infrastructure that is not ours."""

import time
from dataclasses import dataclass, field
from typing import Any

import httpx2 as httpx
from hpctl.layout import SERVICES
from hpctl.walkthrough import walk

from tests.cluster import charts
from tests.cluster.node import surroundings
from tests.cluster.node.node import NodeCluster

NAMES = [service.name for service in SERVICES]
SECRET = "a-secret-of-the-tests-of-more-than-32-bytes"


@dataclass
class Platform:
    """The six services in one namespace; `gateway` is where the gateway's Service answers this machine."""

    cluster: NodeCluster
    namespace: str
    replicas: int = 1
    values: dict[str, dict[str, Any]] = field(default_factory=dict)

    def install(self, *names: str, **more: Any) -> None:
        """Apply the charts of these services, strict, and wait until each is rolled out."""
        for name in names:
            own = surroundings.values(name) | {"replicas": self.replicas, "auth": {"existingSecret": "tokens"}} | more
            self.values[name] = own
            self.cluster.apply(*charts.render(name, self.namespace, own), namespace=self.namespace)
        for name in names:
            self.rolled_out(name)

    def rolled_out(self, name: str, within: int = 180) -> None:
        """The Deployment's newest pods serve, and the older ones are gone from its count."""
        words = ("rollout", "status", f"deployment/{name}", "--namespace", self.namespace, f"--timeout={within}s")
        self.cluster.kubectl(*words, timeout=within + 20)

    @property
    def gateway(self) -> str:
        service = self.cluster.get("service", "api-gateway", self.namespace)
        assert service, "the gateway has no Service"
        return f"http://{service['spec']['clusterIP']}:{service['spec']['ports'][0]['port']}"

    def walk(self, within: float = 60) -> None:
        """The walkthrough, through the gateway; what is still coming up may refuse until the deadline."""
        deadline = time.monotonic() + within
        while True:
            try:
                return walk(self)  # type: ignore[arg-type]
            except Exception:
                if time.monotonic() > deadline:
                    raise
                time.sleep(1)

    def client(self) -> httpx.Client:
        """A client that is logged in."""
        login = {"email": "testuser@test.com", "password": "password123"}
        answer = httpx.post(f"{self.gateway}/auth/login", json=login, timeout=20)
        assert answer.status_code == 200, answer.text
        bearer = {"Authorization": f"Bearer {answer.json()['token']}"}
        return httpx.Client(base_url=self.gateway, timeout=20, headers=bearer)

    def pods(self, name: str) -> dict[str, dict[str, Any]]:
        """A service's pods by their uid."""
        found = self.cluster.list("pods", self.namespace, f"app.kubernetes.io/name={name}")
        return {pod["metadata"]["uid"]: pod for pod in found}


def bring_up(cluster: NodeCluster, namespace: str) -> Platform:
    """Neighbours first, then the services."""
    surroundings.bring_up(cluster, namespace)
    tokens = ("create", "secret", "generic", "tokens", f"--from-literal=jwt-secret={SECRET}", "-n", namespace)
    cluster.kubectl(*tokens)
    platform = Platform(cluster, namespace)
    platform.install(*NAMES)
    return platform

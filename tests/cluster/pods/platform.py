"""The platform on the node, brought up by its charts alone, as a user without the operator would do it."""

import secrets
import time
from dataclasses import dataclass
from typing import Any

import httpx2 as httpx
from hpctl.layout import SERVICES
from hpctl.walkthrough import walk

from tests.cluster.helm import Helm
from tests.cluster.node.node import Node

NAMES = [service.name for service in SERVICES]
SERVERS = ("kafka", "postgres", "redis")
MONITORING = "monitoring"
RELEASES = (*SERVERS, MONITORING, *NAMES)


@dataclass
class Platform:
    """The six services in one namespace; `gateway` is where the gateway's Service answers this machine.

    `prefix` stands before the names of its objects: nothing by the charts alone, `<platform>-` by the operator.
    """

    cluster: Node
    namespace: str
    prefix: str = ""

    def rolled_out(self, workload: str, within: int = 240) -> None:
        """The workload's newest pods serve, and the older ones are gone from its count."""
        words = ("rollout", "status", workload, "--namespace", self.namespace, f"--timeout={within}s")
        self.cluster.kubectl(*words, timeout=within + 20)

    @property
    def gateway(self) -> str:
        return self.cluster.door(f"{self.prefix}api-gateway", self.namespace)

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


def bring_up(cluster: Node, namespace: str) -> Platform:
    """The built-in servers and then the services, all by `helm install`, on generated credentials."""
    databases = [name.removesuffix("-service") for name in NAMES if name != "api-gateway"]
    logins = [_secret(f"{name}-service-db", _login(name)) for name in databases]
    superuser = _secret("postgres-superuser", {"password": secrets.token_hex(16)})
    tokens = _secret("tokens", {"jwt-secret": secrets.token_hex(32)})
    cluster.apply(*logins, superuser, tokens, namespace=namespace)
    platform, helm = Platform(cluster, namespace), Helm(cluster, namespace)
    for chart in (*SERVERS, MONITORING):
        helm.install(chart, chart)
    for chart in SERVERS:
        platform.rolled_out(f"statefulset/{chart}")
    for name in NAMES:
        helm.install(name, name, _settings(name))
    for name in NAMES:
        platform.rolled_out(f"deployment/{name}")
    return platform


def _settings(name: str) -> dict[str, Any]:
    """What a service's chart is told beyond its defaults."""
    small = {"resources": {"requests": {"cpu": "50m"}}}  # on kind two CPUs would be too few for the defaults
    tokens = {"auth": {"existingSecret": "tokens"}} | small
    if name == "api-gateway":
        return tokens | {"config": {"RATE_LIMITS": "default=5000/10000,auth=500/500"}}
    demo = {"env": {"SQL_INIT_MODE": "always"}} if name == "auth-service" else {}
    return tokens | demo | {"database": {"existingSecret": f"{name}-db"}}


def _login(name: str) -> dict[str, str]:
    return {"username": name, "password": secrets.token_hex(16), "host": "postgres", "port": "5432", "dbname": name}


def _secret(name: str, data: dict[str, str]) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data}

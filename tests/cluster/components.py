"""The four processes of a control plane, each a `Server`: it starts, dies with pytest, and keeps its port and data."""

import json
import os
import signal
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from hpctl.embedded.process import Server, dying_with_parent, free_port

from tests.cluster.audit import POLICY

SERVICE_RANGE = "10.96.0.0/16"


class Component(Server):
    """One component, run from the binary that is all of them."""

    start_within = 120.0  # on two busy cores; alone it is three seconds

    def __init__(self, binary: Path, directory: Path, host: str = "127.0.0.1") -> None:
        super().__init__(directory)
        self.binary = binary
        self.host = host

    def prepare(self) -> None:
        """The directory is all that a component needs of its own."""

    def command(self) -> list[str]:
        flags = (f"--{flag}={value}" for flag, value in self.flags().items())
        return dying_with_parent([str(self.binary), self.name, *flags])

    def environment(self) -> Mapping[str, str]:
        """Memory is there, cores are not: Go collects a third as often."""
        return os.environ | {"GOGC": "300"}

    def flags(self) -> dict[str, str]:
        raise NotImplementedError

    def answers(self) -> bool:
        return fetch(f"{self.address()}", trust=self.trust()) == "ok"

    def address(self) -> str:
        return f"https://127.0.0.1:{self.port}/healthz"

    def trust(self) -> Path | None:
        return None


class Etcd(Component):
    """The store. Without fsync, because a test's cluster has no tomorrow."""

    name = "etcd"
    polite = signal.SIGINT

    def __init__(self, binary: Path, directory: Path) -> None:
        super().__init__(binary, directory)
        self.peer_port = free_port()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def flags(self) -> dict[str, str]:
        peer = f"http://127.0.0.1:{self.peer_port}"
        return {
            "data-dir": str(self.directory / "etcd"),
            "listen-client-urls": self.url,
            "advertise-client-urls": self.url,
            "listen-peer-urls": peer,
            "initial-advertise-peer-urls": peer,
            "initial-cluster": f"default={peer}",
            "unsafe-no-fsync": "true",
            "log-level": "warn",
        }

    def answers(self) -> bool:
        return '"health":"true"' in fetch(f"{self.url}/health")


class ApiServer(Component):
    """The door. `token` is its administrator's."""

    name = "kube-apiserver"

    def __init__(self, binary: Path, directory: Path, etcd: str, token: str, host: str) -> None:
        super().__init__(binary, directory, host)
        self.etcd = etcd
        self.token = token
        self.certificate = directory / "certificates" / "apiserver.crt"
        self.audit = directory / "audit.log"

    def prepare(self) -> None:
        (self.directory / "audit.json").write_text(json.dumps(POLICY))

    def flags(self) -> dict[str, str]:
        key = str(self.directory / "service-accounts.key")
        flags = {
            "etcd-servers": self.etcd,
            "cert-dir": str(self.certificate.parent),
            "bind-address": self.host,
            "advertise-address": self.host,
            "secure-port": str(self.port),
            "service-cluster-ip-range": SERVICE_RANGE,
            "allow-privileged": "true",
            "kubelet-preferred-address-types": "InternalIP",
            "authorization-mode": "Node,RBAC",
            "service-account-issuer": "https://kubernetes.default.svc",
            "service-account-key-file": key,
            "service-account-signing-key-file": key,
            "token-auth-file": str(self.directory / "tokens.csv"),
            "audit-policy-file": str(self.directory / "audit.json"),
            "audit-log-path": str(self.audit),
            "shutdown-delay-duration": "0s",
        }
        if self.host == "127.0.0.1":  # pods could not reach it there anyway, and the API refuses loopback endpoints
            flags["endpoint-reconciler-type"] = "none"
        return flags

    def address(self) -> str:
        return f"https://{self.host}:{self.port}/readyz"

    def trust(self) -> Path | None:
        return self.certificate


class ControllerManager(Component):
    """The controllers: garbage collection, Deployments, namespaces, service accounts and the rest."""

    name = "kube-controller-manager"

    def flags(self) -> dict[str, str]:
        return {
            "kubeconfig": str(self.directory / "kubeconfig"),
            "secure-port": str(self.port),
            "bind-address": "127.0.0.1",
            "use-service-account-credentials": "true",
            "service-account-private-key-file": str(self.directory / "service-accounts.key"),
            "root-ca-file": str(self.directory / "certificates" / "apiserver.crt"),
            "leader-elect": "false",
            "node-monitor-grace-period": "40s",
        }


class Scheduler(Component):
    """Gives pods their node."""

    name = "kube-scheduler"

    def flags(self) -> dict[str, str]:
        return {
            "kubeconfig": str(self.directory / "kubeconfig"),
            "secure-port": str(self.port),
            "bind-address": "127.0.0.1",
            "leader-elect": "false",
        }


def fetch(url: str, trust: Path | None = None, token: str = "") -> str:
    """A page's text, whatever its status. A component's own certificate is taken as it is on loopback."""
    context = ssl.create_default_context(cafile=str(trust)) if trust and trust.exists() else _any_certificate()
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"} if token else {})
    try:
        with urllib.request.urlopen(request, timeout=5, context=context) as answer:
            return answer.read().decode()
    except urllib.error.HTTPError as refusal:
        with refusal:
            return refusal.read().decode()


def _any_certificate() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context

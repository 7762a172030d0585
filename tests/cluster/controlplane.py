"""A Kubernetes control plane of plain processes: etcd, API server, controller manager and scheduler, on free ports.

It needs no root, no image and no pod. What is kept between starts is in its directory; every process dies with pytest.
"""

import secrets
from pathlib import Path

import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.cluster import build
from tests.cluster.client import Client, KubectlError, Manifest, eventually
from tests.cluster.components import ApiServer, Component, ControllerManager, Etcd, Scheduler
from tests.cluster.reader import Reader

__all__ = ["ControlPlane", "KubectlError", "Manifest", "eventually", "kubeconfig"]


class ControlPlane(Client):
    """A running control plane. `kubeconfig`, `server`, `token` and `ca` are the administrator's way in."""

    def __init__(self, directory: Path, host: str = "127.0.0.1") -> None:
        self.binary = build.kubernetes()
        super().__init__(directory, str(self.binary), "kubectl")
        self.token = secrets.token_hex(16)
        self.etcd = Etcd(self.binary, directory)
        self.apiserver = ApiServer(self.binary, directory, self.etcd.url, self.token, host)
        self.controllers: list[Component] = [
            ControllerManager(self.binary, directory),
            Scheduler(self.binary, directory),
        ]
        self.server = f"https://{host}:{self.apiserver.port}"
        self.ca = self.apiserver.certificate
        self._reader = Reader(self.server, self.ca, self.token)

    def get(self, kind: str, name: str, namespace: str = "default") -> Manifest | None:
        """An object, or nothing; read directly: a kubectl per look takes longer than what is waited for."""
        return self._reader.get(kind, name, namespace)

    def list(self, kind: str, namespace: str | None = None, selector: str = "") -> list[Manifest]:
        """Every object of a kind, of one namespace or of all."""
        return self._reader.all(kind, namespace, selector)

    def start(self) -> None:
        """Start what does not run; returns when a service account can be used in the default namespace."""
        self._prepare()
        self.etcd.start()
        self.apiserver.start()
        for controller in self.controllers:
            controller.launch()
        for controller in self.controllers:
            controller.wait()
        eventually(lambda: self.get("serviceaccount", "default"), "the default service account", 60)

    def stop(self) -> None:
        """End every process, each by its own id."""
        self._reader.close()
        for component in [*self.controllers, self.apiserver, self.etcd]:
            component.kill()

    def kill_apiserver(self) -> None:
        """SIGKILL the API server, as a crash would; etcd and the controllers stay."""
        self.apiserver.kill()

    def start_apiserver(self) -> None:
        """Start the API server again, on the same port and data."""
        self.apiserver.start()

    def _prepare(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        key = self.directory / "service-accounts.key"
        if key.exists():
            return
        key.write_bytes(_private_key())
        (self.directory / "tokens.csv").write_text(f"{self.token},admin,admin,system:masters\n")
        config = kubeconfig(self.server, self.ca, self.token)
        self.kubeconfig.write_text(yaml.safe_dump(config))
        for path in (key, self.directory / "tokens.csv", self.kubeconfig):
            path.chmod(0o600)


def kubeconfig(server: str, ca: Path, token: str) -> Manifest:
    """A kubeconfig with one cluster and one user."""
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "tests",
        "clusters": [{"name": "tests", "cluster": {"server": server, "certificate-authority": str(ca)}}],
        "users": [{"name": "tests", "user": {"token": token}}],
        "contexts": [{"name": "tests", "context": {"cluster": "tests", "user": "tests"}}],
    }


def _private_key() -> bytes:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    form = serialization.PrivateFormat.TraditionalOpenSSL
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())

"""A Kubernetes control plane of plain processes: etcd, API server, controller manager and scheduler, on free ports.

It needs no root, no image and no pod. What is kept between starts is in its directory; every process dies with pytest.
"""

import json
import os
import secrets
import subprocess
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.cluster import build
from tests.cluster.components import ApiServer, Component, ControllerManager, Etcd, Scheduler

Manifest = dict[str, Any]


class KubectlError(RuntimeError):
    """kubectl refused; the text is what it said."""


class ControlPlane:
    """A running control plane. `kubeconfig`, `server`, `token` and `ca` are the administrator's way in."""

    def __init__(self, directory: Path, host: str = "127.0.0.1") -> None:
        self.directory = directory
        self.binary = build.kubernetes()
        self.token = secrets.token_hex(16)
        self.kubeconfig = directory / "kubeconfig"
        self.etcd = Etcd(self.binary, directory)
        self.apiserver = ApiServer(self.binary, directory, self.etcd.url, self.token, host)
        self.controllers: list[Component] = [
            ControllerManager(self.binary, directory),
            Scheduler(self.binary, directory),
        ]
        self.server = f"https://{host}:{self.apiserver.port}"
        self.ca = self.apiserver.certificate

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
        for component in [*self.controllers, self.apiserver, self.etcd]:
            component.kill()

    def kill_apiserver(self) -> None:
        """SIGKILL the API server, as a crash would; etcd and the controllers stay."""
        self.apiserver.kill()

    def start_apiserver(self) -> None:
        """Start the API server again, on the same port and data."""
        self.apiserver.start()

    def kubectl(self, *words: str, given: str | None = None, timeout: float = 120) -> str:
        """What kubectl prints; `given` is its standard input. Raises KubectlError."""
        command = [str(self.binary), "kubectl", *words]
        done = subprocess.run(
            command,
            env=self.environ(),
            input=given or "",
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        if done.returncode:
            raise KubectlError(f"kubectl {' '.join(words)}: {done.stderr.strip()}")
        return done.stdout

    def environ(self) -> dict[str, str]:
        """The environment in which kubectl, or an operator, finds this cluster and no other."""
        own = {"KUBECONFIG": str(self.kubeconfig), "KUBECACHEDIR": str(self.directory / "kubectl-cache")}
        return os.environ | own

    def apply(self, *manifests: Manifest, namespace: str | None = None, manager: str = "tests") -> None:
        """Server-side apply, strict: an unknown or doubled field is an error."""
        where = ["--namespace", namespace] if namespace else []
        flags = ["--server-side", "--validate=strict", f"--field-manager={manager}", "--force-conflicts"]
        self.kubectl("apply", *where, *flags, "--filename=-", given=yaml.safe_dump_all(manifests))

    def get(self, kind: str, name: str, namespace: str = "default") -> Manifest | None:
        """An object, or nothing."""
        found = self.kubectl("get", kind, name, "--namespace", namespace, "--ignore-not-found", "--output=json")
        return json.loads(found) if found else None

    def list(self, kind: str, namespace: str | None = None, selector: str = "") -> list[Manifest]:
        """Every object of a kind, of one namespace or of all."""
        where = ["--namespace", namespace] if namespace else ["--all-namespaces"]
        found = self.kubectl("get", kind, *where, f"--selector={selector}", "--output=json")
        return json.loads(found)["items"]

    def namespace(self, prefix: str = "test") -> str:
        """A fresh namespace, empty but for what the controllers put into every one."""
        name = f"{prefix}-{secrets.token_hex(4)}"
        self.kubectl("create", "namespace", name)
        eventually(lambda: self.get("serviceaccount", "default", name), f"the service account of {name}", 60)
        return name

    def established(self, names: Iterable[str], within: float = 60) -> None:
        """Wait until the API server serves these custom resources.

        `kubectl wait` fails at once on a definition that is too new to have conditions, so they are read here.
        """
        for name in names:
            eventually(lambda name=name: self._is_established(name), f"the definition {name}", within)

    def _is_established(self, name: str) -> bool:
        status = (self.get("customresourcedefinition", name) or {}).get("status", {})
        held = {each["type"]: each["status"] for each in status.get("conditions") or []}
        return held.get("Established") == "True"

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


def eventually(look: Callable[[], Any], what: str, within: float, every: float = 0.1) -> Any:
    """The first true answer of `look` within a deadline; a refusal on the way counts as no answer."""
    deadline = time.monotonic() + within
    last = ""
    while time.monotonic() < deadline:
        try:
            if found := look():
                return found
        except (KubectlError, OSError) as refusal:
            last = f": {refusal}"
        time.sleep(every)
    raise AssertionError(f"no {what} within {within:.0f} s{last}")


def _private_key() -> bytes:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    form = serialization.PrivateFormat.TraditionalOpenSSL
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())

"""A cluster as kubectl sees it, whoever runs it."""

import json
import os
import secrets
import subprocess
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from chassis.testing import deadline

Manifest = dict[str, Any]


class KubectlError(RuntimeError):
    """kubectl refused; the text is what it said."""


class Client:
    """kubectl with a kubeconfig of its own, and what follows from it."""

    def __init__(self, directory: Path, *program: str) -> None:
        self.directory = directory
        self.program = program
        self.kubeconfig = directory / "kubeconfig"

    def kubectl(self, *words: str, given: str | None = None, timeout: float = 120) -> str:
        """What kubectl prints; `given` is its standard input. Raises KubectlError."""
        command = [*self.program, *words]
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
        self.kubectl("apply", *where, *flags, "--filename=-", given="\n".join(map(json.dumps, manifests)))

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


def eventually(look: Callable[[], Any], what: str, within: float, every: float = 0.2) -> Any:
    """The first true answer of `look` within a deadline; a refusal on the way counts as no answer."""
    until = deadline(within)
    last = ""
    while time.monotonic() < until:
        try:
            if found := look():
                return found
        except (KubectlError, OSError) as refusal:
            last = f": {refusal}"
        time.sleep(every)
    raise AssertionError(f"no {what} within {within:.0f} s{last}")

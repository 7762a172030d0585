"""What runs on the node besides the runtime: kubelet, kube-proxy and the cluster's name server."""

import json
import signal
import socket
from pathlib import Path

from hpctl.embedded.process import dying_with_parent, free_port

from tests.cluster import build
from tests.cluster.components import Component, fetch
from tests.cluster.node.machine import ADDRESS, PODS
from tests.cluster.node.runtime import Runtime

NAME = "node-1"
RESOLV_CONF = Path("/etc/resolv.conf")


class Agent(Component):
    """A program with a configuration file and a health page of its own on loopback."""

    def __init__(self, binary: Path, directory: Path) -> None:
        super().__init__(binary, directory)
        self.configuration = directory / f"{self.name}.json"

    def prepare(self) -> None:
        self.configuration.write_text(json.dumps(self.settings()))

    def settings(self) -> dict[str, object]:
        raise NotImplementedError


class Kubelet(Agent):
    """Runs the pods. Killed, it leaves them running."""

    name = "kubelet"

    def __init__(self, binary: Path, directory: Path, runtime: Runtime) -> None:
        super().__init__(binary, directory)
        self.runtime = runtime
        self.api_port = free_port()

    def flags(self) -> dict[str, str]:
        return {
            "config": str(self.configuration),
            "kubeconfig": str(self.directory / "kubeconfig"),
            "root-dir": str(self.directory / "kubelet"),
            "cert-dir": str(self.directory / "kubelet-certificates"),
            "hostname-override": NAME,
            "node-ip": ADDRESS,
        }

    def settings(self) -> dict[str, object]:
        never = ("memory.available", "nodefs.available", "nodefs.inodesFree", "imagefs.available")
        return {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "address": ADDRESS,
            "port": self.api_port,
            "healthzBindAddress": "127.0.0.1",
            "healthzPort": self.port,
            "containerRuntimeEndpoint": f"unix://{self.runtime.socket}",
            "authentication": {"anonymous": {"enabled": True}, "webhook": {"enabled": False}},
            "authorization": {"mode": "AlwaysAllow"},
            "cgroupDriver": "cgroupfs",
            "failCgroupV1": False,
            "failSwapOn": False,
            "enforceNodeAllocatable": [],
            "oomScoreAdj": 0,
            "clusterDNS": [ADDRESS],
            "clusterDomain": "cluster.local",
            "resolvConf": str(RESOLV_CONF),
            "evictionHard": dict.fromkeys(never, "0%"),
            "imageGCHighThresholdPercent": 100,
            "nodeStatusUpdateFrequency": "4s",
            "maxPods": 80,
        }

    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}/healthz"

    def kill(self) -> None:
        """SIGKILL the kubelet alone: the containers are the runtime's."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()


class Proxy(Agent):
    """Turns Services into rules of iptables."""

    name = "kube-proxy"

    def flags(self) -> dict[str, str]:
        return {"config": str(self.configuration)}

    def settings(self) -> dict[str, object]:
        return {
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
            "kind": "KubeProxyConfiguration",
            "mode": "iptables",
            "clusterCIDR": PODS,
            "hostnameOverride": NAME,
            "oomScoreAdj": 0,
            "clientConnection": {"kubeconfig": str(self.directory / "kubeconfig")},
            "conntrack": {"maxPerCore": 0, "min": 0},
            "healthzBindAddress": f"127.0.0.1:{self.port}",
            "metricsBindAddress": f"127.0.0.1:{free_port()}",
        }

    def answers(self) -> bool:
        return "lastUpdated" in fetch(f"http://127.0.0.1:{self.port}/healthz")


class NameServer(Component):
    """CoreDNS on the bridge's address, for Services and for the world outside."""

    name = "coredns"

    def __init__(self, directory: Path) -> None:
        super().__init__(build.coredns(), directory, host=ADDRESS)

    def prepare(self) -> None:
        kubernetes = f"kubernetes cluster.local in-addr.arpa {{\n kubeconfig {self.directory}/kubeconfig\n ttl 5\n}}"
        text = f".:53 {{\nbind {ADDRESS}\nerrors\nready 127.0.0.1:{self.port}\n{kubernetes}\n"
        (self.directory / "Corefile").write_text(f"{text}forward . {RESOLV_CONF}\ncache 5\n}}\n")

    def command(self) -> list[str]:
        return dying_with_parent([str(self.binary), "-conf", str(self.directory / "Corefile")])

    def answers(self) -> bool:
        with socket.create_connection((ADDRESS, 53), timeout=2):
            return fetch(f"http://127.0.0.1:{self.port}/ready") == "OK"

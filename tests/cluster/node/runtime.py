"""containerd, set up as Kubernetes' runtime: runc, a bridge network, no registry."""

import json
import shutil
import socket
import subprocess
from pathlib import Path

from hpctl.embedded.process import Server, dying_with_parent

from tests.cluster.node.machine import BRIDGE, PLUGINS, PODS

PAUSE = "local/pause:1"
CONFIGURATION = """version = 2
root = "{root}"
state = "{state}"
[grpc]
address = "{socket}"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{pause}"
restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "{plugins}"
conf_dir = "{network}"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
SystemdCgroup = false
"""


class Runtime(Server):
    """The container runtime of the node, with data and sockets of its own."""

    name = "containerd"

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.socket = directory / "containerd.sock"

    def prepare(self) -> None:
        network = self.directory / "network"
        network.mkdir(exist_ok=True)
        (network / "10-bridge.conflist").write_text(json.dumps(self._network()))
        configuration = CONFIGURATION.format(
            root=self.directory / "containerd",
            state=self.directory / "state",
            socket=self.socket,
            pause=PAUSE,
            plugins=PLUGINS,
            network=network,
        )
        (self.directory / "containerd.toml").write_text(configuration)

    def command(self) -> list[str]:
        program = str(shutil.which("containerd"))
        return dying_with_parent([program, "--config", str(self.directory / "containerd.toml")])

    def answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(str(self.socket)) == 0

    def load(self, archive: Path) -> None:
        """Take the images of an archive that `docker save` wrote."""
        self.ctr("images", "import", "--local", str(archive))

    def tag(self, image: str, other: str) -> None:
        """The same image under another name."""
        self.ctr("images", "tag", "--force", full_name(image), full_name(other))

    def ctr(self, *words: str) -> str:
        command = ["ctr", "--address", str(self.socket), "--namespace", "k8s.io", *words]
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600, check=False
        )
        if done.returncode and "unknown flag" not in done.stderr and "not defined" not in done.stderr:
            raise RuntimeError(f"ctr {' '.join(words)}: {done.stderr.strip()}")
        if done.returncode:  # containerd 1.6 knows no --local
            return self.ctr(*(word for word in words if word != "--local"))
        return done.stdout

    def _network(self) -> dict[str, object]:
        address = {"type": "host-local", "ranges": [[{"subnet": PODS}]], "dataDir": str(self.directory / "addresses")}
        address["routes"] = [{"dst": "0.0.0.0/0"}]
        link = {"type": "bridge", "bridge": BRIDGE, "isGateway": True, "ipMasq": True, "hairpinMode": True}
        return {"cniVersion": "0.4.0", "name": "pods", "plugins": [link | {"ipam": address}, {"type": "portmap"}]}


def full_name(image: str) -> str:
    """The name as the runtime keeps it: `docker.io/library/patient-service:latest`."""
    first, slash, _ = image.partition("/")
    if slash and ("." in first or ":" in first):
        return image
    return f"docker.io/{image}" if slash else f"docker.io/library/{image}"

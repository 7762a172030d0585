"""What a node asks of its machine: programs, a bridge, forwarding; and giving all of it back."""

import contextlib
import fcntl
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil

from tests.cluster import build
from tests.cluster.build import CACHE
from tests.cluster.components import SERVICE_RANGE
from tests.engine.needs import install

BRIDGE = "hpcluster0"
ADDRESS = "10.244.0.1"
PODS = "10.244.0.0/16"
PLUGINS = Path("/usr/lib/cni")
PACKAGES = {
    "containerd": "containerd",
    "runc": "runc",
    "iptables": "iptables",
    "conntrack": "conntrack",
    "ip": "iproute2",
    str(PLUGINS / "bridge"): "containernetworking-plugins",
}
RULES = (  # each is put before those above it
    ("FORWARD", "--source", PODS, "-j", "ACCEPT"),  # Docker sets FORWARD to DROP
    ("FORWARD", "--destination", PODS, "-j", "ACCEPT"),
    # A Service's address that kube-proxy did not replace, as in the moment in which it changes its rules, is nobody's.
    # Let out, it may find a proxy that answers for every address, and a kept connection would stay with it.
    ("FORWARD", "--destination", SERVICE_RANGE, "-j", "REJECT"),
    ("OUTPUT", "--destination", SERVICE_RANGE, "-j", "REJECT"),
)
NAMESPACES = Path("/run/netns")


class NoNode(RuntimeError):
    """This machine cannot be a node; the text says what stands against it."""


@contextlib.contextmanager
def claim(directory: Path) -> Iterator[None]:
    """This machine is the node of one cluster at a time; what a killed one left behind is cleared first."""
    path = CACHE / "node.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise NoNode(
                "this machine already is a node of ours: wait for the other tests, or make cluster-down"
            ) from None
        if left := path.read_text():
            sweep(Path(left), network_namespaces())
            run(str(build.kubernetes()), "kube-proxy", "--cleanup", check=False)
        path.write_text(str(directory))
        yield
        path.write_text("")


def check() -> None:
    """Raise NoNode, with one line, where pods cannot run on this machine."""
    if os.geteuid() != 0:
        raise NoNode("pods need root here: run as root, or on a machine with Docker and kind")
    if shutil.which("apt-get") is None and any(shutil.which(program) is None for program in PACKAGES):
        raise NoNode(f"pods need {', '.join(PACKAGES.values())}: install them, or use Docker and kind")
    install(PACKAGES)


def unclaimed() -> None:
    """Raise NoNode where another cluster than ours uses this machine."""
    if "KUBE-SERVICES" in run("iptables", "-t", "nat", "-S"):
        raise NoNode("this machine already is a node of a cluster: its iptables hold KUBE-SERVICES")


@contextlib.contextmanager
def bridge() -> Iterator[None]:
    """The bridge on which pods, API server and name server meet. It goes when the block ends."""
    run("ip", "link", "delete", BRIDGE, check=False)
    run("ip", "link", "add", "name", BRIDGE, "type", "bridge")
    run("ip", "address", "add", f"{ADDRESS}/16", "dev", BRIDGE)
    run("ip", "link", "set", BRIDGE, "up")
    for setting in ("net/ipv4/ip_forward", "net/bridge/bridge-nf-call-iptables"):
        (Path("/proc/sys") / setting).write_text("1")
    for rule in RULES:
        run("iptables", "-I", *rule)
    try:
        yield
    finally:
        for rule in RULES:
            run("iptables", "-D", *rule, check=False)
        run("ip", "link", "delete", BRIDGE, check=False)


def network_namespaces() -> set[str]:
    """The named network namespaces of this moment."""
    return {path.name for path in NAMESPACES.iterdir()} if NAMESPACES.exists() else set()


def sweep(directory: Path, before: set[str]) -> None:
    """End the containers' shims of this directory's runtime, each by its id, and let go of mounts and namespaces."""
    for process in psutil.process_iter(["name", "cmdline"]):
        words = process.info["cmdline"] or []
        if words and "containerd-shim" in words[0] and any(str(directory) in word for word in words):
            with contextlib.suppress(psutil.NoSuchProcess):  # it may end by itself while we look
                for member in [*process.children(recursive=True), process]:
                    member.kill()
    mounts = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    for mount in reversed([mount for mount in mounts if mount.startswith(f"{directory}/")]):
        run("umount", "--lazy", mount, check=False)
    for name in network_namespaces() - before:
        if name.startswith("cni-"):
            run("ip", "netns", "delete", name, check=False)


def run(*words: str, check: bool = True) -> str:
    """What a program of the machine prints; NoNode where it refuses."""
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False)
    if check and done.returncode:
        raise NoNode(f"{' '.join(words)}: {done.stderr.strip()}")
    return done.stdout

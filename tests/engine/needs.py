"""What the engine needs of this machine: Debian's packages, and Compose from the release after it."""

import os
import re
import shutil
import subprocess
from pathlib import Path

from hpctl.embedded.jars import cache_directory, locked

PACKAGES = {"dockerd": "docker.io", "containerd": "containerd", "debootstrap": "debootstrap", "iptables": "iptables"}
CLIENT = "/usr/bin/docker"  # Debian's, which goes with its engine; a newer one elsewhere on PATH needs more plugins
COMPOSE = "2.26.1-4"
_SOURCES = """Types: deb
URIs: {mirror}
Suites: {suite}
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
"""


def install(packages: dict[str, str]) -> None:
    """Install the package of each program that is missing; as root, with apt."""
    apt({package for program, package in packages.items() if shutil.which(program) is None})


def install_libraries(packages: dict[str, str]) -> None:
    """Install the package of each library that pkg-config does not know; as root, with apt."""
    install({"pkg-config": "pkg-config"})
    known = {library: subprocess.run(["pkg-config", "--exists", library], check=False) for library in packages}
    apt({packages[library] for library, done in known.items() if done.returncode})


def apt(packages: set[str]) -> None:
    """Install them, as root; their daemons are not started."""
    if not packages:
        return
    print(f"installing {', '.join(sorted(packages))} with apt")
    environ = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    with locked("apt"), _NoServices():
        subprocess.run(["apt-get", "update", "-qq"], check=True, env=environ, stdin=subprocess.DEVNULL)
        command = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *sorted(packages)]
        subprocess.run(command, check=True, env=environ, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


def client_configuration() -> Path:
    """A directory for DOCKER_CONFIG whose plugins hold Compose; the first call fetches its package."""
    directory = cache_directory() / f"docker-compose-{COMPOSE}"
    with locked("docker-compose"):
        if not (directory / "cli-plugins" / "docker-compose").exists():
            making = directory.with_suffix(".making")
            shutil.rmtree(making, ignore_errors=True)
            package = _download(making, f"docker-compose={COMPOSE}")
            subprocess.run(["dpkg-deb", "-x", package, making / "unpacked"], check=True)
            (making / "cli-plugins").mkdir()
            plugin = making / "unpacked/usr/libexec/docker/cli-plugins/docker-compose"
            plugin.replace(making / "cli-plugins" / "docker-compose")
            shutil.rmtree(directory, ignore_errors=True)
            making.rename(directory)
    return directory


def mirror() -> str:
    """The Debian archive that this machine's own sources name, or DEBIAN_MIRROR.

    Raises:
        AssertionError: neither does.
    """
    sources = [Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt/sources.list.d").glob("*"))]
    text = "\n".join(path.read_text() for path in sources if path.suffix in {".list", ".sources"} and path.exists())
    named = re.search(r"^(?:deb|URIs:)\s.*?(\S+://\S+/debian)/?(?:\s|$)", text, re.MULTILINE)
    found = os.environ.get("DEBIAN_MIRROR") or (named and named[1])
    assert found, "apt's sources name no Debian archive: name one in DEBIAN_MIRROR"
    return found


def _download(directory: Path, package: str) -> Path:
    """One package of Debian trixie, fetched through lists of its own: the machine's sources stay as they are."""
    for name in ("parts", "lists/partial", "archives/partial"):
        (directory / name).mkdir(parents=True)
    (directory / "parts" / "trixie.sources").write_text(_SOURCES.format(suite="trixie", mirror=mirror()))
    options = {
        "Dir::Etc::sourcelist": "/dev/null",
        "Dir::Etc::sourceparts": directory / "parts",
        "Dir::State::lists": directory / "lists",
        "Dir::Cache": directory,
        "APT::Sandbox::User": "root",
    }
    apt = ["apt-get", "-qq", *(word for name, value in options.items() for word in ("-o", f"{name}={value}"))]
    subprocess.run([*apt, "update"], check=True)
    subprocess.run([*apt, "download", package], check=True, cwd=directory)
    return next(directory.glob("*.deb"))


class _NoServices:
    """While it is entered, installed packages start no daemons: Debian's own switch for that."""

    policy = Path("/usr/sbin/policy-rc.d")

    def __enter__(self) -> None:
        self.placed = not self.policy.exists()
        if self.placed:
            self.policy.write_text("#!/bin/sh\nexit 101\n")
            self.policy.chmod(0o755)

    def __exit__(self, *_: object) -> None:
        if self.placed:
            self.policy.unlink()

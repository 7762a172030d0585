"""Which node `make test-cluster` takes, and what the kind path says to a real kind; Docker is played by a script."""

import subprocess
from pathlib import Path

import pytest

from tests.cluster import build
from tests.cluster.helm import Helm
from tests.cluster.node.choice import VARIABLE, chosen
from tests.cluster.node.kind import DOORS, PROGRAMS, KindNode, run
from tests.cluster.node.machine import NoNode

INFO = '{"CgroupVersion":"2","MemoryLimit":true,"PidsLimit":true,"CPUShares":true,"SecurityOptions":[]}'
CONTAINERD = "version = 3\\n[plugins.'io.containerd.cri.v1.images']\\nsnapshotter = 'overlayfs'"
DOCKER = f"""#!/bin/sh
printf '%s\\n' "$*" >> "$PLAYED/said"
case "$*" in
'run '*) exit 1 ;;
info*) echo '{INFO}' ;;
*'ps -a'*'label=io.x-k8s.kind.cluster='*) cat "$PLAYED/nodes" 2>/dev/null || true ;;
*'io.x-k8s.kind.role'*) echo control-plane ;;
*'config dump') printf "{CONTAINERD}\\n" ;;
*'images import'*) cat > "$PLAYED/imported" ;;
esac
"""


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only directory of the PATH but the system's; no program of kind's is in either yet."""
    place = tmp_path / "tools"
    place.mkdir()
    for name in ("sh", "cat"):
        (place / name).symlink_to(f"/bin/{name}")
    monkeypatch.setenv("PATH", str(place))
    monkeypatch.setenv("PLAYED", str(tmp_path))
    monkeypatch.delenv(VARIABLE, raising=False)
    return place


def program(place: Path, name: str, text: str = "#!/bin/sh\n") -> None:
    (place / name).write_text(text)
    (place / name).chmod(0o755)


def test_a_node_of_our_own_is_taken_where_a_program_is_missing_or_docker_does_not_answer(tools: Path) -> None:
    for name in PROGRAMS:
        assert chosen() == "own"
        program(tools, name)
    assert chosen() == "kind"
    program(tools, "docker", "#!/bin/sh\nexit 1\n")
    assert chosen() == "own"


def test_the_variable_has_the_last_word(tools: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PROGRAMS:
        program(tools, name)
    monkeypatch.setenv(VARIABLE, "own")
    assert chosen() == "own"
    monkeypatch.setenv(VARIABLE, "podman")
    with pytest.raises(NoNode, match="CLUSTER_NODE is podman; there are kind, kind-built, own"):
        chosen()


def test_a_kind_that_is_asked_for_and_not_there_is_one_sentence(tools: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "kind")
    with pytest.raises(NoNode, match="kind needs docker, kind, kubectl, helm on the PATH and a Docker that answers"):
        chosen()


def test_the_shell_that_follows_notes_reaches_the_users_kubectl(tools: Path, tmp_path: Path) -> None:
    for name in ("kubectl", "helm"):
        program(tools, name, '#!/bin/sh\necho "$*" >> "$PLAYED/said"\n')
    node = KindNode(tmp_path)
    node.kubeconfig.write_text("a kubeconfig")
    shell = Helm(node, "care").environ
    subprocess.run(["sh", "-c", "kubectl version"], env=shell, timeout=30, check=True)
    assert (tmp_path / "said").read_text().splitlines()[-1] == "version"


@pytest.fixture(scope="session")
def kind() -> Path:
    """The real kind, built while there still is a PATH to build with."""
    return build.kind()


@pytest.fixture
def node(kind: Path, tools: Path, tmp_path: Path) -> KindNode:
    """A node that a real kind is asked for."""
    (tools / "kind").symlink_to(kind)
    program(tools, "docker", DOCKER)
    return KindNode(tmp_path)


def test_kind_makes_a_node_whose_doors_are_ports_of_this_machine(node: KindNode, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="docker run"):
        node.start()
    [asked] = [line for line in (tmp_path / "said").read_text().splitlines() if line.startswith("run ")]
    assert f"--name {node.name} " in asked
    for door in DOORS:
        assert f"--publish=127.0.0.1:{node.ports[door]}:{door}/TCP" in asked


def test_kind_loads_the_archive_onto_that_node(node: KindNode, tmp_path: Path) -> None:
    (tmp_path / "nodes").write_text(f"{node.name}\n")
    (tmp_path / "images.tar").write_bytes(b"what docker save wrote")
    run(*node.loading(tmp_path / "images.tar"))
    assert (tmp_path / "imported").read_bytes() == b"what docker save wrote"
    assert f"exec --privileged -i {node.name} ctr --namespace=k8s.io images import" in (tmp_path / "said").read_text()


def test_kind_takes_the_node_away(node: KindNode, tmp_path: Path) -> None:
    (tmp_path / "nodes").write_text(f"{node.name}\n")
    node.stop()
    assert f"rm -f -v {node.name}" in (tmp_path / "said").read_text()

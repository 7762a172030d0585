"""The repository stands alone: no file of it names a place beside it, and docs/supply.md lists all that is fetched."""

import ast
import re
import subprocess
from pathlib import Path

import pytest
from hpctl.embedded.jars import KAFKA_VERSION

from tests.cluster import build, crds
from tests.conftest import ROOT
from tests.engine import needs, programs
from tests.wheels import GO, NODE

CODE = {".py", ".sh", ".mjs", ".js", ".yml", ".yaml", ".toml", ".json", ".tpl", ".md", ".cfg", ""}
UPWARDS = re.compile(r"(?<![\w/.;\\*])(?:\.\./)+[\w@.-]+(?:/[\w@.-]+)*")
AT_HOME = re.compile(r"(?<![\w.])/(?:home|Users|root|work)/[\w.-]+")
FOREIGN_HOME = {
    "Dockerfile",
    "docker/",
    "tests/cluster/node/",
    "tests/compose/",
    "tests/engine/",
}  # paths inside an image


def tracked() -> list[Path]:
    """Files that git has, or would take."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [path for line in listed.splitlines() if (path := ROOT / line).exists() or path.is_symlink()]


def texts() -> list[tuple[Path, str]]:
    """Every file of code, configuration or prose, with its text."""
    return [(path, path.read_text(errors="replace")) for path in tracked() if path.suffix in CODE and path.is_file()]


def leaving(path: Path, text: str) -> list[str]:
    """Relative paths of a text that lead upwards to nothing of the repository, seen from the file's folder."""
    found = []
    for match in UPWARDS.findall(text):
        place = (path.parent / match).resolve()
        if not place.is_relative_to(ROOT) or not place.exists():
            found.append(match)
    return found


def climbing(path: Path, text: str) -> list[str]:
    """`.parents[n]` of a module that lies above the repository."""
    depth = len(path.relative_to(ROOT).parts) - 1
    subscripts = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Subscript)]
    climbs = [node for node in subscripts if isinstance(node.value, ast.Attribute) and node.value.attr == "parents"]
    return [ast.unparse(node) for node in climbs if not _within(node.slice, depth)]


def _within(index: ast.expr, depth: int) -> bool:
    return not isinstance(index, ast.Constant) or (isinstance(index.value, int) and index.value <= depth)


def test_no_link_leaves_the_repository() -> None:
    for path in tracked():
        assert path.resolve().is_relative_to(ROOT), f"{path} leads to {path.resolve()}"


def test_no_relative_path_leaves_the_repository() -> None:
    found = {str(path.relative_to(ROOT)): leaving(path, text) for path, text in texts() if path != Path(__file__)}
    assert {name: paths for name, paths in found.items() if paths} == {}


def test_no_module_looks_above_the_repository() -> None:
    python = [(path, text) for path, text in texts() if path.suffix == ".py"]
    assert {str(path.relative_to(ROOT)): found for path, text in python if (found := climbing(path, text))} == {}


def test_no_path_of_one_machine_is_named() -> None:
    for path, text in texts():
        name = str(path.relative_to(ROOT))
        if not name.startswith(tuple(FOREIGN_HOME)) and path.name != "uv.lock":
            assert not AT_HOME.findall(text), f"{name} names {AT_HOME.findall(text)}"


@pytest.mark.parametrize("text", ['BESIDE = "../shared/crds"', "Path('../../elsewhere')", "open ../secret.txt"])
def test_a_path_beside_the_repository_is_found(text: str) -> None:
    assert leaving(ROOT / "tests" / "module.py", text)


def test_a_module_that_climbs_too_high_is_found() -> None:
    assert climbing(ROOT / "tests" / "module.py", "HERE = Path(__file__).resolve().parents[2] / 'x'")


def test_the_page_of_supplies_names_every_pinned_version() -> None:
    page = (ROOT / "docs" / "supply.md").read_text()
    pinned = {KAFKA_VERSION, GO, NODE, build.COREDNS, build.HELM, build.KIND, build.CRICTL, build.LOCAL_PATH}
    pinned |= {build.KUBE_ROUTER, build.kubernetes_version(), programs.JAEGER, programs.KAFKA_EXPORTER, needs.COMPOSE}
    pinned |= {module.version for module in crds.GO_MODULES.values()} | {crds.STRIMZI}
    assert {version for version in pinned if version not in page} == set()


def test_no_code_host_is_asked() -> None:
    """Registries serve what tests and verbs fetch; a code host may be out of reach where the platform is built."""
    hosts = re.compile(r"raw\.githubusercontent\.com|github\.com/[\w.-]+/[\w.-]+/(?:releases/download|archive|raw)/")
    fetching = [path for path in tracked() if path.suffix in {".py", ".sh"} or path.name in {"Makefile", "Dockerfile"}]
    told = ROOT / "operator/healthcare_operator/conditions.py"  # commands for the people who read a condition
    asking = [path for path in fetching if path not in {told, Path(__file__)} and hosts.search(path.read_text())]
    assert asking == []

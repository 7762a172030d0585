"""The README says only what is true."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
PAGES = [
    ROOT / "README.md",
    ROOT / "ARCHITECTURE.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]


def test_it_is_short() -> None:
    assert len(README.splitlines()) <= 150
    assert len((ROOT / "ARCHITECTURE.md").read_text().splitlines()) <= 200
    assert all(len(adr.read_text().splitlines()) <= 50 for adr in (ROOT / "docs" / "adr").iterdir())


def test_every_verb_it_names_exists() -> None:
    verbs = set(re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {verb for page in PAGES for verb in re.findall(r"`?\bmake ([a-z]+)\b(?=[`\s])", _commands(page))}
    assert named and named <= verbs


def _commands(page: Path) -> str:
    """Code blocks and inline code: where a reader would copy from."""
    text = page.read_text()
    blocks = re.findall(r"```bash\n(.*?)```", text, re.DOTALL)
    return "\n".join([*blocks, *(f"{inline}`" for inline in re.findall(r"`([^`\n]+)`", text))])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_leads_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text())
    assert [target for target in targets if not (page.parent / target).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_into_a_page_meets_a_heading(page: Path) -> None:
    for target, anchor in re.findall(r"\]\((?!https?:)([^)#]*)#([^)]+)\)", page.read_text()):
        assert anchor in _anchors((page.parent / target) if target else page), f"{target}#{anchor}"


def _anchors(page: Path) -> set[str]:
    """The headings of a page as GitHub names them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.contract("X07")
def test_the_versions_it_lists_are_those_of_the_lock() -> None:
    locked = {p["name"]: p.get("version") for p in tomllib.loads((ROOT / "uv.lock").read_text())["package"]}
    rows = re.findall(r"^\| [^|]+ \| ([a-z, -]+) \| ([\d., ]+) \|$", README, re.MULTILINE)
    pairs = [zip(names.split(", "), versions.split(", "), strict=True) for names, versions in rows]
    listed = {name: version for pair in pairs for name, version in pair}
    assert len(listed) >= 10
    assert {name: locked[name] for name in listed} == listed


@pytest.mark.contract("X08")
def test_the_layout_it_draws_is_the_tree() -> None:
    drawn = set(re.findall(r"^([a-z0-9/-]+/) {2,}\S", README, re.MULTILINE))
    workspace = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["uv"]["workspace"]["members"]
    members = {f"{path.relative_to(ROOT)}/" for pattern in workspace for path in ROOT.glob(pattern) if path.is_dir()}
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    tops = {f"{path.partition('/')[0]}/" for path in listed if "/" in path and not path.startswith(".")}
    assert members <= drawn
    assert tops <= {f"{folder.partition('/')[0]}/" for folder in drawn}
    assert [folder for folder in drawn if not (ROOT / folder).is_dir()] == []


@pytest.mark.contract("X16")
def test_contributing_covers_what_a_contributor_asks() -> None:
    guide = (ROOT / "CONTRIBUTING.md").read_text().lower()
    for subject in (
        "branch",
        "test",
        "conventional commits",
        "make format lint types test",
        ".env.example",
        "readme",
    ):
        assert subject in guide


@pytest.mark.contract("X17")
def test_the_licence_is_mit() -> None:
    assert (ROOT / "LICENSE").read_text().startswith("MIT License")


@pytest.mark.contract("X14")
def test_the_containers_that_the_diagnostics_ask_are_those_of_compose() -> None:
    page = (ROOT / "docs" / "troubleshooting.md").read_text()
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    assert {"kafka", "patient-service"} == set(re.findall(r"^docker compose logs -f (\S+)$", page, re.MULTILINE))
    assert services.keys() >= {"kafka", "patient-service"}
    [asked] = re.findall(r"^docker exec -it (\S+) psql -U (\S+) -d (\S+) -c '\\dt'$", page, re.MULTILINE)
    database = services[asked[0]]
    assert database["container_name"] == asked[0]
    told = {name: re.sub(r"\$\{\w+:-(.*)\}", r"\1", str(value)) for name, value in database["environment"].items()}
    assert (told["POSTGRES_USER"], told["POSTGRES_DB"]) == asked[1:]

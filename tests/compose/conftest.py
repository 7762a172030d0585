"""One engine with our images and the stand-ins for these tests; what could not be had is said at the end."""

import time
from collections.abc import Iterator

import pytest

from tests.compose.platform import Compose
from tests.engine.daemon import Engine, engine
from tests.engine.images import build
from tests.engine.standins import UNPROVEN, build_standins
from tests.ports import free_compose_offset

MEASURED = pytest.StashKey[dict[str, str]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[MEASURED] = {}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The first test may have to bootstrap a Debian and to build everything."""
    for item in items:
        if item.path.parent.name == "compose":
            item.add_marker(pytest.mark.timeout(1800))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if config.stash[MEASURED]:
        terminalreporter.section("containers")
        terminalreporter.line(f"UNPROVEN, no such image without a registry: {', '.join(UNPROVEN)}")
        for name, value in config.stash[MEASURED].items():
            terminalreporter.line(f"{name}: {value}")


@pytest.fixture(scope="session")
def measured(request: pytest.FixtureRequest) -> dict[str, str]:
    return request.config.stash[MEASURED]


@pytest.fixture(scope="session")
def docker(measured: dict[str, str]) -> Iterator[Engine]:
    began = time.monotonic()
    with engine() as running:
        build(running)
        build_standins(running)
        measured["engine and images"] = f"{time.monotonic() - began:.0f} s"
        yield running


@pytest.fixture
def compose(docker: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Compose]:
    """The project with ports that are free here; whatever it started is gone afterwards."""
    project = Compose(docker, free_compose_offset(), tmp_path_factory.mktemp("compose"))
    yield project
    project.run("--profile", "*", "down", "-v", "--timeout", "5", check=False)

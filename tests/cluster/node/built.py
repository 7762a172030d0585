"""kind where no registry can be reached: an engine of our own, and kind and its node image made on this machine.

What is said to kind and to kubectl is what `kind.py` says on a user's machine. The servers are the engine's stand-ins.
"""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

from tests.cluster import build
from tests.cluster.node import images, machine
from tests.cluster.node.kind import KindNode, run, running
from tests.cluster.node.nodeimage import ensure_node
from tests.engine import daemon

RUNTIME = Path(daemon.__file__).with_name("bounded-runc")


class BuiltKindNode(KindNode):
    """A kind cluster on our engine and our image."""

    def __init__(self, directory: Path, engine: daemon.Engine) -> None:
        super().__init__(directory)
        self.engine = engine
        self.image = ensure_node(engine)

    def creation(self, configuration: Path) -> list[str]:
        return [*super().creation(configuration), f"--image={self.image}"]

    def provide(self) -> None:
        archive = self.directory / "images.tar"
        images.archive(self.engine, archive)
        run(*self.loading(archive), timeout=900)
        archive.unlink()


@contextlib.contextmanager
def built_node() -> Iterator[KindNode]:
    """A kind cluster until the block ends; all that time nobody else has the engine."""
    machine.check()
    with contextlib.ExitStack() as stack:
        engine = stack.enter_context(daemon.engine(runtime=RUNTIME))
        place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kind-")))
        stack.enter_context(patch.dict(os.environ, _as_a_user_has_it(engine, place / "tools")))
        yield from running(BuiltKindNode(place, engine))


def _as_a_user_has_it(engine: daemon.Engine, tools: Path) -> dict[str, str]:
    """docker, kind, kubectl and helm on the PATH, and a Docker that answers."""
    tools.mkdir()
    (tools / "docker").symlink_to(daemon.CLIENT)
    (tools / "kind").symlink_to(build.kind())
    (tools / "helm").symlink_to(shutil.which("helm") or build.helm())
    (tools / "kubectl").write_text(f'#!/bin/sh\nexec {build.kubernetes()} kubectl "$@"\n')
    (tools / "kubectl").chmod(0o755)
    docker = {"DOCKER_HOST": f"unix://{engine.socket}", "DOCKER_CONFIG": str(engine.configuration)}
    return docker | {"PATH": f"{tools}:{os.environ['PATH']}"}

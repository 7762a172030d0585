"""What the services have in common, loaded and built once before they are forked: they share this memory."""

import contextlib
import gc
import importlib
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from hpctl.layout import SERVICES, Failure, Service

# What the services and their server import only when they start.
_LATE_IMPORTS = (
    "chassis.kafka",
    "uvicorn.lifespan.on",
    "uvicorn.loops.uvloop",
    "uvicorn.protocols.http.httptools_impl",
    "uvicorn.protocols.websockets.auto",
    "uvloop",
)


def import_services() -> None:
    """Import all of them; a collection in the middle of it would only cost time."""
    gc.disable()
    for name in (*(f"{service.package}.main" for service in SERVICES), *_LATE_IMPORTS):
        importlib.import_module(name)


def build(service: Service, environ: Mapping[str, str], log: Path) -> Callable[[], None]:
    """Compose a service here, under its own environment; what is returned serves it, in whatever process calls that.

    An application is only composed here: its parts connect, and start their tasks, when it is served.
    Failure is what the service says of its configuration.
    """
    from chassis.environ import ConfigurationError
    from chassis.server import run

    with _borrowed(environ), log.open("a") as output, contextlib.redirect_stdout(output):
        try:
            application = importlib.import_module(f"{service.package}.main").create_app()
        except ConfigurationError as error:
            raise Failure(f"{service.name}: {error}") from error
    return lambda: run(lambda: application)


def settle() -> None:
    """Call before forking: what is there stays for ever, and no collection has to look at it, or copy it, again."""
    gc.collect()
    gc.freeze()
    gc.enable()


@contextlib.contextmanager
def _borrowed(environ: Mapping[str, str]) -> Iterator[None]:
    own = dict(os.environ)
    os.environ.clear()
    os.environ.update(environ)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(own)

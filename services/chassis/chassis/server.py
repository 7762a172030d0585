"""The process around an application: what it is told to do, its server, its signals, and how it ends."""

import asyncio
import contextlib
import signal
import sys
from collections.abc import Callable, Iterator
from types import FrameType

import uvicorn
from fastapi import FastAPI

from chassis import listening, logs, tracing
from chassis.connections import allow_files
from chassis.edge import Draining
from chassis.environ import ConfigurationError
from chassis.settings import ServiceSettings

log = logs.logger(__name__)


class _Server(uvicorn.Server):
    """On SIGTERM: readiness goes down and answers ask for the connection to be closed, then the door closes."""

    def __init__(self, config: uvicorn.Config, draining: Draining, seconds: float) -> None:
        super().__init__(config)
        self._draining = draining
        self._seconds = seconds

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """The first signal drains, the second one ends at once."""
        if self._draining.now or not self.started:
            super().handle_exit(sig, frame)
            return
        self._draining.now = True
        asyncio.get_running_loop().call_later(self._seconds, super().handle_exit, sig, frame)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals reach the loop, not an arbitrary line of code; nothing is raised again after a clean end."""
        loop = asyncio.get_running_loop()
        for sig in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(sig, self.handle_exit, sig, None)
        yield


def main(create: Callable[[], FastAPI]) -> None:
    """`python -m service` serves; `python -m service migrate` brings its database up to date and ends.

    What is wrong with the configuration is said in one sentence, with exit code 2.
    """
    try:
        if sys.argv[1:] == ["migrate"]:
            app = create()
            logs.configure(app.state.settings.service_name, app.state.settings.log_level)
            asyncio.run(_migrate(app))
        elif sys.argv[1:]:
            raise ConfigurationError(f"usage: {sys.argv[0].rpartition('/')[2]} [migrate]")
        else:
            run(create)
    except ConfigurationError as error:
        print(error, file=sys.stderr)  # noqa: T201 - a person is waiting
        sys.exit(2)


async def _migrate(app: FastAPI) -> None:
    for part in app.state.parts:
        if migrate := getattr(part, "migrate", None):
            await migrate()


def run(create: Callable[[], FastAPI]) -> None:
    """Serves an application until SIGTERM or SIGINT."""
    app = create()
    settings: ServiceSettings = app.state.settings
    logs.configure(settings.service_name, settings.log_level)
    tracing.configure(settings, settings.service_name)
    for name in settings.placeholders():
        log.warning("A PLACEHOLDER IS IN USE: anybody can know this secret", variable=name)
    if not allow_files(settings.max_connections):
        log.warning("the limit of open files is too low for MAX_CONNECTIONS", connections=settings.max_connections)
    if settings.debug_port is not None:
        _listen_for_debugger(settings.debug_port)
    server = _Server(_config(app, settings), app.state.draining, settings.shutdown_drain_seconds)
    try:
        door = listening.bound(settings.host, settings.port)
    except OSError as error:
        log.error(
            "the address to listen on cannot be had", host=settings.host, port=settings.port, error=error.strerror
        )
        sys.exit(3)
    server.run(sockets=[door])
    tracing.close()
    if not server.started:
        sys.exit(3)


def _config(app: FastAPI, settings: ServiceSettings) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        loop="uvloop",
        http=app.state.http_protocol,
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=20,
        proxy_headers=False,
        backlog=2048,
    )


def _listen_for_debugger(port: int) -> None:
    import debugpy

    debugpy.listen(("127.0.0.1", port))
    log.warning("a debugger may attach", port=port)

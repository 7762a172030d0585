"""For tests: a real gateway before a small real upstream, and a client that speaks raw bytes."""

import contextlib
from collections.abc import AsyncIterator

from chassis.testing import JWT_SECRET, serve

from api_gateway.main import create_app
from api_gateway.settings import Settings
from api_gateway.testing.client import Edge, Line, Reply
from api_gateway.testing.service import Answer, Seen, Service, plain, raw

__all__ = ["Answer", "Edge", "Line", "Reply", "Seen", "Service", "plain", "raw", "running", "settings"]

NAMES = ("PATIENT", "APPOINTMENT", "AUTH", "BILLING", "ANALYTICS")


def settings(service: Service | None = None, **environ: str) -> Settings:
    """The settings of a test: every upstream is `service`, Redis is away unless it is given."""
    urls = {f"{name}_SERVICE_URL": service.url for name in NAMES} if service else {}
    redis = {"REDIS_HOST": "127.0.0.1", "REDIS_PORT": "1"}
    return Settings.from_environ({"JWT_SECRET": JWT_SECRET, "LOG_LEVEL": "warning"} | urls | redis | environ)


@contextlib.asynccontextmanager
async def running(service: Service | None, **environ: str) -> AsyncIterator[Edge]:
    """A gateway under a real uvicorn."""
    app = create_app(settings(service, **environ))
    async with serve(app, http=app.state.http_protocol) as url:
        host, _, port = url.removeprefix("http://").partition(":")
        yield Edge(host, int(port), app)

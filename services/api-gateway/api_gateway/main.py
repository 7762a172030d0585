"""Composition root: FastAPI for the gateway's own pages, and the data plane as uvicorn's HTTP protocol."""

from functools import partial

import chassis.app
from chassis.auth import TokenVerifier
from fastapi import FastAPI
from healthcare_contracts.permissions import ROLES

from api_gateway import pages
from api_gateway.console import mount as console
from api_gateway.console.watch import Watch
from api_gateway.downstream import Downstream
from api_gateway.gateway import Gateway
from api_gateway.redis_link import RedisLink
from api_gateway.routes import FORMS
from api_gateway.settings import Settings


def create_app(settings: Settings | None = None) -> FastAPI:
    """The application; `app.state.http_protocol` is the protocol class that has to serve it."""
    settings = settings or Settings.from_environ()
    tokens = TokenVerifier(settings)
    link = RedisLink(settings)
    gateway = Gateway(settings, link, tokens, ROLES)
    services = {str(name): url for name, url in settings.upstream_urls.items()}
    watch = Watch(services)
    app = chassis.app.create_app(
        settings,
        routers=[pages.router(settings.api_docs_enabled), *(console.ROUTERS if settings.console_enabled else ())],
        parts=[link, gateway, *([watch] if settings.console_enabled else ())],
        permissions=ROLES,
        state={"gateway": gateway, "tokens": tokens, "http_protocol": partial(Downstream, gateway=gateway)},
        forms=FORMS,
    )
    if settings.console_enabled:
        console.mount(app, services, watch)
    gateway.drain = app.state.draining
    return app

"""A query parameter means something or is refused: on every route and method of every service."""

import re
import uuid
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import httpx2 as httpx
import pytest
from chassis.settings import ServiceSettings
from chassis.testing import JWT_SECRET, token
from fastapi import FastAPI
from fastapi.routing import APIRoute

SERVICES = ("patient", "appointment", "auth", "billing", "analytics")
BODIES = ("POST", "PUT", "PATCH")


def _app(service: str) -> FastAPI:
    settings: type[ServiceSettings] = import_module(f"{service}_service.settings").Settings
    app: FastAPI = import_module(f"{service}_service.main").create_app(
        settings.from_environ({"JWT_SECRET": JWT_SECRET})
    )
    return app


def _calls(app: FastAPI) -> Iterator[tuple[str, str]]:
    for route in app.routes:
        if isinstance(route, APIRoute) and not route.path.startswith("/actuator"):
            for method in route.methods:
                yield method, re.sub(r"{(partition|offset)}", "0", route.path)


@pytest.mark.contract("D08", "Z05", "D09")
@pytest.mark.parametrize("service", SERVICES)
async def test_every_route_and_method_refuses_an_unknown_parameter_before_it_does_anything(service: str) -> None:
    app = _app(service)  # never started: whoever reaches for the database, Redis or Kafka ends in a 500
    transport: Any = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    headers = {"Authorization": f"Bearer {token('ADMIN')}"}
    calls = list(_calls(app))
    assert len(calls) >= 7, calls
    async with httpx.AsyncClient(transport=transport, base_url="http://service", headers=headers) as client:
        for method, path in calls:
            url = f"{re.sub('{.*?}', str(uuid.uuid4()), path)}?colour=blue"
            answer = await client.request(method, url, json={} if method in BODIES else None)
            assert answer.status_code == 400, (method, path, answer.text)
            assert answer.json()["detail"].startswith("query has an unknown parameter; "), (method, path)
            assert answer.headers["Link"] == '</api-docs/problems/validation>; rel="help"'
        for page in ("info", "metrics", "health/liveness"):
            assert (await client.get(f"/actuator/{page}?colour=blue")).status_code == 200

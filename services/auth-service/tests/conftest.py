"""The auth service under a real server, with cheap hashes."""

from collections.abc import AsyncIterator

import httpx2 as httpx
import pytest
from auth_service.main import create_app
from auth_service.settings import Settings
from chassis.testing import serve


@pytest.fixture
def settings(environ: dict[str, str]) -> Settings:
    return Settings.from_environ(environ | {"SQL_INIT_MODE": "always", "BCRYPT_COST": "4"})


@pytest.fixture
async def client(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    async with serve(create_app(settings)) as url, httpx.AsyncClient(base_url=url, timeout=10) as client:
        yield client

"""A real gateway before a small real upstream."""

from collections.abc import AsyncIterator

import pytest
from api_gateway.console.testing import LIMITS, Platform
from api_gateway.testing import Edge, Service, running
from chassis.testing import token


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    """The upstream of every route."""
    service = Service()
    await service.start()
    yield service
    await service.stop()


@pytest.fixture
async def edge(service: Service) -> AsyncIterator[Edge]:
    """A gateway with limits out of the way."""
    async with running(service, **LIMITS) as edge:
        yield edge


@pytest.fixture
async def platform() -> AsyncIterator[Platform]:
    """What the console asks."""
    platform = Platform()
    await platform.start()
    yield platform
    await platform.stop()


@pytest.fixture
async def gate(platform: Platform) -> AsyncIterator[Edge]:
    """The gateway before it."""
    async with running(platform, **LIMITS) as edge:
        yield edge


@pytest.fixture
def bearer() -> str:
    """The header of an administrator."""
    return f"Authorization: Bearer {token('ADMIN')}"

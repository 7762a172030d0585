"""A real gateway before a small real upstream."""

from collections.abc import AsyncIterator

import pytest
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
    async with running(service, RATE_LIMITS="default=10000/10000,auth=10000/10000") as edge:
        yield edge


@pytest.fixture
def bearer() -> str:
    """The header of an administrator."""
    return f"Authorization: Bearer {token('ADMIN')}"

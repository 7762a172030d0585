"""The platform with something to show."""

import time

import pytest
from chassis.testing import deadline

from tests.conftest import Stack
from tests.monitoring import live


@pytest.fixture(scope="module")
def busy(stack: Stack) -> dict[str, list[live.Family]]:
    """Every service's metrics after everyday work, once the consumers have looked at their lag."""
    with stack.client() as client:
        live.work(stack, client)
    until = deadline(20)
    while not _looked(found := live.families(stack)):
        assert time.monotonic() < until
        time.sleep(0.2)
    return found


def _looked(found: dict[str, list[live.Family]]) -> bool:
    return any(family.full_name == "consumer_lag" and family.labels for family in found["patient-service"])

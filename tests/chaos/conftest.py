"""One platform for all faults; the seed is printed, so that a failure can be repeated."""

import os
import random
from collections.abc import Iterator

import pytest

from tests.chaos.platform import Platform
from tests.conftest import Stack, running


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """Of its own: afterwards every copy has to equal its source, so nobody else may have written events."""
    yield from running()


@pytest.fixture(scope="session")
def platform(stack: Stack) -> Platform:
    seed = int(os.environ.get("CHAOS_SEED") or random.randrange(2**32))
    print(f"CHAOS_SEED={seed}")
    return Platform(stack, seed)

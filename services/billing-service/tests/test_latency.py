"""gRPC under load keeps its budget, generously: `make bench` holds the ratios."""

import asyncio
import time
import uuid

import pytest

CALLERS, CALLS = 8, 40
BUDGET_SECONDS = 0.25


@pytest.mark.contract("B08")
async def test_eight_callers_at_once_keep_p95_within_the_budget(billing) -> None:
    took: list[float] = []

    async def caller() -> None:
        for _ in range(CALLS):
            started = time.perf_counter()
            assert (await billing.create(uuid.uuid4())).status == "CREATED"
            took.append(time.perf_counter() - started)

    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    assert len(took) == CALLERS * CALLS
    assert sorted(took)[int(len(took) * 0.95)] < BUDGET_SECONDS

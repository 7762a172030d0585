"""Whether Kafka answers, asked now and then: what is sent tells nothing where nobody writes."""

import asyncio
from collections.abc import Awaitable, Callable

from prometheus_client import Counter

from chassis.actuator import Health

CHECKS = Counter("kafka_checks_total", "Questions to the brokers, by outcome", ["result"])
WITHIN_SECONDS = 10.0


async def keep_asking(health: Callable[[], Awaitable[Health]], every: float) -> None:
    """Counts what becomes of `health`, every so many seconds, until cancelled."""
    for result in ("answered", "failed"):  # from 0 on, or nobody would see the first one as an increase
        CHECKS.labels(result)
    while True:
        await asyncio.sleep(every)
        CHECKS.labels("answered" if await _answers(health) else "failed").inc()


async def _answers(health: Callable[[], Awaitable[Health]]) -> bool:
    try:
        async with asyncio.timeout(WITHIN_SECONDS):
            return (await health()).up
    except Exception:  # whatever the client makes of a broker that is not there
        return False

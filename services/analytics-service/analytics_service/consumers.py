"""The analytics' Kafka door: every topic, each event once."""

from collections.abc import Iterable

from chassis.handlers import Handler
from chassis.received import Received
from chassis.transaction import Transaction
from healthcare_contracts import topics

from analytics_service import service

GROUP = topics.ANALYTICS
COUNTED = tuple(topic for topic in topics.TOPICS if GROUP in topic.groups)


def handlers(sinks: Iterable[str]) -> dict[str, Handler]:
    """Topic → handler."""
    queued = tuple(sinks)

    async def event_happened(event: Received, tx: Transaction) -> None:
        await service.count_event(tx, event, queued)

    return {topic.name: event_happened for topic in COUNTED}

"""The platform's topics, made before the services start: a consumer then finds what it subscribes to."""

import asyncio

from chassis.kafka import ensure_topics
from chassis.settings import KafkaSettings, ServiceSettings
from healthcare_contracts.topics import ALL_TOPICS


class Settings(ServiceSettings, KafkaSettings):
    """Where Kafka is, from the environment."""


def main() -> None:
    """Create every topic that is missing."""
    asyncio.run(ensure_topics(Settings.from_environ(), ALL_TOPICS))


if __name__ == "__main__":
    main()

"""The platform's topics, made before the services start: a consumer then finds what it subscribes to."""

import asyncio

from chassis.kafka import ensure_topics
from chassis.settings import KafkaSettings, ServiceSettings
from healthcare_contracts.topics import ALL_TOPICS, TOPICS

from hpctl.groups import dismiss_members


class Settings(ServiceSettings, KafkaSettings):
    """Where Kafka is, from the environment."""


async def prepare(settings: Settings) -> None:
    """Create every topic that is missing, and let no dead consumer hold the groups up."""
    await ensure_topics(settings, ALL_TOPICS)
    groups = {group for topic in TOPICS for group in topic.groups}
    await dismiss_members(settings.kafka_bootstrap_servers, groups)


def main() -> None:
    """Do it for the Kafka of the environment."""
    asyncio.run(prepare(Settings.from_environ()))


if __name__ == "__main__":
    main()

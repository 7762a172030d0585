"""analytics-service put together."""

from chassis import app
from chassis.auth import TokenVerifier
from chassis.consumer import Consumer
from chassis.db import Database
from chassis.kafka import KafkaProducer
from chassis.migrations import Migrations
from fastapi import FastAPI
from healthcare_contracts import permissions, topics

from analytics_service import consumers, routes
from analytics_service.delivery import Delivery
from analytics_service.settings import Settings
from analytics_service.sinks import sinks


def create_app(settings: Settings | None = None) -> FastAPI:
    """The application with its parts: schema, database, Kafka inwards, and a delivery for each sink."""
    settings = settings or Settings.from_environ()
    database = Database(settings)
    producer = KafkaProducer(settings, topics.ALL_TOPICS)
    consumer = Consumer(settings, group=consumers.GROUP, database=database, producer=producer)
    consumer.subscribe(consumers.handlers(settings.analytics_sinks), topics.TOPICS, inbox=True)
    return app.create_app(
        settings,
        routers=[routes.router],
        parts=[
            Migrations(settings, "analytics_service"),
            database,
            producer,
            consumer,
            *(Delivery(settings, database, sink) for sink in sinks(settings, database)),
        ],
        permissions=permissions.ROLES,
        state={"database": database, "tokens": TokenVerifier(settings)},
    )

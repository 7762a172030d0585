"""appointment-service put together."""

from chassis import app
from chassis.auth import TokenVerifier
from chassis.cache import Cache
from chassis.consumer import Consumer
from chassis.db import Database
from chassis.kafka import KafkaProducer
from chassis.migrations import Migrations
from chassis.relay import Relay
from fastapi import FastAPI
from healthcare_contracts import permissions, topics

from appointment_service import consumers, routes
from appointment_service.schemas import AppointmentRead
from appointment_service.settings import Settings

_WRITTEN = (topics.APPOINTMENT_BOOKED, topics.APPOINTMENT_UPDATED, topics.APPOINTMENT_CANCELLED)
_TOPICS = (*_WRITTEN, *consumers.FOLLOWED)


def create_app(settings: Settings | None = None) -> FastAPI:
    """The application with its parts: schema, database, cache, and Kafka both ways."""
    settings = settings or Settings.from_environ()
    database = Database(settings)
    cache = Cache(settings, database, AppointmentRead)
    producer = KafkaProducer(settings, [*_TOPICS, *(dead for topic in _TOPICS for dead in topic.dead_letters())])
    consumer = Consumer(settings, group=consumers.GROUP, database=database, producer=producer)
    consumer.subscribe(consumers.handlers(cache), topics.TOPICS)
    return app.create_app(
        settings,
        routers=[routes.router],
        parts=[
            Migrations(settings, "appointment_service"),
            database,
            cache,
            producer,
            Relay(settings, database, producer),
            consumer,
        ],
        permissions=permissions.ROLES,
        state={"database": database, "cache": cache, "tokens": TokenVerifier(settings)},
    )

"""patient-service put together."""

from functools import partial

from chassis import app
from chassis.auth import TokenVerifier
from chassis.backfill import Backfill
from chassis.cache import Cache
from chassis.consumer import Consumer
from chassis.db import Database
from chassis.kafka import KafkaProducer
from chassis.migrations import Migrations
from chassis.relay import Relay
from fastapi import FastAPI
from healthcare_contracts import permissions, topics

from patient_service import consumers, routes
from patient_service.keys import fill_keys
from patient_service.provisioning import Provisioning
from patient_service.registration import Registrations
from patient_service.schemas import PatientRead
from patient_service.seed import seed
from patient_service.settings import Settings

_TOPICS = (topics.PATIENT_CREATED, topics.PATIENT_UPDATED, topics.PATIENT_DELETED, topics.BILLING_ACCOUNT)


def create_app(settings: Settings | None = None) -> FastAPI:
    """The application with its parts: schema, database, cache, Kafka both ways, and billing."""
    settings = settings or Settings.from_environ()
    database = Database(settings)
    cache = Cache(settings, database, PatientRead)
    producer = KafkaProducer(settings, [*_TOPICS, *(dead for topic in _TOPICS for dead in topic.dead_letters())])
    consumer = Consumer(settings, group=consumers.GROUP, database=database, producer=producer)
    consumer.subscribe(consumers.handlers(cache), topics.TOPICS)
    provisioning = Provisioning(settings, database, cache)
    return app.create_app(
        settings,
        routers=[routes.router],
        parts=[
            Migrations(settings, "patient_service", partial(seed, today=settings.today())),
            database,
            Backfill(database, "keys", fill_keys),
            cache,
            producer,
            Relay(settings, database, producer),
            consumer,
            provisioning,
        ],
        permissions=permissions.ROLES,
        state={
            "database": database,
            "cache": cache,
            "registrations": Registrations(database, provisioning.begin, settings.today),
            "tokens": TokenVerifier(settings),
        },
    )

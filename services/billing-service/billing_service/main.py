"""billing-service put together."""

from chassis import app
from chassis.auth import TokenVerifier
from chassis.consumer import Consumer
from chassis.db import Database
from chassis.kafka import KafkaProducer
from chassis.migrations import Migrations
from chassis.relay import Relay
from chassis.rpc_server import GrpcServer
from fastapi import FastAPI
from healthcare_contracts import permissions, topics

from billing_service import consumers, routes
from billing_service.rpc import SERVICE, BillingRpc
from billing_service.settings import Settings


def create_app(settings: Settings | None = None) -> FastAPI:
    """The application with its parts: schema, database, Kafka both ways, and gRPC."""
    settings = settings or Settings.from_environ()
    database = Database(settings)
    producer = KafkaProducer(settings, [topics.BILLING_ACCOUNT, topics.PATIENT_DELETED])
    consumer = Consumer(settings, group=consumers.GROUP, database=database, producer=producer)
    consumer.subscribe(consumers.HANDLERS, topics.TOPICS)
    rpc = GrpcServer(
        host=settings.host,
        port=settings.billing_service_grpc_port,
        register=BillingRpc(database).register,
        services=[SERVICE],
        reflects=settings.grpc_reflection_enabled,
    )
    return app.create_app(
        settings,
        routers=[routes.router],
        parts=[
            Migrations(settings, "billing_service"),
            database,
            producer,
            Relay(settings, database, producer),
            consumer,
            rpc,
        ],
        permissions=permissions.ROLES,
        state={"database": database, "tokens": TokenVerifier(settings)},
    )

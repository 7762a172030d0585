"""auth-service put together."""

from chassis import app
from chassis.auth import TokenVerifier
from chassis.backfill import Backfill
from chassis.db import Database
from chassis.issuer import TokenIssuer
from chassis.kafka import KafkaProducer
from chassis.migrations import Migrations
from chassis.relay import Relay
from chassis.signatures import public_keys
from fastapi import FastAPI
from healthcare_contracts import permissions, topics

from auth_service import routes
from auth_service.accounts import Accounts
from auth_service.keys import fill_keys
from auth_service.passwords import Passwords
from auth_service.settings import Settings


def create_app(settings: Settings | None = None) -> FastAPI:
    """The application with its parts: schema, database, password hashing, and Kafka outwards."""
    settings = settings or Settings.from_environ()
    database = Database(settings)
    producer = KafkaProducer(settings, [topics.AUTH_AUDIT, *topics.AUTH_AUDIT.dead_letters()])
    passwords = Passwords(settings)
    private_key = settings.jwt_private_key.get_secret_value() if settings.jwt_private_key else None
    issuer = TokenIssuer(settings, private_key, settings.published_keys)
    return app.create_app(
        settings,
        routers=[routes.router],
        parts=[
            Migrations(settings, "auth_service"),
            database,
            Backfill(database, "keys", fill_keys),
            passwords,
            Accounts(settings, database, passwords),
            producer,
            Relay(settings, database, producer),
        ],
        permissions=permissions.ROLES,
        state={
            "database": database,
            "passwords": passwords,
            "issuer": issuer,
            "tokens": TokenVerifier(settings, public_keys(issuer.jwks)),
        },
    )

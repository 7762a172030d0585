"""What appointment-service is told."""

from typing import ClassVar

from chassis.postgres import DatabaseSettings
from chassis.settings import CacheSettings, KafkaSettings, ServiceSettings, TokenSettings
from pydantic import Field


class Settings(ServiceSettings, DatabaseSettings, KafkaSettings, CacheSettings, TokenSettings):
    """appointment-service: HTTP, a database, Kafka, the cache and tokens."""

    service_name: ClassVar[str] = "appointment-service"

    port: int = Field(4006, ge=0, le=65535, validation_alias="APPOINTMENT_SERVICE_PORT", description="the HTTP port")

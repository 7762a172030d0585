"""What billing-service is told."""

from typing import ClassVar

from chassis.postgres import DatabaseSettings
from chassis.settings import KafkaSettings, ServiceSettings, TokenSettings
from pydantic import Field


class Settings(ServiceSettings, DatabaseSettings, KafkaSettings, TokenSettings):
    """billing-service: HTTP, gRPC, a database, Kafka and tokens."""

    service_name: ClassVar[str] = "billing-service"

    port: int = Field(4001, ge=0, le=65535, validation_alias="BILLING_SERVICE_HTTP_PORT", description="the HTTP port")
    billing_service_grpc_port: int = Field(9001, ge=1, le=65535, description="the gRPC port")
    grpc_reflection_enabled: bool = Field(True, description="whether gRPC clients may ask which services there are")

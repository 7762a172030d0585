"""What patient-service is told."""

from typing import ClassVar

from chassis.dates import ClinicSettings
from chassis.postgres import DatabaseSettings
from chassis.settings import CacheSettings, KafkaSettings, ServiceSettings, TokenSettings
from pydantic import Field


class Settings(ServiceSettings, DatabaseSettings, KafkaSettings, CacheSettings, TokenSettings, ClinicSettings):
    """patient-service: HTTP, a database, Kafka, the cache, tokens, what day it is, and where billing is."""

    service_name: ClassVar[str] = "patient-service"

    port: int = Field(4000, ge=0, le=65535, validation_alias="PATIENT_SERVICE_PORT", description="the HTTP port")
    billing_service_address: str = Field("billing-service", description="billing's host, or host:port")
    billing_service_grpc_port: int = Field(9001, ge=1, le=65535, description="billing's port when the address has none")
    billing_timeout_seconds: float = Field(2.0, gt=0, le=60, description="for one call to billing")
    billing_sweep_seconds: float = Field(30.0, gt=0, le=3600, description="how often what stays PENDING is asked again")

    @property
    def billing_target(self) -> str:
        """`host:port` of billing's gRPC."""
        address = self.billing_service_address
        return address if ":" in address else f"{address}:{self.billing_service_grpc_port}"

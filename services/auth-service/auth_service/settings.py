"""What auth-service is told."""

import re
from typing import ClassVar, Literal, Self

from chassis.postgres import DatabaseSettings
from chassis.settings import KafkaSettings, ServiceSettings, TokenSettings
from pydantic import Field, SecretStr, model_validator

_PEM = re.compile(r"-----BEGIN [A-Z ]+-----.+?-----END [A-Z ]+-----", re.DOTALL)


class Settings(ServiceSettings, DatabaseSettings, KafkaSettings, TokenSettings):
    """auth-service: HTTP, a database, Kafka, and how it signs."""

    service_name: ClassVar[str] = "auth-service"

    port: int = Field(4005, ge=0, le=65535, validation_alias="AUTH_SERVICE_PORT", description="the HTTP port")
    jwt_private_key: SecretStr | None = Field(None, description="RS256 private key (PEM); publishes its public half")
    jwt_published_keys: SecretStr | None = Field(
        None, description="further RS256 public keys (PEM, one after the other): the next one and the last one"
    )
    registration: Literal["open", "admin"] | None = Field(
        None, description="who may register: open, or only an ADMIN; admin in production"
    )
    admin_email: str | None = Field(None, max_length=255, description="the first ADMIN, made when missing")
    admin_password: SecretStr | None = Field(None, description="its password")
    bcrypt_cost: int = Field(12, ge=4, le=16, description="each step doubles the time of a login")
    hashing_threads: int = Field(2, ge=1, le=32, description="passwords hashed at once")

    @property
    def published_keys(self) -> list[str]:
        """JWT_PUBLISHED_KEYS one by one."""
        return _PEM.findall(self.jwt_published_keys.get_secret_value()) if self.jwt_published_keys else []

    @model_validator(mode="after")
    def _auth_defaults(self) -> Self:
        if self.registration is None:
            self.registration = "admin" if self.app_env == "production" else "open"
        if (self.admin_email is None) != (self.admin_password is None):
            raise ValueError("ADMIN_EMAIL and ADMIN_PASSWORD belong together")
        if self.jwt_published_keys and not (self.jwt_private_key and self.published_keys):
            raise ValueError("JWT_PUBLISHED_KEYS takes keys in PEM and needs JWT_PRIVATE_KEY beside it")
        if self.app_env == "production" and self.bcrypt_cost < 12:
            raise ValueError("BCRYPT_COST below 12 is refused with APP_ENV=production")
        return self

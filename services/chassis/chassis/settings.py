"""Settings: typed, one environment variable per fact, documented on the field. `chassis.environ` reads them.

Where the service's own database is stands in `chassis.postgres`.
"""

import base64
import binascii
import ipaddress
from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from chassis.connections import ConnectionSettings
from chassis.environ import EnvironSettings, variable

PLACEHOLDERS = frozenset(
    {"replace-me-secret", "replace-me", "changeme", "change-me", "password", "password123", "secret", "admin"}
)
SHORTEST_KEY = 32

Names = Annotated[frozenset[str], NoDecode]
"""A list of words in one variable, separated by commas."""


Sampler = Literal[
    "parentbased_always_on",
    "parentbased_always_off",
    "parentbased_traceidratio",
    "always_on",
    "always_off",
    "traceidratio",
]


class TracingSettings(BaseSettings):
    """Whether and where spans go; OpenTelemetry's own names."""

    otel_traces_exporter: Literal["none", "otlp"] = Field("none", description="otlp sends spans, over HTTP")
    otel_exporter_otlp_endpoint: str = Field("http://localhost:4318", description="where an OTLP/HTTP receiver is")
    otel_exporter_otlp_traces_endpoint: str = Field("", description="the same for spans alone, with its whole path")
    otel_traces_sampler: Sampler = Field(
        "parentbased_always_on", description="which traces are recorded; parentbased_: of those that begin here"
    )
    otel_traces_sampler_arg: float = Field(1.0, ge=0, le=1, description="the share, with traceidratio")
    otel_sdk_disabled: bool = Field(False, description="true: no spans, whatever else is said")


class ServiceSettings(TracingSettings, ConnectionSettings, EnvironSettings):
    """What every service is told."""

    model_config = SettingsConfigDict(extra="ignore", populate_by_name=True, hide_input_in_errors=True)

    app_env: Literal["development", "production"] = Field("development", description="production refuses placeholders")
    host: str = Field("::", description="the address to listen on; `::` is every one, of IPv4 too")
    port: int = Field(8000, ge=0, le=65535, description="the HTTP port")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="lines below it are dropped")
    service_roles: Names = Field(
        frozenset({"api", "consumer", "relay"}), description="which roles run in this process, separated by commas"
    )
    trusted_proxies: Names = Field(
        frozenset(), description="networks (CIDR) whose X-Forwarded-* headers are believed, separated by commas"
    )
    management_endpoints_web_exposure_include: Names = Field(
        frozenset({"health", "info", "metrics", "prometheus"}), description="actuator endpoints that are served"
    )
    docs_enabled: bool = Field(True, description="whether /docs is served; /openapi.json always is")
    debug_port: int | None = Field(None, ge=1, le=65535, description="debugpy on loopback; refused in production")
    shutdown_drain_seconds: float = Field(3.0, ge=0, le=60, description="seconds between SIGTERM and closing the door")
    app_version: str = Field("0.1.0", description="shown by /actuator/info")
    disk_space_path: str = Field(
        "", description="a folder whose disk is watched: /actuator/health has diskSpace, DOWN below 10 MiB"
    )

    @field_validator("service_roles", "trusted_proxies", "management_endpoints_web_exposure_include", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return [word.strip() for word in value.split(",") if word.strip()] if isinstance(value, str) else value

    @field_validator("service_roles")
    @classmethod
    def _known_roles(cls, value: frozenset[str]) -> frozenset[str]:
        if unknown := value - {"api", "consumer", "relay"}:
            raise ValueError(f"knows api, consumer and relay, not {', '.join(sorted(unknown))}")
        return value

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, value: frozenset[str]) -> frozenset[str]:
        for network in value:
            try:
                ipaddress.ip_network(network, strict=False)
            except ValueError:
                raise ValueError("lists networks such as 10.0.0.0/8") from None
        return value

    def placeholders(self) -> list[str]:
        """The variables whose secret is one that everybody knows."""
        found = []
        for field_name, field in type(self).model_fields.items():
            secret = getattr(self, field_name)
            unused = field_name == "jwt_secret" and getattr(self, "asymmetric", False)
            if isinstance(secret, SecretStr) and secret.get_secret_value() in PLACEHOLDERS and not unused:
                found.append(variable(field_name, field))
        return found

    @model_validator(mode="after")
    def _fit_for_production(self) -> Self:
        if self.app_env == "production":
            if self.debug_port is not None:
                raise ValueError("DEBUG_PORT is refused with APP_ENV=production")
            for name in self.placeholders():
                raise ValueError(f"{name} is a placeholder, refused with APP_ENV=production")
        return self


class KafkaSettings(BaseSettings):
    """Where Kafka is, and how this service writes to it."""

    kafka_bootstrap_servers: str = Field("kafka:9092", description="host:port, several separated by commas")
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="whether brokers are spoken to over TLS, and whether they want a name"
    )
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        "SCRAM-SHA-512", description="how the name is proven"
    )
    kafka_username: str = Field("", description="the name, with SASL_*")
    kafka_password: SecretStr | None = Field(None, description="its password")
    kafka_ca_file: str = Field("", description="certificates (PEM) that brokers are checked with; empty: the system's")
    kafka_topic_prefix: str = Field("", max_length=64, description="stands before every topic and group on the wire")
    kafka_create_topics: bool = Field(True, description="whether the service creates its topics on start")
    kafka_topic_partitions: int = Field(3, ge=1, le=1000, description="of topics that it creates")
    kafka_replication_factor: int = Field(1, ge=1, le=9, description="of topics that it creates")
    consumer_repair_seconds: float = Field(
        900.0,
        ge=0,
        le=86_400,
        description="how long a group waits for the repair of a bug before messages that meet it become dead letters",
    )
    kafka_producer_batch_size: int = Field(65_536, ge=0, le=1_048_576, description="bytes per partition and batch")
    kafka_producer_linger_ms: int = Field(0, ge=0, le=1000, description="milliseconds that a batch waits for company")

    @model_validator(mode="after")
    def _kafka_name(self) -> Self:
        if self.kafka_security_protocol.startswith("SASL") and not (self.kafka_username and self.kafka_password):
            raise ValueError("KAFKA_SECURITY_PROTOCOL=SASL_* needs KAFKA_USERNAME and KAFKA_PASSWORD")
        return self


class RedisSettings(BaseSettings):
    """Where Redis is."""

    redis_host: str = Field("redis", description="host of Redis or Valkey")
    redis_port: int = Field(6379, ge=1, le=65535, description="its port")
    redis_username: str = Field("", description="the name, where Redis knows several")
    redis_password: SecretStr | None = Field(None, description="its password, if it wants one")
    redis_tls: bool = Field(False, description="whether Redis is spoken to over TLS")
    redis_ca_file: str = Field("", description="certificates (PEM) that Redis is checked with; empty: the system's")
    redis_database: int = Field(0, ge=0, description="its database number")
    redis_timeout_seconds: float = Field(0.25, gt=0, le=10, description="an answer later than this is none")


class CacheSettings(RedisSettings):
    """What is kept in Redis."""

    cache_type: Literal["redis", "none"] = Field("redis", description="none switches the cache off")
    cache_ttl_seconds: int = Field(300, ge=1, le=86_400, description="life of an entry, give or take a tenth")


class TokenSettings(BaseSettings):
    """How tokens are checked."""

    jwt_secret: SecretStr = Field(
        SecretStr("replace-me-secret"), description="HS256 key: text, or base64 after `base64:`; 32 bytes in production"
    )
    jwt_public_key: SecretStr | None = Field(None, description="RS256 public key (PEM); then HS256 is refused")
    jwt_jwks_url: str | None = Field(None, description="where RS256 public keys are published; then HS256 is refused")

    @property
    def asymmetric(self) -> bool:
        """Whether tokens are RS256: the issuer has a private key, the others its public ones."""
        keys = (self.jwt_public_key, self.jwt_jwks_url, getattr(self, "jwt_private_key", None))
        return any(key is not None for key in keys)

    @property
    def jwt_key(self) -> bytes:
        """The HS256 key."""
        text = self.jwt_secret.get_secret_value()
        return (
            base64.b64decode(text.removeprefix("base64:"), validate=True)
            if text.startswith("base64:")
            else text.encode()
        )

    @model_validator(mode="after")
    def _key(self) -> Self:
        try:
            key = self.jwt_key
        except binascii.Error:
            raise ValueError("JWT_SECRET is not base64 after `base64:`") from None
        production = getattr(self, "app_env", "development") == "production"
        if production and not self.asymmetric and len(key) < SHORTEST_KEY:
            raise ValueError(f"JWT_SECRET needs {SHORTEST_KEY} bytes with APP_ENV=production")
        return self

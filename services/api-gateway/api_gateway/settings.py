"""The gateway's settings."""

import re
from typing import Annotated, ClassVar

from chassis.settings import Names, RedisSettings, ServiceSettings, TokenSettings
from pydantic import Field, field_validator
from pydantic_settings import NoDecode

from api_gateway.cors import normal_origin
from api_gateway.quota import Quota
from api_gateway.routes import ROUTES, Upstream

_LIMIT = re.compile(r"([a-z]+)=([0-9]+(?:\.[0-9]+)?)/([0-9]+)")
_NAMES = frozenset({"default"} | {route.quota for route in ROUTES} | {route.name for route in ROUTES})


class Settings(ServiceSettings, RedisSettings, TokenSettings):
    """Where the services are and what a client may ask of the platform."""

    service_name: ClassVar[str] = "api-gateway"

    port: int = Field(4004, ge=0, le=65535, validation_alias="API_GATEWAY_PORT", description="the HTTP port")
    auth_service_url: str = Field("http://auth-service:4005", description="where auth-service is")
    patient_service_url: str = Field("http://patient-service:4000", description="where patient-service is")
    appointment_service_url: str = Field("http://appointment-service:4006", description="where appointment-service is")
    analytics_service_url: str = Field("http://analytics-service:4002", description="where analytics-service is")
    billing_service_url: str = Field("http://billing-service:4001", description="where billing-service is (HTTP)")

    rate_limits: Annotated[dict[str, Quota], NoDecode] = Field(
        default_factory=dict,
        description="requests per second / burst by quota or route, e.g. default=50/100,auth=5/5,patients=20/40",
    )
    cors_allowed_origins: Names = Field(
        frozenset({"http://localhost:3000"}),
        description="origins that browsers may call from, separated by commas; "
        "unset, in development, localhost and 127.0.0.1 on any port too",
    )
    hsts: str = Field("max-age=31536000; includeSubDomains", description="the Strict-Transport-Security header")
    x_xss_protection: str = Field("0", description="the X-XSS-Protection header")
    console_enabled: bool = Field(True, description="whether /console, the operations console for ADMINs, is served")
    api_docs_enabled: bool = Field(True, description="whether /api-docs/* shows the services' OpenAPI documents")

    max_body_bytes: int = Field(1_048_576, ge=0, description="longest request body")
    upstream_connect_seconds: float = Field(2.0, gt=0, description="for a connection to a service")
    upstream_concurrency: int = Field(256, ge=1, description="requests at a time in one service")
    upstream_timeout_seconds: float | None = Field(None, gt=0, description="instead of every route's own timeout")
    redis_timeout_seconds: float = Field(0.1, gt=0, description="for a limit's answer; then the local limit holds")

    @field_validator("rate_limits", mode="before")
    @classmethod
    def _quotas(cls, value: object) -> object:
        limits = {"default": Quota("default", 50, 100), "auth": Quota("auth", 5, 5)}
        for word in value.split(",") if isinstance(value, str) else ():
            matched = _LIMIT.fullmatch(word.strip())
            if matched is None or matched[1] not in _NAMES or not float(matched[2]) or not int(matched[3]):
                raise ValueError(f"lists name=rate/burst, name being one of {', '.join(sorted(_NAMES))}")
            limits[matched[1]] = Quota(matched[1], float(matched[2]), int(matched[3]))
        return value if isinstance(value, dict) and value else limits

    @field_validator("cors_allowed_origins", mode="before")
    @classmethod
    def _origins(cls, value: object) -> object:
        words = [word.strip() for word in value.split(",") if word.strip()] if isinstance(value, str) else value
        return [normal_origin(word) for word in words] if isinstance(words, list) else words

    @property
    def cors_loopback(self) -> bool:
        """Whether browsers on this machine may call, whatever port their page comes from."""
        return self.app_env == "development" and "cors_allowed_origins" not in self.model_fields_set

    @field_validator(
        "auth_service_url", "patient_service_url", "appointment_service_url",
        "analytics_service_url", "billing_service_url",
    )  # fmt: skip
    @classmethod
    def _plain_url(cls, value: str) -> str:
        if not re.fullmatch(r"http://[A-Za-z0-9.\-\[\]:]+", value):
            raise ValueError("has to look like http://host:port")
        return value

    def quota(self, route_name: str, quota_name: str) -> Quota:
        """The quota of a route: its own where one is set."""
        return self.rate_limits.get(route_name) or self.rate_limits[quota_name]

    @property
    def upstream_urls(self) -> dict[Upstream, str]:
        """The address of each service."""
        return {
            "auth-service": self.auth_service_url,
            "patient-service": self.patient_service_url,
            "appointment-service": self.appointment_service_url,
            "analytics-service": self.analytics_service_url,
            "billing-service": self.billing_service_url,
        }

"""What analytics-service is told."""

from typing import ClassVar, Self

from chassis.postgres import DatabaseSettings
from chassis.settings import KafkaSettings, Names, ServiceSettings, TokenSettings
from pydantic import Field, SecretStr, field_validator, model_validator

SINKS = frozenset({"log", "postgresql", "s3", "sns"})


class Settings(ServiceSettings, DatabaseSettings, KafkaSettings, TokenSettings):
    """analytics-service: HTTP, a database, Kafka, tokens, and where events flow to."""

    service_name: ClassVar[str] = "analytics-service"

    port: int = Field(4002, ge=0, le=65535, validation_alias="ANALYTICS_SERVICE_PORT", description="the HTTP port")
    analytics_sinks: Names = Field(
        frozenset({"log", "postgresql"}), description="log, postgresql, s3, sns; several separated by commas"
    )
    analytics_batch_size: int = Field(500, ge=1, le=10_000, description="events of one delivery to a sink")
    analytics_flush_seconds: float = Field(1.0, gt=0, le=600, description="how often a sink is served")
    s3_endpoint_url: str | None = Field(None, description="an S3 server other than AWS, such as LocalStack")
    s3_bucket: str = Field("healthcare-events", min_length=3, max_length=63, description="the bucket of the S3 sink")
    s3_region: str = Field("eu-central-1", description="its region")
    s3_access_key_id: str | None = Field(None, description="unset: as the environment of AWS says")
    s3_secret_access_key: SecretStr | None = Field(None, description="belongs to the access key")
    sns_topic_arn: str | None = Field(
        None,
        pattern=r"^arn:aws[a-z-]*:sns:[a-z0-9-]+:\d{12}:[A-Za-z0-9_-]+(\.fifo)?$",
        description="the SNS sink's topic",
    )
    sns_endpoint_url: str | None = Field(None, description="an SNS server other than AWS, such as LocalStack")
    sns_access_key_id: str | None = Field(None, description="unset: as the environment of AWS says")
    sns_secret_access_key: SecretStr | None = Field(None, description="belongs to the access key")

    @field_validator("analytics_sinks", mode="before")
    @classmethod
    def _sinks(cls, value: object) -> object:
        return [word.strip() for word in value.split(",") if word.strip()] if isinstance(value, str) else value

    @model_validator(mode="after")
    def _known_sinks(self) -> Self:
        if unknown := self.analytics_sinks - SINKS:
            raise ValueError(f"ANALYTICS_SINKS knows {', '.join(sorted(SINKS))}, not {', '.join(sorted(unknown))}")
        if (self.s3_access_key_id is None) != (self.s3_secret_access_key is None):
            raise ValueError("S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY belong together")
        if (self.sns_access_key_id is None) != (self.sns_secret_access_key is None):
            raise ValueError("SNS_ACCESS_KEY_ID and SNS_SECRET_ACCESS_KEY belong together")
        if "sns" in self.analytics_sinks and self.sns_topic_arn is None:
            raise ValueError("ANALYTICS_SINKS names sns, which needs SNS_TOPIC_ARN")
        return self

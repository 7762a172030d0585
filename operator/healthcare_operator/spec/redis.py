"""The cache and the limits' memory: built-in Valkey, one that is there already, or none."""

from typing import Literal

from pydantic import Field

from healthcare_operator.spec.fields import (
    FIXED_VOLUME,
    Host,
    Placement,
    Port,
    Resources,
    SecretName,
    Size,
    Storage,
    Values,
    overrides,
    rule,
    ruled,
)


class SmallStorage(Storage):
    """The volume of a cache."""

    size: Size = Field("1Gi", description="Its size, such as 2Gi.")


class Redis(Placement):
    """The cache and the limits' memory: built-in Valkey, one that is there already, or none."""

    model_config = ruled(
        rule("self.mode != 'external' || has(self.host)", "redis.mode external needs host"),
        rule("self.mode == 'external' || !has(self.host)", "redis.host needs redis.mode external"),
        rule("self.mode == 'external' || !has(self.passwordSecret)", "redis.passwordSecret needs redis.mode external"),
        rule("self.tls || !has(self.caSecret)", "redis.caSecret needs redis.tls"),
        rule("self.mode == 'external' || !self.tls", "redis.tls needs redis.mode external"),
        rule(FIXED_VOLUME, "the volume of the built-in Redis cannot be changed"),
    )
    mode: Literal["builtin", "external", "disabled"] = Field(
        "builtin",
        description=(
            "Who runs the cache. builtin: one Valkey. external: you run Redis or Valkey. disabled: nothing is cached,"
            " and each pod of the gateway counts its limits for itself."
        ),
    )
    storage: SmallStorage = Field(default_factory=SmallStorage, description="builtin: its volume.")
    resources: Resources | None = Field(
        None, description="builtin: its requests and limits. What is left out stays as the chart has it."
    )
    host: Host | None = Field(None, description="external: where it is.")
    port: Port = Field(6379, description="external: its port.")
    username: str = Field("", max_length=255, description="external: the name, where it knows several users.")
    password_secret: SecretName | None = Field(None, description="external: a Secret whose key `password` has it.")
    tls: bool = Field(False, description="external: whether it is spoken to over TLS.")
    ca_secret: SecretName | None = Field(
        None, description="external: a Secret whose key `ca.crt` has the authority to trust, or the public ones."
    )
    values: Values = overrides()

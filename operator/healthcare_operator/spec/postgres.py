"""PostgreSQL: CloudNativePG's, the built-in server, or databases that are there already."""

from typing import Literal

from pydantic import Field, field_validator

from healthcare_operator.spec.fields import (
    FIXED_VOLUME,
    Placement,
    Resources,
    SecretName,
    Storage,
    Values,
    overrides,
    rule,
    ruled,
)
from healthcare_operator.spec.services import SERVICES

_WITH_DATABASE = [name for name in SERVICES if name != "api-gateway"]


class Postgres(Placement):
    """PostgreSQL: CloudNativePG's, the built-in server, or databases that are there already."""

    model_config = ruled(
        rule("self.mode != 'builtin' || self.instances == 1", "the built-in PostgreSQL is one server"),
        rule("self.mode != 'external' || size(self.secrets) > 0", "postgres.mode external needs secrets"),
        rule("self.mode == 'external' || size(self.secrets) == 0", "postgres.secrets needs postgres.mode external"),
        rule("self.mode == 'external' || self.tls == 'disable'", "postgres.tls needs postgres.mode external"),
        rule("self.tls == 'verify-full' || !has(self.caSecret)", "postgres.caSecret needs tls verify-full"),
        rule(f"self.secrets.all(key, key in {_WITH_DATABASE})", "postgres.secrets has a key that is no service"),
        rule(
            "self.secrets.all(one, !self.secrets.exists(two, one != two && self.secrets[one] == self.secrets[two]))",
            "postgres.secrets has one Secret for two services: each needs a database of its own",
        ),
        rule("int(self.version.split('.')[0]) >= 15", "postgres.version has to be 15 or newer"),
        rule("self.mode == oldSelf.mode", "postgres.mode cannot be changed: the data would stay behind"),
        rule(
            "int(self.version.split('.')[0]) >= int(oldSelf.version.split('.')[0])",
            "postgres.version cannot go back to an older major version",
        ),
        rule(
            "self.mode != 'builtin' || self.version.split('.')[0] == oldSelf.version.split('.')[0]",
            "the built-in PostgreSQL cannot change its major version: its files are of the old one",
        ),
        rule(FIXED_VOLUME, "the volume of the built-in PostgreSQL cannot be changed"),
    )
    mode: Literal["cloudnative-pg", "builtin", "external"] = Field(
        "cloudnative-pg",
        description=(
            "Who runs PostgreSQL. cloudnative-pg: the CloudNativePG operator, over TLS. builtin: one server, for"
            " development. external: you do. Each service has a database and a role of its own in every mode."
        ),
    )
    version: str = Field(
        "17",
        max_length=16,
        pattern=r"^[0-9]+(\.[0-9]+)?$",
        description="The version of PostgreSQL, 15 or newer. CloudNativePG upgrades in place, the built-in one cannot.",
    )
    instances: int = Field(1, ge=1, le=9, description="cloudnative-pg: servers. One is written to, the others follow.")
    storage: Storage = Field(default_factory=Storage, description="The volume of each server.")
    resources: Resources | None = Field(
        None, description="Requests and limits of each server. What is left out stays as the chart has it."
    )
    secrets: dict[str, SecretName] = Field(
        default_factory=dict,
        max_length=5,
        description=(
            "external: by service, such as patient-service, the Secret of its database, with the keys username,"
            " password, host, port and dbname."
        ),
    )
    tls: Literal["disable", "require", "verify-full"] = Field(
        "disable", description="external: require encrypts, verify-full also checks the server's certificate and name."
    )
    ca_secret: SecretName | None = Field(
        None, description="A Secret whose key `ca.crt` has the authority that verify-full trusts, or the public ones."
    )
    values: Values = overrides()

    @field_validator("secrets")
    @classmethod
    def _of_services(cls, secrets: dict[str, str]) -> dict[str, str]:
        if unknown := sorted(secrets.keys() - set(_WITH_DATABASE)):
            raise ValueError(f"postgres.secrets has a key that is no service: {unknown[0]}")
        return secrets

"""`.env.example`, the settings and docs/configuration.md say the same."""

import re
import subprocess
from pathlib import Path

import pytest
from chassis.aliases import NAMES, PATIENT_NAMES
from chassis.environ import ConfigurationError, variable
from chassis.settings import PLACEHOLDERS
from hpctl.layout import PORTS
from pydantic import SecretStr

from tests.contract.configuration import PAGE, ROOT, render, settings_classes, variables

EXAMPLE = (ROOT / ".env.example").read_text()
LISTED = dict(re.findall(r"^(?:# )?([A-Z][A-Z0-9_]*)=(.*)$", EXAMPLE, re.MULTILINE))

# Read by containers that are not ours, or by Compose itself.
INFRASTRUCTURE = {
    "DOCKER_NETWORK",
    "JAVA_TOOL_OPTIONS",
    "GRAFANA_PORT",
    "PROMETHEUS_PORT",
    "POSTGRES_USER",
    "POSTGRES_PASSWORD",
    "POSTGRES_DB",
    "PROMETHEUS_CONFIG_LOCAL",
    "PROMETHEUS_CONFIG_CONTAINER",
} | set(re.findall(r"\$\{([A-Z][A-Z0-9_]*)", (ROOT / "docker-compose.yml").read_text()))

DOCUMENTED = {
    "DOCKER_NETWORK": "internal",
    "PATIENT_SERVICE_PORT": "4000",
    "APPOINTMENT_SERVICE_PORT": "4006",
    "ANALYTICS_SERVICE_PORT": "4002",
    "API_GATEWAY_PORT": "4004",
    "AUTH_SERVICE_PORT": "4005",
    "BILLING_SERVICE_HTTP_PORT": "4001",
    "BILLING_SERVICE_GRPC_PORT": "9001",
    "GRAFANA_PORT": "3000",
    "PROMETHEUS_PORT": "9090",
    "REDIS_PORT": "6379",
    "REDIS_HOST": "redis",
    "SPRING_CACHE_TYPE": "redis",
    "SPRING_KAFKA_BOOTSTRAP_SERVERS": "kafka:9092",
    "KAFKA_CFG_ADVERTISED_LISTENERS": "PLAINTEXT://kafka:9092,EXTERNAL://localhost:9094",
    "KAFKA_CFG_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
    "KAFKA_CFG_CONTROLLER_QUORUM_VOTERS": "0@kafka:9093",
    "KAFKA_CFG_LISTENER_SECURITY_PROTOCOL_MAP": "CONTROLLER:PLAINTEXT,EXTERNAL:PLAINTEXT,PLAINTEXT:PLAINTEXT",
    "KAFKA_CFG_LISTENERS": "PLAINTEXT://:9092,CONTROLLER://:9093,EXTERNAL://:9094",
    "KAFKA_CFG_NODE_ID": "0",
    "KAFKA_CFG_PROCESS_ROLES": "controller,broker",
    "POSTGRES_USER": "admin_user",
    "POSTGRES_PASSWORD": "password",
    "POSTGRES_DB": "db",
    "PATIENT_DB_URL": "jdbc:postgresql://patient-service-db:5432/db",
    "PATIENT_DB_USER": "admin_user",
    "PATIENT_DB_PASSWORD": "password",
    "JWT_SECRET": "replace-me-secret",
    "BILLING_SERVICE_ADDRESS": "billing-service",
    "PROMETHEUS_CONFIG_LOCAL": "./monitoring/prometheus.yml",
    "PROMETHEUS_CONFIG_CONTAINER": "/etc/prometheus/prometheus.yml",
}


@pytest.mark.contract("V01")
def test_every_documented_variable_has_its_value() -> None:
    assert {name: LISTED.get(name) for name in DOCUMENTED} == DOCUMENTED


@pytest.mark.contract("V01")
def test_the_example_lists_what_the_settings_read_and_nothing_else() -> None:
    aliases = NAMES | PATIENT_NAMES
    read = set(variables()) | set(PORTS) | {"PORT_OFFSET"} | INFRASTRUCTURE | set(aliases)
    assert {name for name in LISTED if not name.startswith("KAFKA_CFG_")} <= read
    covered = set(LISTED) | {aliases[name] for name in LISTED if name in aliases}
    assert set(variables()) - covered == set()


def test_the_example_is_an_environment_that_every_service_starts_with() -> None:
    active = dict(re.findall(r"^([A-Z][A-Z0-9_]*)=(.*)$", EXAMPLE, re.MULTILINE))
    for settings in settings_classes().values():
        assert settings.from_environ(active)
    patient = settings_classes()["patient-service"].from_environ(active)
    assert patient.database_url == "postgresql://patient-service-db:5432/db"
    assert patient.kafka_bootstrap_servers == "kafka:9092"


@pytest.mark.contract("V06")
def test_env_is_never_committed_and_secrets_in_the_example_are_placeholders() -> None:
    ignored = subprocess.run(["git", "check-ignore", ".env"], cwd=ROOT, capture_output=True, check=False)
    assert ignored.returncode == 0
    assert subprocess.run(["git", "check-ignore", ".env.example"], cwd=ROOT, check=False).returncode == 1
    for name, value in LISTED.items():
        if name.endswith(("PASSWORD", "SECRET", "PRIVATE_KEY", "ACCESS_KEY")):
            assert value == "" or value in PLACEHOLDERS
    assert re.search(r"^# JAVA_TOOL_OPTIONS=", EXAMPLE, re.MULTILINE)


SECRETS = [
    (service, variable(name, field))
    for service, settings in settings_classes().items()
    for name, field in settings.model_fields.items()
    if field.annotation in (SecretStr, SecretStr | None)
]


@pytest.mark.contract("V03")
@pytest.mark.parametrize(("alias", "name"), (NAMES | PATIENT_NAMES).items())
def test_every_alias_means_what_our_own_name_means(alias: str, name: str) -> None:
    texts = {"DATABASE_URL": "jdbc:postgresql://db:1/x", "CACHE_TYPE": "none", "DDL_AUTO": "validate"}
    text = (texts | {"SQL_INIT_MODE": "always", "REDIS_PORT": "1"}).get(name, "something")
    patient = settings_classes()["patient-service"]
    assert patient.from_environ({alias: text}) == patient.from_environ({name: text}) != patient.from_environ({})


@pytest.mark.contract("V06", "D10")
@pytest.mark.parametrize(("service", "name"), SECRETS)
@pytest.mark.parametrize("placeholder", sorted(PLACEHOLDERS))
def test_no_secret_of_any_service_may_be_a_placeholder_in_production(service: str, name: str, placeholder: str) -> None:
    settings = settings_classes()[service]
    with pytest.raises(ConfigurationError, match=name):
        settings.from_environ(fit_for_production(service) | {name: placeholder})


@pytest.mark.parametrize("service", settings_classes())
def test_production_starts_with_real_secrets_and_not_without(service: str) -> None:
    settings, told = settings_classes()[service], fit_for_production(service)
    assert settings.from_environ(told)
    for name in told.keys() & {"JWT_SECRET", "DATABASE_PASSWORD"}:
        with pytest.raises(ConfigurationError, match=name):
            settings.from_environ({other: value for other, value in told.items() if other != name})


@pytest.mark.contract("V06")
@pytest.mark.parametrize(("service", "name"), SECRETS)
def test_every_secret_of_every_service_may_stand_in_a_file(service: str, name: str, tmp_path: Path) -> None:
    file, settings = tmp_path / "secret", settings_classes()[service]
    file.write_text("-----BEGIN PUBLIC KEY-----\nfrom the file\n-----END PUBLIC KEY-----\n")
    told = {"JWT_PRIVATE_KEY": "x"} if name == "JWT_PUBLISHED_KEYS" else {}
    told |= {PARTNERS[name]: "somebody"} if name in PARTNERS else {}
    found = settings.from_environ(told | {f"{name}_FILE": str(file)})
    assert "from the file" in getattr(found, name.lower()).get_secret_value()


PARTNERS = {
    "ADMIN_PASSWORD": "ADMIN_EMAIL",
    "S3_SECRET_ACCESS_KEY": "S3_ACCESS_KEY_ID",
    "SNS_SECRET_ACCESS_KEY": "SNS_ACCESS_KEY_ID",
}


def fit_for_production(service: str) -> dict[str, str]:
    told = {"APP_ENV": "production", "JWT_SECRET": "a key of the tests, and long enough"}
    return told if service == "api-gateway" else told | {"DATABASE_PASSWORD": "one of the tests"}


def test_the_defaults_that_the_example_shows_are_the_defaults() -> None:
    shown = EXAMPLE.partition("everything else that the services read")[2]
    commented = dict(re.findall(r"^# ([A-Z][A-Z0-9_]*)=(.*)$", shown, re.MULTILINE))
    for settings in settings_classes().values():
        names = {variable(name, field) for name, field in settings.model_fields.items()} & commented.keys()
        for name in names:
            told = settings.from_environ({name: commented[name]} if commented[name] else {})
            assert told == settings.from_environ({}), f"{name} of {settings.service_name}"


@pytest.mark.contract("V05")
def test_the_debugger_is_off_unless_asked_for() -> None:
    assert Path(PAGE).read_text() == render(), "run `make contract`"
    for settings in settings_classes().values():
        assert settings.from_environ({}).debug_port is None
        assert settings.from_environ({"DEBUG_PORT": "5005"}).debug_port == 5005

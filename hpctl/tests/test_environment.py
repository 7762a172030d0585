"""What the services of an embedded stack are told, and what stays outside."""

import pytest
from hpctl.environment import environment
from hpctl.layout import PORTS, PORTS_AT_AN_OFFSET, SERVICES, STEP, Layout, service_named

from hpctl import layout as layouts
from tests.compose.platform import DEFAULTS
from tests.ports import BESIDE, CLAIM_PORT, OFFSETS


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """State of its own: passwords are generated here."""
    monkeypatch.setattr(layouts, "ROOT", tmp_path)


@pytest.mark.contract("V02")
@pytest.mark.parametrize("variable", PORTS)
def test_every_port_has_a_variable_and_moves_with_the_offset(variable):
    assert Layout(0, {variable: "12345"}).port(variable) == 12345
    assert Layout(1100, {variable: "12345"}).port(variable) == 13445
    assert Layout(1100, {}).port(variable) == PORTS_AT_AN_OFFSET[variable] + 1100


def test_stacks_at_the_offsets_of_tests_share_no_port_with_one_another_or_with_compose():
    embedded = {port % STEP for port in (*PORTS_AT_AN_OFFSET.values(), CLAIM_PORT)}
    compose = {(port + BESIDE) % STEP for port in (*DEFAULTS.values(), CLAIM_PORT)}
    assert len(embedded) == len(PORTS_AT_AN_OFFSET) + 1
    assert embedded & compose == set()
    assert OFFSETS.step == STEP


@pytest.mark.contract("V07")
def test_demo_data_is_on_unless_the_caller_says_otherwise():
    patient = service_named("patient-service")
    assert environment(Layout(0, {}), patient)["SQL_INIT_MODE"] == "always"
    assert environment(Layout(0, {"SQL_INIT_MODE": "never"}), patient)["SQL_INIT_MODE"] == "never"
    assert environment(Layout(0, {}), patient)["APP_ENV"] == "development"


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
def test_a_shells_other_databases_and_brokers_do_not_leak_in(service):
    shell = {
        "SPRING_DATASOURCE_URL": "jdbc:postgresql://elsewhere/db",
        "PATIENT_DB_URL": "jdbc:postgresql://elsewhere/db",
        "DATABASE_URL": "postgresql://elsewhere/db",
        "KAFKA_BOOTSTRAP_SERVERS": "elsewhere:9092",
        "REDIS_HOST": "elsewhere",
        "JWT_SECRET": "the caller's own secret of more than 32 bytes",
    }
    told = environment(Layout(0, shell), service)
    assert "elsewhere" not in " ".join(told.values())
    assert told["JWT_SECRET"] == shell["JWT_SECRET"]


def test_each_service_has_a_database_a_role_and_a_password_of_its_own():
    told = [environment(Layout(0, {}), service) for service in SERVICES if service.database_port]
    for variable in ("DATABASE_URL", "DATABASE_USER", "DATABASE_PASSWORD"):
        assert len({each[variable] for each in told}) == len(told)
    assert "DATABASE_URL" not in environment(Layout(0, {}), service_named("api-gateway"))

"""Each service's schema migrates up and down, and agrees with its models."""

import importlib

import pytest
from chassis.environ import ConfigurationError
from chassis.migrations import Migrations
from chassis.postgres import DatabaseSettings
from chassis.settings import ServiceSettings

PACKAGES = ["patient_service", "appointment_service", "auth_service", "billing_service", "analytics_service"]


class Settings(ServiceSettings, DatabaseSettings):
    service_name = "migration-test"


@pytest.fixture
def settings(postgres, request) -> Settings:
    name = f"migrate_{abs(hash(request.node.name)) % 10**8}"
    postgres.create_database(name, "secret")
    return Settings.from_environ(
        {
            "DATABASE_URL": f"postgresql://{postgres.host}:{postgres.port}/{name}",
            "DATABASE_USER": name,
            "DATABASE_PASSWORD": "secret",
        }
    )


@pytest.mark.contract("X13")
@pytest.mark.parametrize("package", PACKAGES)
async def test_up_is_what_the_models_say_and_down_leaves_nothing(settings, package, postgres) -> None:
    tables = importlib.import_module(f"{package}.models").TABLES
    migrations = Migrations(settings, package)
    await migrations.migrate()
    assert await migrations.differences(tables) == []
    await migrations.migrate()
    await migrations.downgrade("base")
    left = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version'"
    assert postgres.execute(left, settings.database_user) == "0"
    await migrations.migrate()
    assert await migrations.differences(tables) == []


@pytest.mark.contract("X13", "V04")
async def test_a_database_that_is_behind_is_refused_and_one_that_is_ahead_is_left_alone(settings, postgres) -> None:
    validating = Migrations(settings.model_copy(update={"ddl_auto": "validate"}), "patient_service")
    with pytest.raises(ConfigurationError, match="behind"):
        await validating.start()
    await Migrations(settings, "patient_service").start()
    await validating.start()
    postgres.execute("UPDATE alembic_version SET version_num = '9999'", settings.database_user)
    await validating.start()
    await Migrations(settings, "patient_service").start()
    assert postgres.execute("SELECT version_num FROM alembic_version", settings.database_user) == "9999"
    await Migrations(settings.model_copy(update={"ddl_auto": "none"}), "patient_service").start()


@pytest.mark.contract("Q16", "Q17", "Q18")
async def test_the_appointment_tables_are_the_documented_ones(settings, postgres) -> None:
    await Migrations(settings, "appointment_service").migrate()

    def columns(table: str) -> dict[str, tuple[str, ...]]:
        listed = postgres.execute(
            "SELECT column_name, data_type, coalesce(character_maximum_length, 0), is_nullable,"
            f" coalesce(column_default, '') FROM information_schema.columns WHERE table_name = '{table}'",
            settings.database_user,
        )
        return {line.split("|")[0]: tuple(line.split("|")[1:]) for line in listed.splitlines()}

    timestamp = "timestamp without time zone"
    appointment = columns("appointment")
    assert appointment["id"] == ("uuid", "0", "NO", "")
    assert appointment["patient_id"] == ("uuid", "0", "NO", "")
    assert appointment["start_time"] == (timestamp, "0", "NO", "")
    assert appointment["end_time"] == (timestamp, "0", "NO", "")
    assert appointment["notes"] == ("text", "0", "YES", "")
    assert appointment["status"] == ("character varying", "32", "NO", "'SCHEDULED'::character varying")
    assert appointment["created_at"] == (timestamp, "0", "NO", "now()")
    assert appointment["updated_at"] == (timestamp, "0", "NO", "now()")
    cached = columns("cached_patient")
    widths = {name: cached[name][1] for name in ("name", "email", "phone", "address")}
    assert widths == {"name": "255", "email": "255", "phone": "64", "address": "255"}
    assert cached["patient_id"][0] == "uuid"
    assert cached["updated_at"] == (timestamp, "0", "NO", "now()")
    indexes = "SELECT indexname FROM pg_indexes WHERE tablename = 'appointment'"
    assert "idx_appointment_patient_id" in postgres.execute(indexes, settings.database_user)

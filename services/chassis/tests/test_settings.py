"""Settings: the names of the Spring world, secrets in files, and what production refuses."""

import os
import subprocess
import sys

import pytest
from chassis.environ import ConfigurationError
from chassis.postgres import DatabaseSettings
from chassis.settings import CacheSettings, KafkaSettings, ServiceSettings, TokenSettings


class Settings(ServiceSettings, DatabaseSettings, KafkaSettings, CacheSettings, TokenSettings):
    service_name = "patient-service"


class Other(Settings):
    service_name = "auth-service"


GOOD = {"APP_ENV": "production", "JWT_SECRET": "x" * 32, "DATABASE_PASSWORD": "a real one"}


@pytest.mark.contract("V03")
@pytest.mark.parametrize(
    ("alias", "text", "field", "value"),
    [
        ("SPRING_DATASOURCE_URL", "jdbc:postgresql://db:5432/x", "database_url", "postgresql://db:5432/x"),
        ("PATIENT_DB_URL", "jdbc:postgresql://db:5432/x", "database_url", "postgresql://db:5432/x"),
        ("SPRING_DATASOURCE_USERNAME", "me", "database_user", "me"),
        ("PATIENT_DB_USER", "me", "database_user", "me"),
        ("SPRING_DATA_REDIS_HOST", "cache", "redis_host", "cache"),
        ("SPRING_DATA_REDIS_PORT", "6380", "redis_port", 6380),
        ("SPRING_CACHE_TYPE", "none", "cache_type", "none"),
        ("SPRING_KAFKA_BOOTSTRAP_SERVERS", "k:1", "kafka_bootstrap_servers", "k:1"),
        ("SPRING_JPA_HIBERNATE_DDL_AUTO", "validate", "ddl_auto", "validate"),
        ("SPRING_SQL_INIT_MODE", "always", "sql_init_mode", "always"),
    ],
)
def test_the_names_of_the_spring_world_are_understood(alias, text, field, value) -> None:
    assert getattr(Settings.from_environ({alias: text}), field) == value


@pytest.mark.contract("V03")
def test_passwords_have_aliases_too_and_our_own_name_wins() -> None:
    assert Settings.from_environ({"SPRING_DATASOURCE_PASSWORD": "p"}).database_password.get_secret_value() == "p"
    both = {"SPRING_DATASOURCE_PASSWORD": "p", "DATABASE_PASSWORD": "q"}
    assert Settings.from_environ(both).database_password.get_secret_value() == "q"
    inside = Settings.from_environ({"DATABASE_URL": "jdbc:postgresql://h:1/d?user=u&password=w&ssl=false"})
    assert (inside.database_url, inside.database_user) == ("postgresql://h:1/d", "u")
    assert inside.database_password.get_secret_value() == "w"
    assert Other.from_environ({"PATIENT_DB_URL": "jdbc:postgresql://db:5432/x"}).database_url.endswith(
        "auth-service-db:5432/db"
    )


@pytest.mark.contract("V03")
@pytest.mark.parametrize(
    ("url", "field", "value"),
    [
        ("postgresql://me:p%40ss%3A%2Fword@h/d", "database_password", "p@ss:/word"),
        ("jdbc:postgresql://h/d?user=me&password=p%40ss", "database_password", "p@ss"),
        ("postgresql://m%40e:w@h/d", "database_user", "m@e"),
        ("jdbc:postgresql://h/d?sslmode=require", "database_tls", "require"),
        ("jdbc:postgresql://h/d?sslmode=verify-ca", "database_tls", "verify-full"),
        ("jdbc:postgresql://h/d?sslmode=prefer", "database_tls", "disable"),
        ("jdbc:postgresql://h/d?ssl=true", "database_tls", "verify-full"),
        ("jdbc:postgresql://h/d?sslmode=verify-full&sslrootcert=/ca.pem", "database_ca_file", "/ca.pem"),
        ("jdbc:postgresql://[::1]:5432/d", "database_url", "postgresql://[::1]:5432/d"),
    ],
)
def test_what_a_url_says_beside_the_address_is_kept(url, field, value) -> None:
    found = getattr(Settings.from_environ({"DATABASE_URL": url}), field)
    assert (found.get_secret_value() if field == "database_password" else found) == value


def test_a_file_beside_a_url_wins_over_the_password_in_it(tmp_path) -> None:
    (tmp_path / "secret").write_text("from the file")
    told = {"DATABASE_URL": "postgresql://u:w@h/d", "DATABASE_PASSWORD_FILE": str(tmp_path / "secret")}
    assert Settings.from_environ(told).database_password.get_secret_value() == "from the file"


@pytest.mark.contract("V06")
@pytest.mark.parametrize(("content", "words"), [(b"", "empty"), (b" \n", "empty"), (b"\xff\xfe", "not text")])
def test_a_file_without_a_secret_is_none(tmp_path, content, words) -> None:
    """Otherwise an empty key would sign tokens, and an empty password would pass for one in production."""
    (tmp_path / "secret").write_bytes(content)
    with pytest.raises(ConfigurationError, match=f"JWT_SECRET_FILE .*{words}"):
        Settings.from_environ({"JWT_SECRET_FILE": str(tmp_path / "secret")})


@pytest.mark.contract("V06")
def test_every_secret_may_stand_in_a_file(tmp_path) -> None:
    file = tmp_path / "secret"
    file.write_text("from the file\n")
    for name, field in (("DATABASE_PASSWORD", "database_password"), ("JWT_SECRET", "jwt_secret")):
        assert getattr(Settings.from_environ({f"{name}_FILE": str(file)}), field).get_secret_value() == "from the file"
    alias = Settings.from_environ({"SPRING_DATASOURCE_PASSWORD_FILE": str(file)})
    assert alias.database_password.get_secret_value() == "from the file"
    with pytest.raises(ConfigurationError, match="JWT_SECRET_FILE"):
        Settings.from_environ({"JWT_SECRET_FILE": "/nowhere"})
    with pytest.raises(ConfigurationError, match="both set"):
        Settings.from_environ({"JWT_SECRET_FILE": str(file), "JWT_SECRET": "x"})


@pytest.mark.contract("V06", "D10")
@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"JWT_SECRET": "replace-me-secret"}, "JWT_SECRET"),
        ({"JWT_SECRET": ""}, "JWT_SECRET"),
        ({"JWT_SECRET": "short-but-not-a-placeholder"}, "JWT_SECRET"),
        ({"DATABASE_PASSWORD": "password"}, "DATABASE_PASSWORD"),
        ({"DATABASE_PASSWORD": ""}, "DATABASE_PASSWORD"),
        ({"DEBUG_PORT": "5678"}, "DEBUG_PORT"),
        ({"SQL_INIT_MODE": "always"}, "SQL_INIT_MODE"),
    ],
)
def test_production_refuses_placeholders_and_doors(change, named) -> None:
    assert Settings.from_environ(GOOD)
    with pytest.raises(ConfigurationError, match=named):
        Settings.from_environ(GOOD | change)


@pytest.mark.contract("D10")
def test_outside_production_placeholders_work_and_are_named_for_the_warning() -> None:
    assert set(Settings.from_environ({}).placeholders()) == {"JWT_SECRET", "DATABASE_PASSWORD"}
    assert Settings.from_environ(GOOD).placeholders() == []


@pytest.mark.contract("V07")
def test_defaults_depend_on_the_environment() -> None:
    assert Settings.from_environ({}).ddl_auto == "update"
    assert Settings.from_environ(GOOD).ddl_auto == "validate"
    assert Settings.from_environ({}).sql_init_mode == "never"
    assert Settings.from_environ({}).debug_port is None


@pytest.mark.contract("X14", "V04")
@pytest.mark.parametrize(
    ("environ", "named"),
    [
        ({"REDIS_PORT": "sixty"}, "REDIS_PORT"),
        ({"CACHE_TYPE": "memory"}, "CACHE_TYPE"),
        ({"DDL_AUTO": "create-drop"}, "DDL_AUTO"),
        ({"DATABASE_URL": "mysql://h/d"}, "DATABASE_URL"),
        ({"DATABASE_URL": "jdbc:postgresql:sixty"}, "DATABASE_URL"),
        ({"DATABASE_URL": "postgresql://h:sixty/d"}, "DATABASE_URL"),
        ({"DATABASE_URL": "postgresql://h/d?sslmode=sixty"}, "DATABASE_TLS"),
        ({"SERVICE_ROLES": "api,boss"}, "SERVICE_ROLES"),
        ({"TRUSTED_PROXIES": "everyone"}, "TRUSTED_PROXIES"),
        ({"JWT_SECRET": "base64:%%%"}, "JWT_SECRET"),
    ],
)
def test_what_is_wrong_is_one_sentence_that_names_the_variable_and_not_its_value(environ, named) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Settings.from_environ(environ)
    sentence = str(caught.value)
    assert named in sentence
    assert "\n" not in sentence
    assert "sixty" not in sentence
    assert "%%%" not in sentence


@pytest.mark.contract("X14")
def test_a_service_says_so_with_exit_code_2() -> None:
    environ = {"PATH": os.environ["PATH"], "APP_ENV": "production"}
    done = subprocess.run(
        [sys.executable, "-m", "patient_service"], env=environ, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1
    assert "APP_ENV=production" in done.stderr


@pytest.mark.contract("E12", "E14")
def test_the_producer_and_the_topics_are_tuned_by_settings() -> None:
    tuned = Settings.from_environ(
        {"KAFKA_PRODUCER_BATCH_SIZE": "1", "KAFKA_PRODUCER_LINGER_MS": "7", "KAFKA_TOPIC_PARTITIONS": "12"}
    )
    assert (tuned.kafka_producer_batch_size, tuned.kafka_producer_linger_ms) == (1, 7)
    assert (tuned.kafka_topic_partitions, Settings.from_environ({}).kafka_replication_factor) == (12, 1)

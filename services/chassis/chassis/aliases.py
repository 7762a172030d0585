"""The only place that knows what our settings were called in the Spring world."""

from collections.abc import Mapping
from urllib.parse import parse_qs, urlsplit

NAMES = {
    "SPRING_DATASOURCE_URL": "DATABASE_URL",
    "SPRING_DATASOURCE_USERNAME": "DATABASE_USER",
    "SPRING_DATASOURCE_PASSWORD": "DATABASE_PASSWORD",
    "SPRING_DATA_REDIS_HOST": "REDIS_HOST",
    "SPRING_DATA_REDIS_PORT": "REDIS_PORT",
    "SPRING_CACHE_TYPE": "CACHE_TYPE",
    "SPRING_KAFKA_BOOTSTRAP_SERVERS": "KAFKA_BOOTSTRAP_SERVERS",
    "SPRING_JPA_HIBERNATE_DDL_AUTO": "DDL_AUTO",
    "SPRING_SQL_INIT_MODE": "SQL_INIT_MODE",
}
PATIENT_NAMES = {
    "PATIENT_DB_URL": "DATABASE_URL",
    "PATIENT_DB_USER": "DATABASE_USER",
    "PATIENT_DB_PASSWORD": "DATABASE_PASSWORD",
}
JDBC = "jdbc:"


def canonical(environ: Mapping[str, str], service_name: str) -> dict[str, str]:
    """The environment under our names. Our own name wins over an alias; a JDBC URL becomes an ordinary one.

    A user or password inside a URL (`?user=…&password=…` or `user:password@`) becomes DATABASE_USER and
    DATABASE_PASSWORD.
    """
    ours = {name: value for name, value in environ.items() if value}
    names = NAMES | (PATIENT_NAMES if service_name == "patient-service" else {})
    for alias, name in names.items():
        for suffix in ("", "_FILE"):
            if alias + suffix in ours and not (name in ours or f"{name}_FILE" in ours):
                ours[name + suffix] = ours[alias + suffix]
    if url := ours.get("DATABASE_URL"):
        ours = _taken_apart(url) | ours | {"DATABASE_URL": _plain(url)}
    return ours


def _plain(url: str) -> str:
    parts = urlsplit(url.removeprefix(JDBC))
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _taken_apart(url: str) -> dict[str, str]:
    parts = urlsplit(url.removeprefix(JDBC))
    query = parse_qs(parts.query)
    user = parts.username or next(iter(query.get("user", [])), None)
    password = parts.password or next(iter(query.get("password", [])), None)
    return {
        name: value for name, value in (("DATABASE_USER", user), ("DATABASE_PASSWORD", password)) if value is not None
    }

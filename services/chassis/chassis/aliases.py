"""The only place that knows what our settings were called in the Spring world."""

from collections.abc import Mapping
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

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
_TLS = {"disable": "disable", "allow": "disable", "prefer": "disable", "verify-ca": "verify-full"}


def canonical(environ: Mapping[str, str], service_name: str) -> dict[str, str]:
    """The environment under our names. Our own name wins over an alias; a JDBC URL becomes an ordinary one.

    A user or password inside a URL (`?user=…&password=…` or `user:password@`) becomes DATABASE_USER and
    DATABASE_PASSWORD; `sslmode` and `sslrootcert` become DATABASE_TLS and DATABASE_CA_FILE.
    """
    ours = {name: value for name, value in environ.items() if value}
    names = NAMES | (PATIENT_NAMES if service_name == "patient-service" else {})
    for alias, name in names.items():
        for suffix in ("", "_FILE"):
            if alias + suffix in ours and not (name in ours or f"{name}_FILE" in ours):
                ours[name + suffix] = ours[alias + suffix]
    if url := ours.get("DATABASE_URL"):
        parts = urlsplit(url.removeprefix(JDBC))
        inside = {name: value for name, value in _inside(parts).items() if value and f"{name}_FILE" not in ours}
        plain = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}" if parts.netloc else url
        ours = inside | ours | {"DATABASE_URL": plain}
    return ours


def _inside(parts: SplitResult) -> dict[str, str | None]:
    query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    user, _, password = parts.netloc.rpartition("@")[0].partition(":")
    mode = query.get("sslmode") or ("verify-full" if query.get("ssl") == "true" else "")
    return {
        "DATABASE_USER": unquote(user) or query.get("user"),
        "DATABASE_PASSWORD": unquote(password) or query.get("password"),
        "DATABASE_TLS": _TLS.get(mode, mode),
        "DATABASE_CA_FILE": query.get("sslrootcert"),
    }

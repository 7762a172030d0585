"""Names, passwords and TLS towards Kafka and Redis, from the settings to what each client wants to hear."""

import contextlib
import ssl
from typing import TYPE_CHECKING, Any

from chassis.environ import ConfigurationError
from chassis.settings import KafkaSettings, RedisSettings

if TYPE_CHECKING:
    from faststream.security import BaseSecurity


class _Leaving(ssl.SSLObject):
    """Says farewell and does not wait for the other's, which TLS does not ask for (RFC 8446, 6.1).

    A broker that is in the middle of an answer gives none: then each end of a connection lasted the event loop's 30 s.
    """

    def unwrap(self) -> None:
        """Sends close_notify."""
        with contextlib.suppress(ssl.SSLWantReadError):
            super().unwrap()


def tls(variable: str, ca_file: str) -> ssl.SSLContext:
    """A client's context that checks certificate and name, with these certificates or the system's.

    Raises:
        ConfigurationError: the file of certificates cannot be read; names the variable.
    """
    try:
        context = ssl.create_default_context(cafile=ca_file or None)
    except (OSError, ssl.SSLError) as error:
        why = getattr(error, "strerror", None) or "it holds no certificate"
        raise ConfigurationError(f"{variable} names a file of certificates that cannot be read ({why})") from None
    context.sslobject_class = _Leaving
    return context


def redis_tls(settings: RedisSettings) -> ssl.SSLContext | None:
    """The event loop's `ssl`."""
    return tls("REDIS_CA_FILE", settings.redis_ca_file) if settings.redis_tls else None


def kafka_client(settings: KafkaSettings) -> dict[str, Any]:
    """What every aiokafka client is made with: where the brokers are, and how they are spoken to."""
    options: dict[str, Any] = {
        "bootstrap_servers": settings.kafka_bootstrap_servers,
        "security_protocol": settings.kafka_security_protocol,
    }
    if settings.kafka_security_protocol.endswith("SSL"):
        options["ssl_context"] = tls("KAFKA_CA_FILE", settings.kafka_ca_file)
    if settings.kafka_security_protocol.startswith("SASL") and settings.kafka_password is not None:
        options["sasl_mechanism"] = settings.kafka_sasl_mechanism
        options["sasl_plain_username"] = settings.kafka_username
        options["sasl_plain_password"] = settings.kafka_password.get_secret_value()
    return options


def kafka_broker(settings: KafkaSettings) -> "BaseSecurity | None":
    """The same for FastStream's broker, which who consumes nothing need not load."""
    from faststream.security import BaseSecurity, SASLPlaintext, SASLScram256, SASLScram512

    encrypted = settings.kafka_security_protocol.endswith("SSL")
    context = tls("KAFKA_CA_FILE", settings.kafka_ca_file) if encrypted else None
    if settings.kafka_security_protocol.startswith("SASL") and settings.kafka_password is not None:
        kinds = {"PLAIN": SASLPlaintext, "SCRAM-SHA-256": SASLScram256, "SCRAM-SHA-512": SASLScram512}
        kind = kinds[settings.kafka_sasl_mechanism]
        password = settings.kafka_password.get_secret_value()
        return kind(username=settings.kafka_username, password=password, ssl_context=context, use_ssl=encrypted)
    return BaseSecurity(ssl_context=context, use_ssl=True) if encrypted else None

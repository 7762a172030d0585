"""Credentials that the operator makes: once, 256 bits each, kept in Secrets and never anywhere else."""

import base64
import secrets
from collections.abc import Callable, Mapping

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from healthcare_operator.platform import Manifest, Platform
from healthcare_operator.render import CREDENTIALS, belonging
from healthcare_operator.service_values import WITH_DATABASE, database_of, kafka_secrets

Make = Callable[[], str]

SALT = "salt"
"""In each Secret, so that a digest of it tells nothing even of a password that a person chose and put there."""


def password() -> str:
    """256 bits as URL-safe text."""
    return secrets.token_urlsafe(32)


def private_key() -> str:
    """An RSA key for RS256, PEM (PKCS #8)."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def wanted(platform: Platform) -> dict[str, dict[str, str | Make]]:
    """Secret → its keys; a value that is made is made once, a plain one follows the spec."""
    spec = platform.spec
    found: dict[str, dict[str, str | Make]] = {}
    if spec.postgres.mode != "external":
        host = platform.named("postgres") + ("-rw" if spec.postgres.mode == "cloudnative-pg" else "")
        for service in WITH_DATABASE:
            name = database_of(service)
            found[platform.named(f"{service}-db")] = {
                "username": name,
                "password": password,
                "host": host,
                "port": "5432",
                "dbname": name,
            }
    if spec.postgres.mode == "builtin":
        found[platform.named("postgres-superuser")] = {"password": password}
    if spec.kafka.mode == "strimzi":
        for secret in kafka_secrets(platform).values():
            found[secret] = {"password": password}
    if spec.redis.mode == "builtin":
        found[platform.named("redis")] = {"password": password}
    if spec.auth.existing_secret is None:
        found[platform.named("auth")] = {"jwt-private-key": private_key}
    if spec.auth.admin_email:
        found[platform.named("admin")] = {"password": password}
    if spec.monitoring.mode in ("prometheus-operator", "builtin") and spec.monitoring.grafana:
        found[platform.named("grafana")] = {"username": "admin", "password": password}
    return found


def manifests(platform: Platform, existing: Mapping[str, Manifest]) -> list[Manifest]:
    """The Secrets as they have to be; what was made before stays what it is."""
    return [
        belonging(platform, CREDENTIALS, _manifest(name, {**keys, SALT: password}, existing.get(name)))
        for name, keys in wanted(platform).items()
    ]


def _manifest(name: str, keys: Mapping[str, str | Make], existing: Manifest | None) -> Manifest:
    held = (existing or {}).get("data") or {}
    data = {
        key: held[key] if callable(value) and key in held else _encoded(value() if callable(value) else value)
        for key, value in keys.items()
    }
    kind = "kubernetes.io/basic-auth" if {"username", "password"} <= keys.keys() else "Opaque"
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "type": kind, "data": data}


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()

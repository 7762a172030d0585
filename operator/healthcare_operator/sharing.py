"""Servers of others that two platforms would share: their data would mix, so the younger one is not worked on; pure.

What counts is the name that a spec or a Secret gives: two names of one server are not recognised as such.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field

from healthcare_operator.platform import Manifest, Platform
from healthcare_operator.service_values import WITH_REDIS

Key = tuple[str, str]
"""Namespace and name."""

Stores = frozenset[str]
"""What a platform keeps on servers of others, each as a sentence names it."""


@dataclass
class Ledger:
    """Who keeps what where, of all platforms seen; the age of each is the time of its creation (RFC 3339)."""

    ages: dict[Key, str] = field(default_factory=dict)
    stores: dict[Key, Stores] = field(default_factory=dict)

    def note(self, key: Key, age: str, stores: Stores) -> None:
        """What is known of a platform from now on."""
        self.ages[key], self.stores[key] = age, stores

    def forget(self, key: Key) -> None:
        """The platform is gone."""
        self.ages.pop(key, None)
        self.stores.pop(key, None)

    def rival(self, key: Key) -> tuple[Key, str] | None:
        """The oldest platform that is older than this one and keeps data in the same place, and that place."""
        own = (self.ages[key], key)
        older = sorted((age, other) for other, age in self.ages.items() if (age, other) < own)
        for _, other in older:
            if shared := sorted(self.stores[key] & self.stores[other]):
                return other, shared[0]
        return None


def fault(rival: Key, shared: str) -> str:
    """Why the younger one is not worked on."""
    return f"{'/'.join(rival)}, which is older, has {shared} already: the two would mix their data."


def stores(platform: Platform, secrets: Mapping[str, Manifest]) -> Stores:
    """What a platform keeps on servers of others, given the Secrets that its spec names and that are there."""
    return frozenset(_databases(platform, secrets) | _topics(platform) | _cache(platform))


def _databases(platform: Platform, secrets: Mapping[str, Manifest]) -> set[str]:
    spec = platform.spec.postgres
    named = [secrets[name] for name in spec.secrets.values() if name in secrets] if spec.mode == "external" else []
    found = [{key: _plain(text) for key, text in (each.get("data") or {}).items()} for each in named]
    return {
        f"the database {each['dbname']} of {_server(platform, each['host'], each['port'])}"
        for each in found
        if each.keys() >= {"host", "port", "dbname"}
    }


def _topics(platform: Platform) -> set[str]:
    spec = platform.spec.kafka
    servers = (spec.bootstrap_servers or "").split(",") if spec.mode == "external" else []
    prefix = f"the topicPrefix {spec.topic_prefix}" if spec.topic_prefix else "no topicPrefix"
    return {f"{prefix} on the Kafka {_server(platform, *each.rpartition(':')[::2])}" for each in servers if each}


def _cache(platform: Platform) -> set[str]:
    spec = platform.spec.redis
    if spec.mode != "external" or not spec.host:
        return set()
    numbers = {platform.spec.services.get(name).env.get("REDIS_DATABASE", "0") for name in WITH_REDIS}
    return {f"the database {each} of the Redis {_server(platform, spec.host, str(spec.port))}" for each in numbers}


def _server(platform: Platform, host: str, port: str) -> str:
    """A Service's short name is one of the platform's namespace."""
    name = host.strip().lower().rstrip(".").removesuffix(".cluster.local").removesuffix(".svc")
    return f"{name if '.' in name else f'{name}.{platform.namespace}'}:{port.strip()}"


def _plain(text: str) -> str:
    return base64.b64decode(text).decode(errors="replace")

"""Two platforms on the same servers of others: the younger one is told, and nothing is made of it."""

import base64
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

import pytest
from healthcare_operator.platform import Platform
from healthcare_operator.sharing import Ledger, stores
from healthcare_operator.spec import Spec

from tests.cluster.controlplane import ControlPlane, eventually
from tests.operator.platforms import BUILTIN, Platforms
from tests.operator.process import Operator

pytestmark = pytest.mark.contract("X18")

SERVICES = ("auth", "billing", "patient", "appointment", "analytics")
POSTGRES = {"mode": "external", "secrets": {f"{name}-service": f"db-{name}" for name in SERVICES}}


def logins(platforms: Platforms, host: str) -> None:
    """The Secrets of five databases of one server."""
    for name in SERVICES:
        given = {"username": "us", "password": "x", "host": host, "port": "5432", "dbname": name}
        words = [f"--from-literal={key}={value}" for key, value in given.items()]
        platforms.kubectl("create", "secret", "generic", f"db-{name}", *words)


def host(platforms: Platforms) -> str:
    """A server that no other test speaks of."""
    return f"{platforms.namespace}.db.example"


def grown_older(platforms: Platforms, name: str = "care") -> None:
    """Wait until the next platform is certainly younger: an age is told in whole seconds."""
    made = datetime.fromisoformat(platforms.there("hcp", name)["metadata"]["creationTimestamp"])
    eventually(lambda: datetime.now(UTC) > made + timedelta(seconds=1), "the next second", 60)


@pytest.fixture
def elsewhere(cluster: ControlPlane, platforms: Platforms) -> Platforms:
    """Platforms in another namespace."""
    return Platforms(cluster, cluster.namespace("elsewhere"))


def test_the_younger_of_two_platforms_on_the_same_databases_is_not_worked_on(
    platforms: Platforms, elsewhere: Platforms
) -> None:
    logins(platforms, host(platforms))
    logins(elsewhere, host(platforms).upper() + ".")
    platforms.apply({**BUILTIN, "postgres": POSTGRES})
    platforms.ready()
    grown_older(platforms)
    elsewhere.apply({**BUILTIN, "postgres": POSTGRES})
    told = elsewhere.holds("Stalled", "True", "InvalidSpec")["message"]
    assert told == (
        f"{platforms.namespace}/care, which is older, has the database analytics of {host(platforms)}:5432 already:"
        " the two would mix their data."
    )
    assert elsewhere.children() == {}
    platforms.edit({"services": {"billing-service": {"env": {"LOG_LEVEL": "debug"}}}})
    platforms.ready()
    platforms.kubectl("delete", "hcp", "care", "--timeout=20s")
    elsewhere.ready()


def test_an_operator_that_starts_again_decides_as_before(platforms: Platforms, operator: Operator) -> None:
    """Whichever platform it comes to first."""
    redis = {"mode": "external", "host": f"{platforms.namespace}.cache.example"}
    for name in ("zoe", "adam"):
        platforms.apply({**BUILTIN, "redis": redis}, name)
        eventually(lambda name=name: platforms.status(name), f"a pass over {name}", 60)
        grown_older(platforms, name)
    said = platforms.holds("Stalled", "True", name="adam")["message"]
    assert said.startswith(f"{platforms.namespace}/zoe, which is older, has the database 0 of the Redis ")
    platforms.ready("zoe")
    operator.kill()
    platforms.edit({"demoData": False}, "adam")
    operator.start()
    eventually(lambda: platforms.status("adam")["observedGeneration"] == 2, "a pass over the edit", 60)
    assert platforms.condition("Stalled", "adam")["status"] == "True"
    assert platforms.children(name="adam") == {}
    platforms.ready("zoe")
    other = {f"{name}-service": {"env": {"REDIS_DATABASE": "1"}} for name in ("patient", "appointment")}
    platforms.edit({"services": {**other, "api-gateway": {"env": {"REDIS_DATABASE": "1"}}}}, "adam")
    platforms.ready("adam")


KAFKA = {"mode": "external", "bootstrapServers": "b-1.example:9092,b-2.example:9092"}
REDIS = {"mode": "external", "host": "cache.example"}
SHARED: list[tuple[dict[str, Any], dict[str, Any], str, str]] = [
    ({"kafka": KAFKA}, {"kafka": {**KAFKA, "bootstrapServers": "b-2.example:9092"}}, "there", "no topicPrefix on the "),
    ({"kafka": {**KAFKA, "topicPrefix": "a."}}, {"kafka": KAFKA}, "there", ""),
    (
        {"kafka": {**KAFKA, "topicPrefix": "a."}},
        {"kafka": {**KAFKA, "topicPrefix": "a."}},
        "there",
        "the topicPrefix a.",
    ),
    ({"kafka": KAFKA}, {"kafka": {**KAFKA, "bootstrapServers": "b-1.example:9093"}}, "there", ""),
    ({"redis": REDIS}, {"redis": {**REDIS, "port": 6379}}, "there", "the database 0 of the Redis "),
    ({"redis": REDIS}, {"redis": {**REDIS, "port": 6380}}, "there", ""),
    ({"redis": {**REDIS, "host": "cache"}}, {"redis": {**REDIS, "host": "cache"}}, "there", ""),
    ({"redis": {**REDIS, "host": "cache"}}, {"redis": {**REDIS, "host": "cache"}}, "here", "the database 0 of"),
    (
        {"redis": {**REDIS, "host": "c"}},
        {"redis": {**REDIS, "host": "c.here.svc.cluster.local"}},
        "there",
        "the database",
    ),
    ({"postgres": POSTGRES}, {"postgres": POSTGRES}, "there", "the database db-analytics of db.example:5432"),
    ({}, {}, "here", ""),
]


@pytest.mark.parametrize(("one", "two", "namespace", "shared"), SHARED)
def test_what_two_platforms_share(one: dict[str, Any], two: dict[str, Any], namespace: str, shared: str) -> None:
    ledger = Ledger()
    for number, (name, where, spec) in enumerate([("one", "here", one), ("two", namespace, two)]):
        platform = Platform(name, where, "uid", 1, Spec.model_validate(spec))
        ledger.note((where, name), f"2026-01-02T03:04:0{number}Z", stores(platform, _secrets()))
    assert ledger.rival(("here", "one")) is None
    found = ledger.rival((namespace, "two"))
    assert bool(found) == bool(shared)
    assert not found or (found[0] == ("here", "one") and found[1].startswith(shared))


def _secrets() -> dict[str, Any]:
    return {
        f"db-{name}": {
            "data": {
                key: base64.b64encode(text.encode()).decode()
                for key, text in {"host": "db.example", "port": "5432", "dbname": f"db-{name}"}.items()
            }
        }
        for name in SERVICES
    }


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_the_oldest_is_the_rival_in_whatever_order_they_are_seen(order: tuple[int, ...]) -> None:
    """Two that were made in the same second are told apart by their names."""
    seen = [
        (("b", "x"), "2026-01-02T03:04:05Z"),
        (("a", "y"), "2026-01-02T03:04:05Z"),
        (("a", "x"), "2026-01-02T03:05:00Z"),
    ]
    ledger = Ledger()
    for each in order:
        ledger.note(*seen[each], frozenset({"the database"}))
    assert ledger.rival(("a", "y")) is None
    assert ledger.rival(("b", "x")) == (("a", "y"), "the database")
    assert ledger.rival(("a", "x")) == (("a", "y"), "the database")
    ledger.forget(("a", "y"))
    assert ledger.rival(("b", "x")) is None

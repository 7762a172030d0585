"""Every kind of answer that is none, at every stage of a pass: it concerns what was asked for and nothing else."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
from healthcare_operator.api import Api
from healthcare_operator.connection import Connection
from healthcare_operator.errors import ApiError, NotServed
from healthcare_operator.helm import Charts
from healthcare_operator.reconcile import Reconciler
from healthcare_operator.settings import Settings
from kubernetes.aio import client

from tests.cluster.api import Api as User
from tests.cluster.controlplane import ControlPlane
from tests.operator.captured import captured_logs
from tests.operator.faulty import CUT, Faulty
from tests.operator.platforms import Platforms

pytestmark = pytest.mark.contract("Z08")

STATUSES = (400, 403, 404, 409, 413, 422, 429, 500, 503, 504, CUT)
SERVICES = ("auth-service", "patient-service", "appointment-service", "analytics-service")
SPEC: dict[str, Any] = {
    "postgres": {"mode": "external", "secrets": {"billing-service": "db"}},
    "redis": {"mode": "disabled"},
    "monitoring": {"mode": "disabled"},
    "services": {name: {"enabled": False} for name in SERVICES},
}
KEYS = ("username", "password", "host", "port", "dbname")
BILLING, GATEWAY = "care-billing-service", "care-api-gateway"


@dataclass
class Passes:
    """A platform of two services, and an operator's passes over it through a proxy that fails where it is told to."""

    platforms: Platforms
    proxy: Faulty
    reconciler: Reconciler
    user: User

    async def make(self) -> Exception | None:
        """One pass; what it raised."""
        try:
            await self.reconciler.reconcile((self.platforms.namespace, "care"))
        except (ApiError, NotServed) as error:
            return error
        return None

    def edit(self, tag: str, **spec: Any) -> None:
        self.change({"images": {"tag": tag}, **spec})

    def change(self, spec: dict[str, Any]) -> None:
        self.user.merge("HealthcarePlatform.healthcareplatform.io", self.platforms.namespace, "care", {"spec": spec})

    def tag(self, deployment: str) -> str:
        found = self.platforms.there("deployment", deployment)
        return str(found["spec"]["template"]["spec"]["containers"][0]["image"].rpartition(":")[2])

    def told(self) -> dict[str, Any]:
        """The conditions' words, and whether they speak of the spec as it is."""
        found = self.platforms.there("hcp", "care")
        status = found.get("status", {})
        words = {each["type"]: f"{each['status']} {each['reason']} {each['message']}" for each in status["conditions"]}
        return {**words, "seen": status["observedGeneration"] == found["metadata"]["generation"], **status["version"]}


@pytest.fixture
async def passes(defined: ControlPlane, namespace: str) -> AsyncIterator[Passes]:
    async with Faulty(defined).serving() as proxy:
        client.Configuration.set_default(client.Configuration(host=proxy.url))
        api = Api(Connection())
        platforms = Platforms(defined, namespace)
        platforms.kubectl("create", "secret", "generic", "db", *(f"--from-literal={key}={namespace}" for key in KEYS))
        servers = {"mode": "external", "bootstrapServers": f"{namespace}:9092"}  # no two platforms share one
        platforms.apply({**SPEC, "kafka": servers})
        user = User(defined, "somebody")
        made = Passes(platforms, proxy, Reconciler(api, Charts(Settings().charts_dir), 60), user)
        assert await made.make() is None
        yield made
        await api.close()
        user.close()
        client.Configuration.set_default(None)


async def test_one_object_that_is_refused_is_told_of_and_the_others_are_applied(passes: Passes) -> None:
    for number, status in enumerate(STATUSES):
        said, tag = f"no, says {status}", f"v{number}"
        passes.edit(tag)
        passes.proxy.break_at("PATCH", f"deployments/{BILLING}$", status, said)
        with captured_logs() as logged:
            assert await passes.make() is None
        words = passes.told()
        assert passes.proxy.hits
        assert passes.tag(GATEWAY) == tag, status
        assert words["seen"]
        assert words["images"]["billing-service"].endswith(tag), "the clock of the upgrade runs"
        expected = "did not answer" if status == CUT else said
        assert words["Degraded"].startswith("True ApplyFailed"), words
        assert expected in words["Degraded"]
        assert words["Ready"].startswith("False")
        assert any(expected in str(each.get("said")) for each in logged), (status, logged)
        passes.proxy.mend()
        assert await passes.make() is None
        assert passes.tag(BILLING) == tag
        assert passes.told()["Degraded"].startswith("False"), "it heals by itself"


async def test_a_kind_that_cannot_be_read_is_told_of_and_the_others_are_applied(passes: Passes) -> None:
    for number, status in enumerate(STATUSES):
        said, tag = f"no, says {status}", f"v{number}"
        passes.edit(tag)
        passes.proxy.break_at("GET", "/serviceaccounts$", status, said)
        with captured_logs() as logged:
            assert await passes.make() is None
        words = passes.told()
        assert passes.proxy.hits
        assert passes.tag(BILLING) == tag
        assert words["seen"]
        if status == 404:  # which is how a definition is missed
            assert words["DependenciesReady"].startswith("False CRDMissing")
        else:
            expected = "did not answer" if status == CUT else said
            assert expected in words["Degraded"], words
            assert any(expected in str(each.get("said")) for each in logged), status
        passes.proxy.mend()
        assert await passes.make() is None
        assert passes.told()["Degraded"].startswith("False")


@pytest.mark.parametrize("path", ["/secrets$", "/secrets/db$"])
async def test_what_a_pass_cannot_do_without_is_told_of_when_it_fails_again(passes: Passes, path: str) -> None:
    """A moment's trouble is no news; the second time in a row is."""
    statuses = STATUSES if path == "/secrets$" else [each for each in STATUSES if each != 404]  # a missing Secret
    for number, status in enumerate(statuses):
        said, tag = f"no, says {status}", f"v{number}"
        passes.edit(tag)
        passes.proxy.break_at("GET", path, status, said)
        with captured_logs() as logged:
            assert await passes.make() is not None
            assert await passes.make() is not None
        words = passes.told()
        expected = {CUT: "did not answer", 404: "is not installed"}.get(status, said)
        assert words["seen"]
        assert words["Degraded"].startswith("True ApplyFailed")
        assert expected in words["Degraded"], words
        assert "ServicesReady" in words, "what was known before is kept"
        assert words["images"]["billing-service"].endswith(tag)
        assert status == 404 or any(expected in str(each.get("said")) for each in logged), status
        passes.proxy.mend()
        assert await passes.make() is None
        assert passes.told()["Degraded"].startswith("False")


async def test_what_cannot_be_deleted_is_told_of_and_deleted_later(passes: Passes) -> None:
    passes.edit("one", services={"billing-service": {"replicas": 2}})
    assert await passes.make() is None
    for status in STATUSES:
        said = f"no, says {status}"
        passes.edit("one", services={"billing-service": {"replicas": 1}})
        passes.proxy.break_at("DELETE", f"poddisruptionbudgets/{BILLING}$", status, said)
        with captured_logs() as logged:
            assert await passes.make() is None
        assert passes.proxy.hits
        words = passes.told()
        if status != 404:  # which is what a deletion asks for
            expected = "did not answer" if status == CUT else said
            assert expected in words["Degraded"], words
            assert any(expected in str(each.get("said")) for each in logged), status
        passes.proxy.mend()
        if status == 404:
            passes.user.delete("PodDisruptionBudget.policy", passes.platforms.namespace, BILLING)
        assert await passes.make() is None
        assert passes.platforms.get("pdb", BILLING) is None, status
        assert passes.told()["Degraded"].startswith("False")
        passes.edit("one", services={"billing-service": {"replicas": 2}})
        assert await passes.make() is None


async def test_a_status_that_cannot_be_written_is_written_later_and_the_log_has_the_text(passes: Passes) -> None:
    for number, status in enumerate(STATUSES):
        said, tag = f"no, says {status}", f"v{number}"
        passes.edit(tag)
        passes.proxy.break_at("PATCH", "/status$", status, said)
        with captured_logs() as logged:
            await passes.make()
        assert passes.proxy.hits
        assert passes.tag(BILLING) == tag, "what is in the inventory is applied all the same"
        expected = "did not answer" if status == CUT else said
        assert any(expected in str(each.get("said")) for each in logged), status
        passes.proxy.mend()
        assert await passes.make() is None
        assert passes.told()["seen"]


async def test_an_event_that_cannot_be_written_changes_nothing_else(passes: Passes) -> None:
    for number, status in enumerate(STATUSES):
        said = f"no, says {status}"
        passes.proxy.break_at("POST", "/events$", status, said)
        passes.change({"suspend": number % 2 == 0})
        with captured_logs() as logged:
            assert await passes.make() is None
        assert passes.proxy.hits
        expected = "did not answer" if status == CUT else said
        assert any(expected in str(each.get("said")) for each in logged), status
        assert ("Suspended" in passes.told()) == (number % 2 == 0)

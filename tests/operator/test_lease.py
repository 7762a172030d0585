"""The lease under every answer that the API server may give: who cannot renew it stops before another one may begin."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
from healthcare_operator.api import Api
from healthcare_operator.connection import Connection
from healthcare_operator.errors import NotLeading
from healthcare_operator.lease import Lease, Lost
from healthcare_operator.platform import Ref
from kubernetes.aio import client

from tests.cluster.controlplane import ControlPlane
from tests.operator.captured import captured_logs
from tests.operator.faulty import CUT, Faulty
from tests.operator.test_api_errors import STATUSES

pytestmark = pytest.mark.contract("Z08")

SECONDS = 1.0


@pytest.fixture
async def proxy(cluster: ControlPlane) -> AsyncIterator[Faulty]:
    async with Faulty(cluster).serving() as proxy:
        client.Configuration.set_default(client.Configuration(host=proxy.url))
        yield proxy
        client.Configuration.set_default(None)


@pytest.fixture
async def api(proxy: Faulty) -> AsyncIterator[Api]:
    made = Api(Connection())
    yield made
    await made.close()


async def test_who_cannot_renew_stops_in_time_and_leads_again_when_it_can(
    proxy: Faulty, api: Api, namespace: str
) -> None:
    lease = Lease(api, namespace, "one", SECONDS)
    for status in STATUSES:
        async with asyncio.timeout(20):
            await lease.acquire()
        assert lease.valid()
        said = f"no, says {status}"
        proxy.break_at("PUT", "/leases/", status, said)
        began = time.monotonic()
        with captured_logs() as logged, pytest.raises(Lost):
            await lease.keep()
        assert time.monotonic() - began < SECONDS, status
        assert not lease.valid()
        if status != 409:  # which says that another one was faster
            expected = "did not answer" if status == CUT else said
            assert any(expected in str(each.get("said")) for each in logged), status
        proxy.mend()


async def test_who_waits_goes_on_waiting_whatever_the_answer(proxy: Faulty, api: Api, namespace: str) -> None:
    lease = Lease(api, namespace, "one", SECONDS)
    for status in STATUSES:
        proxy.break_at("GET", "/leases/", status, "no")
        waiting = asyncio.create_task(lease.acquire())
        await proxy.hit.wait()
        assert not waiting.done()
        proxy.mend()
        async with asyncio.timeout(20):
            await waiting
        await lease.release()


async def test_a_slow_api_server_is_no_reason_to_let_go(proxy: Faulty, api: Api, namespace: str) -> None:
    """A renewal is asked for as soon as the last one has come back, so each may take two fifths of the lease."""
    lease = Lease(api, namespace, "one", 3.0)
    await lease.acquire()
    proxy.slow_down(0.8)
    keeping = asyncio.create_task(lease.keep())
    done, _ = await asyncio.wait([keeping], timeout=5.0)
    assert not done, "it is renewed"
    assert lease.valid()
    proxy.slow_down(3.0)
    began = time.monotonic()
    with pytest.raises(Lost):
        await keeping
    assert time.monotonic() - began < 3.0


async def test_two_never_lead_at_once(proxy: Faulty, api: Api, namespace: str) -> None:
    one, two = (Lease(api, namespace, name, SECONDS) for name in ("one", "two"))
    await one.acquire()
    keeping = asyncio.create_task(one.keep())
    waiting = asyncio.create_task(two.acquire())
    proxy.break_at("PUT", "/leases/", 500, "no")
    with pytest.raises(Lost):
        await keeping
    assert not waiting.done(), "there is a margin between the two"
    proxy.mend()
    async with asyncio.timeout(10):
        await waiting
    assert (one.valid(), two.valid()) == (False, True)


async def test_nothing_is_written_without_a_lease(api: Api, namespace: str) -> None:
    about = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "one", "namespace": namespace}}
    leads = True
    api.writes_while(lambda: leads)
    await api.apply(about, force=True)
    leads = False
    for writing in (api.apply(about, force=True), api.create(about), api.replace(about), api.delete(Ref.of(about))):
        with pytest.raises(NotLeading):
            await writing
    assert await api.get(Ref.of(about)), "reading goes on"

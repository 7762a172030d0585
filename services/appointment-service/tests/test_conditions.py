"""Conditional requests: a 304 never hides a newer patient, and of many writers one wins."""

import asyncio
import uuid
from collections import Counter

import httpx2 as httpx
import pytest
from chassis.testing import eventually


async def shown(client: httpx.AsyncClient, path: str, name: str | None, tag: str) -> httpx.Response:
    """The answer to If-None-Match once it shows this name; until then it may only be 304."""

    async def there() -> httpx.Response | None:
        answer = await client.get(path, headers={"If-None-Match": tag})
        assert answer.status_code in (200, 304)
        return answer if answer.status_code == 200 and answer.json()["patientName"] == name else None

    return await eventually(there, within=20)


@pytest.mark.contract("D24", "Q10", "Q20")
async def test_a_304_never_hides_a_newer_patient(client, body, patients) -> None:
    patient = uuid.uuid4()
    booked = await client.post("/appointments", json=body(patient))
    path, tags = booked.headers["Location"], [booked.headers["ETag"]]
    assert (await client.get(path, headers={"If-None-Match": tags[0]})).status_code == 304
    await patients.tell("patient.created", patient, 1, "John Doe")
    tags.append((await shown(client, path, "John Doe", tags[-1])).headers["ETag"])
    await patients.tell("patient.updated", patient, 2, "Jane Doe")
    tags.append((await shown(client, path, "Jane Doe", tags[-1])).headers["ETag"])
    await patients.delete(patient, 3)
    tags.append((await shown(client, path, None, tags[-1])).headers["ETag"])
    assert tags[0] == '"1"'
    assert len(set(tags)) == 4
    for tag in tags[:3]:
        assert (await client.get(path, headers={"If-None-Match": tag})).status_code == 200
    assert (await client.get(path, headers={"If-None-Match": ", ".join(tags)})).status_code == 304


@pytest.mark.contract("D24", "D05")
async def test_the_tag_is_the_version_while_the_patient_is_the_one_it_was_written_with(client, body, patients) -> None:
    patient, first = uuid.uuid4(), uuid.uuid4()
    early = (await client.post("/appointments", json=body(patient))).headers["Location"]
    await patients.tell("patient.created", patient, 1, "John Doe")
    await shown(client, early, "John Doe", '"1"')
    booked = await client.post("/appointments", json=body(patient))
    path = booked.headers["Location"]
    assert booked.headers["ETag"] == (await client.get(path)).headers["ETag"] == '"1"'
    await patients.tell("patient.updated", patient, 2, "Jane Doe")
    renamed = (await shown(client, path, "Jane Doe", '"1"')).headers["ETag"]
    assert renamed.startswith('"1.')
    moved = await client.put(path, json=body(patient, notes="moved"), headers={"If-Match": renamed})
    assert moved.status_code == 200
    assert moved.json()["patientName"] == "Jane Doe"
    assert moved.headers["ETag"] == (await client.get(path)).headers["ETag"] == '"2"'
    assert (await client.put(path, json=body(patient), headers={"If-Match": renamed})).status_code == 412
    assert (await client.get(f"/appointments/{first}", headers={"If-None-Match": "*"})).status_code == 404
    await patients.tell("patient.updated", patient, 3, "Joan Doe")
    shows = (await shown(client, path, "Joan Doe", '"2"')).headers["ETag"]
    writes = (("PUT", shows, 412), ("DELETE", f'"9", W/{shows}', 412), ("DELETE", '"2"', 412), ("PUT", '"1", "3"', 200))
    for method, tags, status in writes:
        answer = await client.request(method, path, json=body(patient), headers={"If-None-Match": tags})
        assert answer.status_code == status, tags
    assert (await client.delete(path, headers={"If-None-Match": "*"})).status_code == 412


@pytest.mark.contract("D24", "Q24")
async def test_of_many_writers_with_one_version_one_wins(client, body) -> None:
    booked = (await client.post("/appointments", json=body())).json()
    path, patient = f"/appointments/{booked['id']}", booked["patientId"]
    by_header = [client.put(path, json=body(patient), headers={"If-Match": '"1"'}) for _ in range(8)]
    assert Counter(each.status_code for each in await asyncio.gather(*by_header)) == {200: 1, 412: 7}
    by_body = [client.put(path, json=body(patient, version=2)) for _ in range(8)]
    assert Counter(each.status_code for each in await asyncio.gather(*by_body)) == {200: 1, 409: 7}
    unguarded = [client.put(path, json=body(patient)) for _ in range(8)]
    assert sorted([(each.json()["version"]) for each in await asyncio.gather(*unguarded)]) == list(range(4, 12))

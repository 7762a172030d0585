"""Pages of appointments: the span of time, the order, and what is refused."""

import uuid
from typing import Any

import pytest
from chassis.testing import eventually


@pytest.mark.contract("Q01", "Q06", "G06", "D04")
async def test_the_list_is_a_page_within_from_and_to(client, body) -> None:
    for hour in range(9, 14):
        await client.post(
            "/appointments", json=body(startTime=f"2025-05-20T{hour:02}:00:00", endTime=f"2025-05-20T{hour:02}:30:00")
        )
    answer = await client.get(
        "/appointments?from=2025-05-20T10:00:00&to=2025-05-20T12:00:00&size=2&sort=startTime,desc"
    )
    page = answer.json()
    assert page.keys() == {
        "content",
        "page",
        "size",
        "totalElements",
        "totalPages",
        "sort",
        "hasNext",
        "hasPrevious",
    }
    assert page["totalElements"] == 3
    assert [each["startTime"] for each in page["content"]] == ["2025-05-20T12:00:00", "2025-05-20T11:00:00"]
    assert page["sort"] == ["startTime,desc"]
    verbatim = await client.get("/appointments?from=2025-05-20T00:00:00&to=2025-05-25T23:59:59")
    assert verbatim.json()["totalElements"] == 5


@pytest.mark.contract("D04", "G05")
@pytest.mark.parametrize(
    "query",
    [
        "from=2025-05-20T00:00:00&to=2025-05-19T00:00:00",
        "from=2025-01-01T00:00:00&to=2025-12-31T00:00:00",
        "from=2025-01-01T00:00:00Z",
        "from=yesterday",
        "page=-1",
        "size=0",
        "size=101",
        "sort=notes",
        "sort=startTime,sideways",
        "page=9999999&size=100",
    ],
)
async def test_bad_parameters_are_400(client, query) -> None:
    assert (await client.get(f"/appointments?{query}")).status_code == 400


@pytest.mark.contract("D04", "Q06")
async def test_from_and_to_are_inclusive_optional_and_up_to_92_days_apart(client, body) -> None:
    for day in ("2031-01-01", "2031-04-03"):
        await client.post("/appointments", json=body(startTime=f"{day}T00:00:00", endTime=f"{day}T01:00:00"))

    async def count(query: str) -> int:
        answer = await client.get(f"/appointments?{query}")
        return answer.json()["totalElements"] if answer.status_code == 200 else -answer.status_code

    assert await count("from=2031-01-01T00:00:00&to=2031-04-03T00:00:00") == 2  # 92 days
    assert await count("from=2031-01-01T00:00:00&to=2031-04-03T00:00:01") == -400
    assert await count("from=2031-01-01T00:00:00&to=2031-01-01T00:00:00") == 1
    assert await count("from=2031-01-01T00:00:01&to=2031-04-02T23:59:59") == 0
    assert await count("from=2031-01-01&to=2031-04-03") == 2
    assert await count("from=2031-01-01&to=2031-04-04") == -400
    assert await count("from=2031-04-03&to=2031-04-03") == 1
    late = {"startTime": "2031-04-03T23:59:59.999999", "endTime": "2031-04-04T00:30:00"}
    await client.post("/appointments", json=body(**late))
    for until in ("2031-04-03", "2031-04-03T23:59:59", "2031-04-03T23:59:59.999999"):
        assert await count(f"from=2031-04-03&to={until}") == 2, until
    assert await count("from=2031-04-03&to=2031-04-03T23:59:59.999998") == 1
    assert await count("overlaps=2031-04-04T00:00:00") == await count("overlaps=2031-04-04") == 1
    assert await count("overlaps=2031-04-04T00:30:00") == await count("overlaps=2031-04-02/2031-04-02") == 0
    later = await count("from=2031-01-01T00:00:01")
    assert later >= 1
    assert await count("to=2031-01-01T00:00:00") == await count("") - later


@pytest.mark.contract("D22", "Q01", "G03", "G06")
async def test_every_documented_field_sorts_both_ways_and_no_text_by_its_case(client, body, patients) -> None:
    people = {name: uuid.uuid4() for name in ("beta", "Alpha", "ALPHA 2", "Zoë", "éclair")}
    for name, patient in people.items():
        await patients.tell("patient.created", patient, 1, name)
    wanted = zip([*people.values(), uuid.uuid4()], (7, 3, 9, 1, 5, 3), (20, 21, 10, 22, 11, 12), strict=True)
    for number, (patient, start, end) in enumerate(wanted):
        hours = {"startTime": f"2032-03-01T{start:02}:00:00", "endTime": f"2032-03-01T{end:02}:00:00"}
        booked = (await client.post("/appointments", json=body(patient, **hours))).json()
        state = ("CONFIRMED", "SCHEDULED", "NO_SHOW")[number % 3]
        await client.put(f"/appointments/{booked['id']}", json=body(patient, status=state, **hours))

    async def page(*sorts: str) -> dict[str, Any]:
        query = "".join(f"&sort={each}" for each in sorts)
        found = (await client.get(f"/appointments?from=2032-03-01T00:00:00&to=2032-03-02T00:00:00{query}")).json()
        assert found["totalElements"] == 6
        return found

    async def all_known() -> bool:
        return sum(each["patient"] is not None for each in (await page())["content"]) == 5

    await eventually(all_known, within=20)
    for field in ("startTime", "endTime", "status", "createdAt"):
        up, down = await page(field), await page(f"{field},desc")
        assert up["sort"] == [f"{field},asc"]
        keys = [(each[field], each["id"]) for each in up["content"]]
        assert keys == sorted(keys)
        assert up["content"] == down["content"][::-1]
    names = [each["patientName"] for each in (await page("patientName"))["content"]]
    assert names == ["Alpha", "ALPHA 2", "beta", "Zoë", "éclair", None]
    assert [each["patientName"] for each in (await page("patientName,desc"))["content"]] == names[::-1]
    two = await page("status,desc", "startTime")
    keys = [(each["status"], each["startTime"]) for each in two["content"]]
    assert keys == sorted(sorted(keys, key=lambda key: key[1]), key=lambda key: key[0], reverse=True)
    ids = [each["id"] for each in (await page())["content"]]
    assert ids == sorted(ids)

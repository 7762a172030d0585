"""Pages, sorting and search."""

import uuid

import asyncpg
import pytest
from chassis.testing import token
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

ENVELOPE = {"content", "page", "size", "totalElements", "totalPages", "sort", "hasNext", "hasPrevious"}

PARAMETERS = ["page", "size", "sort", "search", "email", "phone", "dateOfBirth", "billingStatus"]
SOMETHING = st.text(max_size=30) | st.text(st.sampled_from("\0\n%_\\,-019name"), max_size=8) | st.emails()


@pytest.fixture
async def twenty_five(client, new, database_url) -> None:
    connection = await asyncpg.connect(database_url)
    await connection.execute("DELETE FROM patient")
    await connection.close()
    for number in range(25):
        body = new(name=f"Person {number:02}", dateOfBirth=f"19{60 + number}-01-01")
        answer = await client.post("/patients", json=body)
        assert answer.status_code == 201
        if number % 2:  # its row moves in the table
            assert (await client.put(answer.headers["Location"], json=body)).status_code == 200


@pytest.mark.contract("P01", "G01", "G02", "G03", "G04", "D22")
async def test_the_documented_numbers(client, twenty_five) -> None:
    async def page(query: str) -> dict:
        answer = await client.get(f"/patients?{query}")
        assert answer.status_code == 200
        assert answer.json().keys() == ENVELOPE
        return answer.json()

    first = await page("page=0&size=10&sort=name,asc")
    assert [person["name"] for person in first["content"]] == [f"Person {number:02}" for number in range(10)]
    assert (first["totalElements"], first["totalPages"]) == (25, 3)
    assert (first["hasNext"], first["hasPrevious"], first["sort"]) == (True, False, ["name,asc"])
    last = await page("page=2&size=10&sort=name")
    assert (len(last["content"]), last["hasNext"], last["hasPrevious"], last["sort"]) == (5, False, True, ["name,asc"])
    beyond = await page("page=9&size=10")
    assert (beyond["content"], beyond["hasNext"], beyond["hasPrevious"], beyond["sort"]) == ([], False, True, [])
    single = await page("size=1")
    assert (single["totalPages"], len(single["content"])) == (25, 1)
    default = await page("")
    assert (default["page"], default["size"], len(default["content"])) == (0, 20, 20)
    two = await page("sort=dateOfBirth,desc&sort=name,asc&size=100")
    assert two["sort"] == ["dateOfBirth,desc", "name,asc"]
    assert two["content"][0]["name"] == "Person 24"
    ids = [person["id"] for person in (await page("size=100"))["content"]]
    assert ids == sorted(ids)
    furthest = await page("page=100000&size=100")
    assert (furthest["content"], furthest["totalElements"], furthest["hasPrevious"]) == ([], 25, True)
    empty = await page("search=nobody%20at%20all")
    assert (empty["totalElements"], empty["totalPages"], empty["hasNext"]) == (0, 0, False)


@pytest.mark.contract("D22")
async def test_text_sorts_without_regard_to_case_and_alike_everywhere(client, new, database_url) -> None:
    connection = await asyncpg.connect(database_url)
    await connection.execute("DELETE FROM patient")
    await connection.close()
    for name in ("beta", "Alpha", "ALPHA 2", "Zoë", "éclair", "gamma"):
        await client.post("/patients", json=new(name=name))
    names = [person["name"] for person in (await client.get("/patients?sort=name")).json()["content"]]
    assert names == ["Alpha", "ALPHA 2", "beta", "gamma", "Zoë", "éclair"]
    down = [person["name"] for person in (await client.get("/patients?sort=name,desc")).json()["content"]]
    assert down == names[::-1]


@pytest.mark.contract("P18")
async def test_search_finds_part_of_the_name_and_wildcards_are_plain_text(client, new) -> None:
    mark = uuid.uuid4().hex[:8]
    for name in (f"Anna {mark} O'Neil", f"anna {mark} 100%", f"under_score {mark}", f"Straße {mark}", f"a\\b {mark}"):
        await client.post("/patients", json=new(name=name))

    async def found(text: str, parameter: str = "search") -> set[str]:
        answer = await client.get("/patients", params={parameter: text, "size": 100})
        assert answer.status_code == 200
        return {person["name"].replace(mark, "*") for person in answer.json()["content"] if mark in person["name"]}

    assert await found("ANNA") == {"Anna * O'Neil", "anna * 100%"}
    assert await found("100%") == {"anna * 100%"}
    assert await found("r_s") == {"under_score *"}
    assert await found("d%r") == await found("a_n") == set()
    assert await found("A\\b") == {"a\\b *"}
    assert await found("strasse", "searchValue") == {"Straße *"}
    assert len(await found(mark)) == 5


@pytest.mark.contract("G05", "D20")
@pytest.mark.parametrize(
    "query",
    [
        "page=-1",
        "page=x",
        "size=0",
        "size=101",
        "size=",
        "page=100001&size=100",
        "sort=password",
        "sort=name,up",
        "sort=",
        "sort=name&sort=name",
        "search=" + "x" * 101,
        "search=%00",
        "searchValue=a%00b",
        "page=" + "9" * 5000,
    ],
)
async def test_bad_parameters_are_400(client, query) -> None:
    answer = await client.get(f"/patients?{query}")
    assert answer.status_code == 400
    assert answer.headers["Content-Type"] == "application/problem+json"


@pytest.mark.contract("G05")
async def test_no_list_parameters_end_in_a_500(client) -> None:
    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(st.dictionaries(st.sampled_from(PARAMETERS), SOMETHING, min_size=1, max_size=3))
    def collect(query: dict[str, str]) -> None:
        queries.append(query)

    queries: list[dict[str, str]] = []
    collect()
    for query in queries:
        answer = await client.get("/patients", params=query)
        assert answer.status_code in (200, 400), query


@pytest.mark.contract("P19")
async def test_what_is_sorted_and_searched_is_indexed(client, database_url) -> None:
    connection = await asyncpg.connect(database_url)
    rows = await connection.fetch("SELECT indexdef FROM pg_indexes WHERE tablename = 'patient'")
    await connection.close()
    definitions = " ".join(row["indexdef"] for row in rows)
    for column in ("name_key", "email_key", "date_of_birth", "registered_date", "created_at"):
        assert f"({column}" in definitions
    assert "gin_trgm_ops" in definitions


@pytest.mark.contract("P01", "S09")
async def test_a_list_needs_the_permission(client) -> None:
    nobody = {"Authorization": f"Bearer {token('NOBODY')}"}
    assert (await client.get("/patients", headers=nobody)).status_code == 403

"""Create, read, replace, delete: status codes, shapes and conditions."""

import asyncio
import uuid
from collections import Counter
from datetime import UTC, datetime

import pytest
from chassis.testing import token

KEYS = {
    "id",
    "name",
    "email",
    "phone",
    "gender",
    "address",
    "dateOfBirth",
    "registeredDate",
    "billingStatus",
    "version",
    "createdAt",
    "updatedAt",
}


@pytest.mark.contract("P03", "P06", "D08", "D24")
async def test_create_answers_201_with_location_and_etag(client, new) -> None:
    answer = await client.post("/patients", json=new())
    assert answer.status_code == 201
    body = answer.json()
    assert body.keys() == KEYS
    assert answer.headers["Location"] == f"/patients/{body['id']}"
    assert answer.headers["ETag"] == '"1"'
    assert body["billingStatus"] == "PENDING"
    assert uuid.UUID(body["id"]).version == 7
    assert body["createdAt"].endswith("Z")


@pytest.mark.contract("P02", "P16")
async def test_read_answers_the_patient_or_404(client, new) -> None:
    created = (await client.post("/patients", json=new(phone="+1-555-0102", gender="M"))).json()
    answer = await client.get(f"/patients/{created['id']}")
    assert answer.status_code == 200
    assert answer.json() | {"billingStatus": ""} == created | {"billingStatus": ""}
    unknown = await client.get(f"/patients/{uuid.uuid4()}")
    assert unknown.status_code == 404
    assert unknown.headers["Content-Type"] == "application/problem+json"
    assert (await client.get("/patients/not-a-uuid")).status_code == 400


@pytest.mark.contract("P04", "Q24", "D24")
async def test_put_replaces_and_guards_the_version(client, new) -> None:
    created = (await client.post("/patients", json=new(phone="1"))).json()
    path = f"/patients/{created['id']}"
    answer = await client.put(path, json=new(name="Jane Doe", version=1))
    assert answer.status_code == 200
    assert answer.json()["name"] == "Jane Doe"
    assert answer.json()["phone"] is None
    assert answer.json()["version"] == 2
    assert (await client.get(path)).json()["name"] == "Jane Doe"
    assert (await client.put(path, json=new(version=1))).status_code == 409
    assert (await client.put(path, json=new(), headers={"If-Match": '"1"'})).status_code == 412
    assert (await client.put(path, json=new(), headers={"If-Match": '"2"'})).status_code == 200
    assert (await client.put(f"/patients/{uuid.uuid4()}", json=new())).status_code == 404


@pytest.mark.contract("D24")
async def test_if_none_match_answers_304(client, new) -> None:
    path = (await client.post("/patients", json=new())).headers["Location"]
    etag = (await client.get(path)).headers["ETag"]
    answer = await client.get(path, headers={"If-None-Match": etag})
    assert answer.status_code == 304
    assert answer.content == b""
    assert (await client.get(path, headers={"If-None-Match": '"99"'})).status_code == 200


@pytest.mark.contract("P05", "D18")
async def test_delete_needs_an_admin_and_is_final(client, new) -> None:
    path = (await client.post("/patients", json=new())).headers["Location"]
    user = {"Authorization": f"Bearer {token('USER')}"}
    assert (await client.get(path, headers=user)).status_code == 200
    assert (await client.delete(path, headers=user)).status_code == 403
    assert (await client.delete(path)).status_code == 204
    assert (await client.get(path)).status_code == 404
    assert (await client.delete(path)).status_code == 404


@pytest.mark.contract("P16", "P17")
async def test_an_email_is_taken_once_whatever_its_case(client, new) -> None:
    first = new(email=f"Somebody.{uuid.uuid4().hex}@Example.com")
    assert (await client.post("/patients", json=first)).status_code == 201
    again = await client.post("/patients", json=new(email=first["email"].upper()))
    assert again.status_code == 409
    assert again.json()["field"] == "email"
    assert first["email"].lower() not in again.text.lower()


@pytest.mark.contract("P16", "P17", "D09", "D20")
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "   "),
        ("name", "x" * 101),
        ("name", None),
        ("name", "a\u0000b"),
        ("name", 7),
        ("email", "nobody"),
        ("email", "John Doe <john@example.com>"),
        ("email", "a" * 250 + "@example.com"),
        ("address", ""),
        ("address", "x" * 256),
        ("address", "a\tb"),
        ("address", "a\rb"),
        ("email", ""),
        ("dateOfBirth", "1849-12-31"),
        ("dateOfBirth", "2999-01-01"),
        ("dateOfBirth", "yesterday"),
        ("dateOfBirth", "1990-02-30"),
        ("dateOfBirth", "1990-01-01T00:00:00"),
        ("dateOfBirth", "631152000"),
        ("dateOfBirth", 631_152_000),
        ("phone", "1" * 65),
        ("gender", "x" * 17),
        *[(field, "\u2800\u3164 \ufe0f") for field in ("name", "address", "phone", "gender")],
        ("email", "john\u3164doe@example.com"),
    ],
)
async def test_bad_input_is_400_and_names_the_field(client, new, field, value) -> None:
    answer = await client.post("/patients", json=new(**{field: value}))
    assert answer.status_code == 400
    problem = answer.json()
    assert problem["title"] == "Validation Failed"
    assert [error["field"] for error in problem["errors"]] == [field]
    assert problem["detail"].startswith(field)
    if isinstance(value, str) and value.strip():
        assert value not in answer.text


@pytest.mark.contract("D20", "P17")
async def test_the_longest_and_the_oldest_are_taken_whole(client, new) -> None:
    extremes = {
        "name": "ﷺ" * 100,
        "address": "ß" * 255,
        "phone": "1" * 64,
        "gender": "x" * 16,
        "dateOfBirth": "1850-01-01",
        "email": f"{uuid.uuid4().hex:x<64}@{'b' * 60}.{'c' * 60}.{'d' * 60}.com",
    }
    created = await client.post("/patients", json=new(**extremes))
    assert created.status_code == 201
    assert extremes.items() <= created.json().items()
    born_today = new(dateOfBirth=datetime.now(UTC).date().isoformat(), name=f"  {'y' * 100}\n")
    assert (await client.post("/patients", json=born_today)).json()["name"] == "y" * 100


@pytest.mark.contract("P04", "P16", "P17")
async def test_an_update_takes_nobodys_email(client, new) -> None:
    theirs, mine = new(), new()
    assert (await client.post("/patients", json=theirs)).status_code == 201
    path = (await client.post("/patients", json=mine)).headers["Location"]
    refused = await client.put(path, json=new(name="Jane Doe", email=theirs["email"].upper()))
    assert (refused.status_code, refused.json()["field"]) == (409, "email")
    assert (await client.get(path)).json()["name"] == mine["name"]
    own = await client.put(path, json=mine | {"email": mine["email"].upper()})
    assert (own.status_code, own.json()["version"]) == (200, 2)


@pytest.mark.contract("D24", "Q24", "P16")
async def test_of_many_writers_at_once_one_wins(client, new) -> None:
    body = new()
    posts = [client.post("/patients", json=body | {"email": each}) for each in (body["email"], body["email"].upper())]
    answers = await asyncio.gather(*posts, *(client.post("/patients", json=body) for _ in range(6)))
    assert Counter(each.status_code for each in answers) == {201: 1, 409: 7}
    path = next(each.headers["Location"] for each in answers if each.status_code == 201)
    by_header = [client.put(path, json=new(), headers={"If-Match": '"1"'}) for _ in range(8)]
    assert Counter(each.status_code for each in await asyncio.gather(*by_header)) == {200: 1, 412: 7}
    by_body = [client.put(path, json=new(version=2)) for _ in range(8)]
    assert Counter(each.status_code for each in await asyncio.gather(*by_body)) == {200: 1, 409: 7}
    deletes = await asyncio.gather(*(client.delete(path, headers={"If-Match": '"3"'}) for _ in range(4)))
    assert Counter(each.status_code for each in deletes) == {204: 1, 404: 3}


@pytest.mark.contract("D24")
async def test_lists_of_tags_stars_and_weak_tags(client, new) -> None:
    path = (await client.post("/patients", json=new())).headers["Location"]
    for header, status in (('W/"1"', 412), ('"7", "8"', 412), ("1", 400), ('"7", "1"', 200), ("*", 200)):
        assert (await client.put(path, json=new(), headers={"If-Match": header})).status_code == status, header
    for header, status in (('W/"3"', 304), ('"9", "3"', 304), ("*", 304), ('"1"', 200), ("3", 200), ("W/3", 200)):
        assert (await client.get(path, headers={"If-None-Match": header})).status_code == status, header
    assert (await client.delete(path, headers={"If-Match": '"1"'})).status_code == 412
    assert (await client.head(path, headers={"If-None-Match": '"3"'})).status_code == 304


@pytest.mark.contract("D24")
async def test_a_write_is_not_made_on_what_if_none_match_names(client, new) -> None:
    path = (await client.post("/patients", json=new())).headers["Location"]
    for header, status in (('"1"', 412), ('W/"1"', 412), ('"7", "1"', 412), ("*", 412), ("1", 400), ('"7"', 200)):
        assert (await client.put(path, json=new(), headers={"If-None-Match": header})).status_code == status, header
    several = [("If-None-Match", '"7"'), ("If-None-Match", '"2"')]
    assert (await client.put(path, json=new(), headers=several)).status_code == 412
    assert (await client.delete(path, headers=several)).status_code == 412
    assert (await client.get(path)).json()["version"] == 2
    assert (await client.delete(path, headers={"If-None-Match": '"1"', "If-Match": '"2"'})).status_code == 204


@pytest.mark.contract("D09", "Q24")
@pytest.mark.parametrize("version", [True, False, 1.0, "1", [1], {}])
async def test_only_a_whole_number_is_a_version(client, new, version) -> None:
    path = (await client.post("/patients", json=new())).headers["Location"]
    answer = await client.put(path, json=new(version=version))
    assert (answer.status_code, answer.json()["detail"]) == (400, "version must be a whole number")


@pytest.mark.contract("D09")
async def test_a_blank_name_is_told_in_the_documented_words(client, new) -> None:
    answer = await client.post("/patients", json=new(name=""))
    assert answer.json()["detail"] == "name must not be blank"
    assert answer.json()["type"] == "https://example.com/errors/validation"


@pytest.mark.contract("D08")
async def test_the_small_rules_of_http(client, new) -> None:
    path = (await client.post("/patients", json=new(colour="blue", id="mine"))).headers["Location"]
    head = await client.head(path)
    assert head.status_code == 200
    assert head.content == b""
    assert int(head.headers["Content-Length"]) > 0
    wrong = await client.patch(path, json={})
    assert wrong.status_code == 405
    assert wrong.headers["Allow"] == "DELETE, GET, HEAD, PUT"
    assert (
        await client.post("/patients", content=b"{", headers={"Content-Type": "application/json"})
    ).status_code == 400
    assert (await client.post("/patients", content=b"{}", headers={"Content-Type": "text/plain"})).status_code == 415
    for coding, status in (("gzip", 415), ("br", 415), ("Identity", 201)):
        answer = await client.post("/patients", json=new(), headers={"Content-Encoding": coding})
        assert answer.status_code == status, answer.text
    assert (await client.post("/patients", json=new(notes="x" * 1_100_000))).status_code == 413


@pytest.mark.contract("S06", "W03")
async def test_nothing_without_a_token(client, new) -> None:
    anonymous = {"Authorization": ""}
    answer = await client.post("/patients", json=new(), headers=anonymous)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    forged = {"Authorization": f"Bearer {token('ADMIN', secret='x' * 40)}"}
    assert (await client.get("/patients", headers=forged)).status_code == 401

"""Patients: creating over pgbench, a cached read over bare uvicorn, and deep pages at a million rows."""

import json
import os
import re
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hpctl.embedded.process import free_port

from bench.load import wrk
from bench.measure import Ratio, Wrong, compare, percentile
from bench.world import SECRET, World, headers, wait_for

CONNECTIONS = 32
ROWS = 1_000_000

# What POST /patients sends, by hand: the same two inserts in one transaction, with the same columns.
PGBENCH = """
\\set n random(1, 2000000000)
BEGIN;
INSERT INTO patient (id, name, name_key, email, email_key, phone, gender, address, date_of_birth, registered_date,
  billing_status, billing_requested_at, version, created_at, updated_at)
VALUES (gen_random_uuid(), 'John Doe', 'john doe', 'p' || :n || clock_timestamp() || '@example.com',
  'p' || :n || clock_timestamp() || '@example.com', NULL, NULL, '123 Main St', '1990-01-01', current_date,
  'PENDING', NULL, 1, now(), now()) RETURNING *;
INSERT INTO outbox (event_id, aggregate_type, aggregate_id, aggregate_version, topic, key, type, payload, headers)
VALUES (gen_random_uuid(), 'patient', gen_random_uuid(), 1, 'patient.created', gen_random_uuid()::text,
  'patient.created',
  '{"data": {"name": "John Doe", "email": "john@example.com", "address": "123 Main St", "attributes": {}}}', '{}');
COMMIT;
"""

STATIC = """
import sys, uvicorn
BODY = %r
START = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json"),
    (b"content-length", str(len(BODY)).encode())]}
async def app(scope, receive, send):
    await send(START)
    await send({"type": "http.response.body", "body": BODY})
uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), loop="uvloop", http="httptools", log_config=None,
    access_log=False, lifespan="off")
"""

FILL = """
INSERT INTO patient (id, name, name_key, email, email_key, address, date_of_birth, registered_date, billing_status,
  version, created_at, updated_at)
SELECT gen_random_uuid(), 'Person ' || n, 'person ' || md5(n::text), n || '@example.org', n || '@example.org', '1 Road',
  date '1950-01-01' + (n % 25000), date '2020-01-01' + (n % 2000), 'ACTIVE', 1, now(), now() - n * interval '1 second'
FROM generate_series(1, {rows}) n;
VACUUM ANALYZE patient;
"""


def call(url: str, body: dict[str, Any] | None = None) -> Any:
    """One request; its JSON."""
    data = json.dumps(body).encode() if body is not None else None
    request = urllib.request.Request(url, data=data, headers=headers())
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def create(world: World) -> Iterator[Ratio]:
    """`POST /patients` at the service over pgbench running the same SQL with as many clients."""
    script = world.directory / "create.sql"
    script.write_text(PGBENCH)
    seeds = iter(range(0, 10**12, 10**7))
    body = json.dumps(
        {
            "name": "John Doe",
            "email": f"{uuid.uuid4().hex}COUNTER@example.com",
            "address": "123 Main St",
            "dateOfBirth": "1990-01-01",
        }
    )
    world.database("patient_service")
    with world.service(
        "patient_service",
        cpu=None,
        SERVICE_ROLES="api",
        BILLING_SERVICE_ADDRESS="127.0.0.1:1",
        CACHE_TYPE="none",
        DATABASE_POOL_SIZE="32",
    ) as url:
        post = {"Content-Type": "application/json", **headers()}

        def ours() -> float:
            load = wrk(
                f"{url}/patients",
                workdir=world.directory,
                connections=CONNECTIONS,
                method="POST",
                headers=post,
                body=body,
                seed=next(seeds),
                cpu=None,
            )
            return load.rate

        def theirs() -> float:
            return pgbench(world, script)

        yield compare(
            "POST /patients over pgbench, same SQL", "requests/s", ours, theirs, better="higher", floor=0.6, goal=1.5
        )


def pgbench(world: World, script: Path, seconds: int = 4) -> float:
    """Transactions per second of a script on the patients' database."""
    postgres = world.postgres
    command = [
        str(postgres.programs / "pgbench"),
        "-n",
        "-M",
        "prepared",
        "-f",
        str(script),
        "-c",
        str(CONNECTIONS),
        "-j",
        "1",
        "-T",
        str(seconds),
        "-h",
        postgres.host,
        "-p",
        str(postgres.port),
        "-U",
        "patient_service",
        "patient_service",
    ]
    done = subprocess.run(command, env=os.environ | {"PGPASSWORD": SECRET}, capture_output=True, text=True, check=False)
    if not (found := re.search(r"tps = ([\d.]+)", done.stdout)):
        raise Wrong(f"pgbench: {done.stderr.strip()[-200:]}")
    return float(found[1])


def cached(world: World) -> Iterator[Ratio]:
    """A cached `GET /patients/{id}`, token and all, over a static answer of bare uvicorn; the servers are pinned."""
    world.database("patient_service")
    with world.service("patient_service", cpu=0, SERVICE_ROLES="api", BILLING_SERVICE_ADDRESS="127.0.0.1:1") as url:
        made = call(
            f"{url}/patients",
            {
                "name": "John Doe",
                "email": f"{uuid.uuid4().hex}@example.com",
                "address": "123 Main St",
                "dateOfBirth": "1990-01-01",
            },
        )
        path = f"/patients/{made['id']}"
        if call(url + path)["id"] != made["id"]:
            raise Wrong("the cached patient is another one")
        with static(world, json.dumps(made).encode()) as bare:

            def ours() -> float:
                return wrk(url + path, workdir=world.directory, headers=headers()).rate

            def theirs() -> float:
                return wrk(f"{bare}/", workdir=world.directory).rate

            yield compare(
                "cached GET /patients/{id} over bare uvicorn",
                "requests/s",
                ours,
                theirs,
                better="higher",
                floor=0.25,
                goal=0.6,
            )


@contextmanager
def static(world: World, body: bytes, *, cpu: int = 0) -> Iterator[str]:
    """Bare uvicorn with one answer, pinned like the service unless told otherwise."""
    port = free_port()
    program = world.directory / "static.py"
    program.write_text(STATIC % body)
    process = subprocess.Popen(["taskset", "-c", str(cpu), sys.executable, str(program), str(port)])
    try:
        wait_for(f"http://127.0.0.1:{port}/", process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


def pages(world: World) -> Iterator[Ratio]:
    """At a million rows: page 1,000 over the first page, a search with its total; unfiltered totals are exact."""
    world.database("patient_service")
    with world.service(
        "patient_service",
        cpu=None,
        SERVICE_ROLES="api",
        BILLING_SERVICE_ADDRESS="127.0.0.1:1",
        DATABASE_TIMEOUT_SECONDS="60",
    ) as url:
        before = call(f"{url}/patients?size=1")["totalElements"]
        world.postgres.execute(FILL.format(rows=ROWS), "patient_service")
        if call(f"{url}/patients?size=1")["totalElements"] != before + ROWS:
            raise Wrong("the unfiltered total is not exact")

        def page(number: int) -> float:
            return percentile([timed(f"{url}/patients?size=20&sort=name,asc&page={number}") for _ in range(15)], 50)

        yield compare(
            "page 1,000 over the first page, 1 M rows",
            "s",
            lambda: page(1000),
            lambda: page(0),
            better="lower",
            floor=12,
            goal=8,
        )
        yield compare(
            "a search with its exact total, 1 M rows, over 150 ms",
            "s",
            lambda: percentile([timed(f"{url}/patients?size=20&search=abc12") for _ in range(5)], 50),
            lambda: 0.15,
            better="lower",
            floor=1,
            goal=0.5,
        )


def timed(url: str) -> float:
    """Seconds of one request."""
    started = time.perf_counter()
    call(url)
    return time.perf_counter() - started

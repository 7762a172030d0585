"""Creating a patient, over pgbench that runs the same SQL."""

import json
import os
import re
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

from bench.load import wrk
from bench.measure import Ratio, Wrong, compare
from bench.world import SECRET, World, headers

CONNECTIONS = 32

# What POST /patients sends, by hand: the same two inserts in one transaction, with the same columns.
PGBENCH = """
\\set n random(1, 2000000000)
BEGIN;
INSERT INTO patient (id, name, name_key, name_search, email, email_key, email_order, phone, gender, address,
  date_of_birth, registered_date, billing_status, billing_requested_at, version, keyed_version, created_at, updated_at)
SELECT gen_random_uuid(), 'John Doe', 'john doe', 'john doe', email, email, email, NULL, NULL, '123 Main St',
  '1990-01-01', current_date, 'PENDING', NULL, 1, 1, now(), now()
FROM (SELECT 'p' || :n || clock_timestamp() || '@example.com' AS email) AS given RETURNING *;
INSERT INTO outbox (event_id, aggregate_type, aggregate_id, aggregate_version, topic, key, type, payload, headers)
VALUES (gen_random_uuid(), 'patient', gen_random_uuid(), 1, 'patient.created', gen_random_uuid()::text,
  'patient.created',
  '{"data": {"name": "John Doe", "email": "john@example.com", "address": "123 Main St", "attributes": {}}}', '{}');
COMMIT;
"""


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
